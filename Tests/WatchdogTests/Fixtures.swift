import MySQLWire
import WatchdogSimulation

@testable import Watchdog

enum Fixture {
    static let uuidA = ModelCluster.uuidA
    static let uuidB = ModelCluster.uuidB

    static func configuration(agent: String = "web1") -> Configuration {
        Configuration(
            cluster: "shop", mode: .routerLed, agents: [], workingDirectory: "/nowhere",
            agent: .init(name: agent, interval: .seconds(1), probeTimeout: .seconds(2)),
            servers: .init(a: .tcp(host: "10.0.0.1", port: 3306), b: .tcp(host: "10.0.0.2", port: 3306)),
            credentials: .init(user: "watchdog", password: Secret("x"), tls: .preferred, caFile: nil),
            replication: .init(user: "repl", password: Secret("y"), peer: nil),
            router: .init(
                address: .tcp(host: "127.0.0.1", port: 7001), configFile: "/nowhere/router.conf",
                section: "routing:mysql_failover", restart: ["true"], stop: ["true"], destinations: .primaryFirst),
            safety: .init(maxLostTransactions: 0, drainTimeout: .seconds(60), operationTimeout: .seconds(3600)))
    }

    static func channel(from id: ServerID, _ change: (inout ReplicationChannel) -> Void = { _ in })
        -> ReplicationChannel
    {
        ModelCluster.channel(from: id, change)
    }

    static func facts(_ id: ServerID, _ change: (inout ServerFacts) -> Void = { _ in }) -> ServerFacts {
        var facts = ServerFacts(uuid: id == .a ? uuidA : uuidB, serverID: id == .a ? 1 : 2)
        change(&facts)
        return facts
    }

    /// A is primary, B its replica, the router leads to A.
    static func healthy(_ change: (inout Observation) -> Void = { _ in }) -> Observation {
        var seen = Observation(
            a: .up(facts(.a)), b: .up(facts(.b) { $0.channels = [channel(from: .a)] }), router: .leadsTo(uuid: uuidA))
        change(&seen)
        return seen
    }
}
