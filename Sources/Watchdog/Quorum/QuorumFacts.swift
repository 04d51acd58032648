/// What a server that is up says about the agents: who holds which lock there, and what operators have asked for.
public struct QuorumFacts: Sendable, Hashable {
    /// Agents that hold `alive` here: each sees this server as the primary, and has seen nothing that it lacks.
    public var alive = AgentSet()
    /// Agents that hold `cut` here: the other server does not answer them, and their router is closed.
    public var cut = AgentSet()
    /// Agents that hold `dead` here: the other server's process is gone, it refuses connections.
    public var dead = AgentSet()
    /// Agents that have put on disk that this server's replication is asynchronous.
    public var async = AgentSet()
    /// Agents that are connected here but go by another configuration, with how it differs.
    public var strangers: [String: String] = [:]
    /// Agents of this configuration that are connected here.
    public var here = AgentSet()
    /// Other lists by which agents go that are connected here; nil where that was not asked this time.
    public var lists: [AgentList]?
    /// What members of such lists hold here, by the list's digest.
    public var listCounts: [String: ListCount] = [:]
    public var semiSync = SemiSync()
    /// Whether the server starts with super_read_only, by its persisted variables.
    public var bootsClosed = true
    /// Changes whenever the receiver here has heard from its source.
    public var receiverMark: UInt64 = 0
    public var control = Control()
    /// The agents' tables are there (`LedgerSchema.standing`), and as the agents make them.
    public var recorded = false
    /// Tables by the names of the agents' own which are not as they make them.
    public var misshapen: Set<String> = []
    /// The newest row of the history names a server that is not known.
    package var foreignRecord = PromotionRecord.Foreign.none
    /// An operator waits here for a switchover to this server, for a failover to it, for one with loss.
    public var switchoverAsked = false
    public var failoverAsked = false
    public var lossAccepted = false
    /// An operator waits here for this server, the primary, to be opened in spite of a pause, which is to end.
    public var resumeAsked = false

    /// Why the same GTIDs need not mean the same data here: filters, errors that are skipped. Empty where they do.
    public var filtered = ""
    /// server_uuids of those who replicate from here; asked only where more than one connection acknowledges.
    public var replicas: Set<String> = []
    /// What a new session has met here, where this was said by an older one.
    public var login: LoginTrouble?

    public init() {}

    /// Everybody who votes, here, that the other server is down.
    public var votes: AgentSet { cut.union(dead) }
}

/// Semi-synchronous replication of a server as source.
/// https://dev.mysql.com/doc/refman/8.4/en/replication-semisync.html
public struct SemiSync: Sendable, Hashable {
    /// The source plugin is there.
    public var installed = false
    public var enabled = false
    /// Rpl_semi_sync_source_status: commits wait for a replica.
    public var active = false
    /// Replicas that acknowledge.
    public var clients = 0
    /// This server, as a replica, acknowledges to its source.
    public var acknowledges = true
    /// Sessions that wait for a replica's acknowledgement at this moment.
    public var waiting = 0
    /// AFTER_SYNC, a timeout of an hour or more, and wait_no_replica: nothing is acknowledged that no replica has.
    public var withoutFallback = false

    public init() {}

    /// Milliseconds, an hour: longer than any replica's restart, so that a commit is never acknowledged for want of
    /// patience.
    static let longTimeout = 3_600_000

    /// Whether every commit that a client is told of is on a replica that acknowledges.
    public var guarantees: Bool { active && withoutFallback }
}

/// What operators and earlier operations left in `repl_watchdog`, the same on both servers.
public struct Control: Sendable, Hashable {
    /// Automatic operations are held back.
    public var paused = false
    /// Failovers up to this epoch are acknowledged: no block period for them.
    public var acknowledged: UInt64 = 0
    /// Age in milliseconds of the newest automatic failover on record, by the server's clock; nil: none.
    public var lastFailover: Int64?
    public var failoversToday = 0
    /// Rebuilds within a day, since the last `ack`.
    public var rebuildsToday = 0

    public init() {}
}
