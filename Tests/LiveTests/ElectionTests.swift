import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// Elections on a real server, by the agents' own decisions and statements, with as many agents as nobody has.
@Suite(.serialized) struct ElectionTests {
    /// What an agent saw when its part in an election was over.
    private struct Result: Sendable {
        var agent: String
        var leads: Bool
    }

    /// Takes part in an election on `server` until somebody is operation master.
    private static func takePart(_ name: String, _ server: MySQLServer, start: ContinuousClock.Instant) async throws
        -> (Result, LedgerSession)
    {
        var configuration = Configuration.forElection(agent: name, server: server)
        configuration.cluster = "shop"
        let options = server.connectionOptions(.agent)
        let policy = RouterLedPolicy(configuration)
        let diagnoser = Diagnoser(configuration)
        let probe = try await MySQLConnection.connect(options, deadline: .after(.seconds(20)))
        defer { probe.abort() }
        var session: LedgerSession?
        try await Task.sleep(until: start, clock: .continuous)
        let deadline = Deadline.after(.seconds(30))
        while !deadline.hasPassed {
            // The server is the replica that the routers have gone to; the old primary is there and has nothing more.
            let facts = try await ServerProbe(cluster: "shop").facts(probe, deadline: .after(.seconds(10)))
            let seen = Observation.crashed(replica: facts, configuration)
            var standing = LocalStatus(agent: name)
            if let session {
                standing.server = .b
                standing.session = session.id
                standing.holdsLock = try await session.holdsOperationLock()
            }
            let ledger = seen.activeLedger
            if let master = ledger?.master, master.alive, let session {
                return (Result(agent: name, leads: master.session == session.id && standing.holdsLock), session)
            }
            switch policy.nextStep(seen, diagnoser.diagnose(seen), standing) {
            case .scan:
                if session == nil {
                    session = try await LedgerSession.open(
                        options, server: .b, agent: name, cluster: "shop", deadline: .after(.seconds(20)))
                }
                try await session?.scan(seen: facts.uuid)
            case .lock: _ = try await session?.takeOperationLock()
            case .master: try await session?.master(epoch: (ledger?.epoch ?? 0) + 1, seen: facts.uuid)
            default:
                // One that comes late finds a master and joins only to be counted.
                if session == nil {
                    session = try await LedgerSession.open(
                        options, server: .b, agent: name, cluster: "shop", deadline: .after(.seconds(20)))
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        throw TestBedError("\(name): no operation master within 30 s")
    }

    @Test(.timeLimit(.minutes(6))) func twentyAgentsFiftyTimesHaveOneMasterEachTime() async throws {
        try await withServer(options: ["--max-connections=200"]) { server in
            for election in 1...50 {
                let start = ContinuousClock.now.advanced(by: .milliseconds(60))
                let outcomes = try await withThrowingTaskGroup(of: (Result, LedgerSession).self) { group in
                    for index in 1...20 {
                        group.addTask { try await Self.takePart("web\(index)", server, start: start) }
                    }
                    var all: [(Result, LedgerSession)] = []
                    for try await one in group { all.append(one) }
                    return all
                }
                let rows = try await server.sql(
                    "SELECT COUNT(*) FROM ongoing_failover.status WHERE event LIKE 'MAST %'")
                #expect(rows == [["1"]], "election \(election)")
                #expect(outcomes.count { $0.0.leads } == 1, "election \(election)")
                for (_, session) in outcomes where session.isOpen { await session.close() }
                try await server.sql("SET sql_log_bin = 0; DROP DATABASE ongoing_failover")
            }
            #expect(
                try await server.sql("SELECT @@global.gtid_executed = ''") == [["1"]], "an agent wrote a transaction")
        }
    }

    @Test func theServerItselfRefusesASecondMasterOfAnEpoch() async throws {
        try await withServer { server in
            let options = server.connectionOptions(.agent)
            func open(_ agent: String) async throws -> LedgerSession {
                try #require(
                    try await LedgerSession.open(
                        options, server: .b, agent: agent, cluster: "shop", deadline: .after(.seconds(10))))
            }
            let (one, two) = (try await open("web1"), try await open("web2"))
            try await one.scan(seen: "")
            try await two.scan(seen: "")
            try await one.master(epoch: 7, seen: "")
            let error = await #expect(throws: MySQLError.self) { try await two.master(epoch: 7, seen: "") }
            #expect(error?.number == 1062)
            let again = try await LedgerSession.open(
                options, server: .b, agent: "web1", cluster: "shop", deadline: .after(.seconds(10)))
            #expect(again == nil, "two agents of one name")
            await one.close()
            await two.close()
        }
    }
}

extension Configuration {
    static func forElection(agent: String, server: MySQLServer) -> Configuration {
        Configuration(
            cluster: "shop", mode: .routerLed, agents: [], workingDirectory: "/nowhere",
            agent: .init(name: agent, interval: .seconds(1), probeTimeout: .seconds(2)),
            servers: .init(a: .tcp(host: "127.0.0.1", port: 1), b: server.address),
            credentials: .init(user: "watchdog", password: Secret("x"), tls: .disabled, caFile: nil),
            replication: .init(user: "repl", password: Secret("y"), peer: nil),
            router: .init(
                address: .tcp(host: "127.0.0.1", port: 2), configFile: "/nowhere", section: "routing:x", restart: [],
                stop: [], destinations: .primaryFirst),
            safety: .init(maxLostTransactions: 0, drainTimeout: .seconds(20), operationTimeout: .seconds(120)))
    }
}

extension Observation {
    static func crashed(replica facts: ServerFacts, _ configuration: Configuration) -> Observation {
        let old = ServerFacts(uuid: "aaaaaaaa-0000-0000-0000-000000000001", serverID: 4_000_000)
        var replica = facts
        replica.channels = [ReplicationChannel(sourceHost: "127.0.0.1", sourcePort: 1, sourceUUID: old.uuid)]
        return Observation(a: .up(old), b: .up(replica), router: .leadsTo(uuid: facts.uuid))
    }
}
