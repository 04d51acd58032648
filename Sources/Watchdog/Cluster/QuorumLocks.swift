import MySQLWire

/// The names of the locks by which agents tell each other what they see. They write nothing, work on a server that is
/// closed, and end with the session that holds them.
struct QuorumLocks: Sendable {
    let cluster: String
    let agents: [String]
    let digest: String

    init(_ configuration: Configuration) {
        cluster = configuration.cluster
        agents = configuration.agents
        digest = ConfigurationDigest(configuration).short
    }

    enum Kind: String, Sendable, CaseIterable {
        /// Sees the server as the primary it should be.
        case seesPrimary = "primary"
        /// Votes against the other server: silent, and this host's router is closed.
        case unreachable
        /// Votes against the other server: its process is gone.
        case dead
        /// Has put on disk that the primary goes on without its replica.
        case async
        /// This host's router could not be turned to the primary, several times over.
        case routerStuck = "router"
        /// Is connected, and goes by this configuration.
        case here
    }

    /// Only agents of one configuration count each other: its digest is in the name.
    func name(_ kind: Kind, _ agent: String) -> String { name(kind, agent, digest) }

    private func name(_ kind: Kind, _ agent: String, _ digest: String) -> String {
        LedgerSchema.lock(cluster, "\(kind.rawValue):\(digest):\(agent)")
    }

    /// An expression with the number of a list's members that hold one of these, by whichever list they go; beside
    /// `AgentLock.own`, as all of these are.
    func count(_ kinds: [Kind], of list: AgentList, among lists: [AgentList]) -> String {
        guard !list.names.isEmpty else { return "0" }
        let digests = Set(lists.map(\.digest) + [digest]).sorted()
        return list.names.map { agent in
            let held = kinds.flatMap { kind in
                digests.map { AgentLock.held(name(kind, agent, $0)) }
            }
            return "(\(held.joined(separator: " OR ")))"
        }.joined(separator: " + ")
    }

    /// Held by an agent of any configuration.
    func presence(_ agent: String) -> String { LedgerSchema.lock(cluster, "present:\(agent)") }

    /// Held by an agent that knows another one of its name.
    func double(_ agent: String) -> String { LedgerSchema.lock(cluster, "double:\(agent)") }

    static func switchover(_ cluster: String) -> String { LedgerSchema.lock(cluster, "request:switchover") }
    static func failover(_ cluster: String) -> String { LedgerSchema.lock(cluster, "request:failover") }
    static func resume(_ cluster: String) -> String { LedgerSchema.lock(cluster, "request:resume") }
    static func trust(_ cluster: String) -> String { LedgerSchema.lock(cluster, "request:trust") }
    static func loss(_ cluster: String) -> String { LedgerSchema.lock(cluster, "request:accept-loss") }

    /// An expression with a digit for every agent: 1 where the lock is held.
    func column(_ kind: Kind) -> String { column(agents.map { name(kind, $0) }) }

    var presenceColumn: String { column(agents.map(presence)) }

    var doublesColumn: String { column(agents.map(double)) }

    private func column(_ names: [String]) -> String {
        "CONCAT(" + names.map(AgentLock.held).joined(separator: ",") + ")"
    }

    /// An expression that is true while a majority holds the lock, of the own list and of every other one that somebody
    /// goes by. Complete in itself.
    func majority(_ kind: Kind, foreign: [AgentList] = []) -> String {
        let sum = agents.map { "(\(AgentLock.held(name(kind, $0))))" }.joined(separator: " + ")
        return AgentLock.alone(
            (["(\(sum)) >= \(agents.count / 2 + 1)"]
                + foreign.map { "(\(count([kind], of: $0, among: foreign))) >= \($0.majority)" })
                .joined(separator: " AND "))
    }

    static func set(_ digits: String?) -> AgentSet {
        AgentSet((digits ?? "").enumerated().filter { $0.element == "1" }.map(\.offset))
    }
}
