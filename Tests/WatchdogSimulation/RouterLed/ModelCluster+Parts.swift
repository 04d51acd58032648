import MySQLWire
import Watchdog

/// What the modelled servers and agents are made of.
extension ModelCluster {
    package static let uuidA = "aaaaaaaa-0000-0000-0000-000000000001"
    package static let uuidB = "bbbbbbbb-0000-0000-0000-000000000002"

    /// An agent of router-led mode that knows of no other.
    package static func configuration(_ agent: String) -> Configuration {
        configurations[agent] ?? .ofModel(.routerLed, agent: agent)
    }

    private static let configurations: [String: Configuration] = Dictionary(
        uniqueKeysWithValues: (1...4).map { ("web\($0)", .ofModel(.routerLed, agent: "web\($0)")) })

    package static func channel(
        from id: ServerID, _ change: (inout ReplicationChannel) -> Void = { _ in }
    ) -> ReplicationChannel {
        var channel = ReplicationChannel(
            sourceHost: id == .a ? "10.0.0.1" : "10.0.0.2", sourcePort: 3306, sourceUUID: id == .a ? uuidA : uuidB)
        change(&channel)
        return channel
    }

    static func facts(_ id: ServerID, _ change: (inout ServerFacts) -> Void = { _ in }) -> ServerFacts {
        var facts = ServerFacts(uuid: id == .a ? uuidA : uuidB, serverID: id == .a ? 1 : 2)
        change(&facts)
        return facts
    }
}
