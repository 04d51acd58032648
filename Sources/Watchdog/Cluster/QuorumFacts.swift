/// What a server that is up says about the agents: who holds which lock there, and what operators have asked for.
package struct QuorumFacts: Sendable, Hashable {
    /// Agents that hold `alive` here: each sees this server as the primary, and has seen nothing that it lacks.
    package var seesPrimary = AgentSet()
    /// Agents that hold `unreachable` here: the other server does not answer them, and their router is closed.
    package var unreachable = AgentSet()
    /// Agents that hold `dead` here: the other server's process is gone, it refuses connections.
    package var dead = AgentSet()
    /// Agents that have put on disk that this server's replication is asynchronous.
    package var async = AgentSet()
    /// Agents that say here that they cannot turn their router.
    package var routersStuck = AgentSet()
    /// Agents that are connected here but go by another configuration, with how it differs.
    package var strangers: [String: String] = [:]
    /// Agents of this configuration that are connected here.
    package var here = AgentSet()
    /// The name of the agent that asks is held here by a session from another host.
    package var nameHeldElsewhere = false
    /// Agents of which there are two: those that know it of themselves say so here. Nil where that was not asked this time.
    package var doubles: Set<String>?
    /// Other lists by which agents go that are connected here; nil where that was not asked this time.
    package var lists: [AgentList]?
    /// What members of such lists hold here, by the list's digest.
    package var listCounts: [String: ListCount] = [:]
    package var semiSync = SemiSync()
    /// Whether the server starts with super_read_only, by its persisted variables.
    package var bootsClosed = true
    /// Changes whenever the receiver here has heard from its source.
    package var receiverMark: UInt64 = 0
    package var control = Control()
    /// The agents' tables are there (`LedgerSchema.standing`), and as the agents make them.
    package var recorded = false
    /// Tables by the names of the agents' own which are not as they make them.
    package var misshapen: Set<String> = []
    /// The newest row of the history names a server that is not known.
    package var foreignRecord = PromotionRecord.Foreign.none
    /// An operator waits here for a switchover to this server, for a failover to it, for one with loss.
    package var switchoverAsked = false
    package var failoverAsked = false
    package var lossAccepted = false
    /// An operator waits here for this server, the primary, to be opened in spite of a pause, which is to end.
    package var resumeAsked = false
    /// When the server's process was started, in seconds by its own clock, give or take one.
    package var started: Int64?
    /// What it has received as a replica survives a crash.
    package var keepsReceived = false
    /// An operator says that this server is to be gone by although the other one does not answer.
    package var trustAsked = false

    /// Why the same GTIDs need not mean the same data here: filters, errors that are skipped. Empty where they do.
    package var filtered = ""
    /// What a new session has met here, where this was said by an older one.
    package var login: LoginTrouble?

    package init() {}

    /// Everybody who votes, here, that the other server is down.
    package var votes: AgentSet { unreachable.union(dead) }
}

/// Semi-synchronous replication of a server as source.
/// https://dev.mysql.com/doc/refman/8.4/en/replication-semisync.html
package struct SemiSync: Sendable, Hashable {
    /// The source plugin is there.
    package var installed = false
    package var enabled = false
    /// Rpl_semi_sync_source_status: commits wait for a replica.
    package var active = false
    /// Connections of replicas that acknowledge.
    package var clients = 0
    /// server_uuids of the replicas that have such connections, one for each: a connection of before counts until the
    /// server notices that it is dead. Fewer than `clients` where performance_schema is off or has no room.
    package var acknowledgers: [String] = []
    /// Sessions that wait for a replica's acknowledgement at this moment.
    package var waiting = 0
    /// How many acknowledgements each commit waits for (rpl_semi_sync_source_wait_for_replica_count).
    package var wanted = 1
    /// AFTER_SYNC, a timeout of an hour or more, and wait_no_replica: nothing is acknowledged that no replica has.
    package var withoutFallback = false

    package init() {}

    /// Milliseconds, an hour: longer than any replica's restart, so that a commit is never acknowledged for want of
    /// patience.
    static let longTimeout = 3_600_000

    /// Whether a commit gets as many acknowledgements as it waits for, by the connections that there are.
    var hasEnoughClients: Bool { clients >= max(1, wanted) }

    /// Whether every commit that a client is told of is on a replica that acknowledges.
    package var guarantees: Bool { active && withoutFallback }

    /// Whose acknowledgement a primary's commits have.
    enum Acknowledgement {
        /// The replica's, and nobody else's.
        case replica
        /// A third server's word may do, and it says nothing of what the replica has.
        case elsewhere
        /// The server cannot say whose.
        case unnamed
    }

    /// By the primary's word alone, of one moment: what the replica says of itself would be of another.
    /// - Parameter replica: the server_uuid of the other server.
    /// - Returns: nil where nobody acknowledges.
    func acknowledgement(of replica: String?) -> Acknowledgement? {
        guard clients > 0 else { return nil }
        if acknowledgers.contains(where: { $0 != replica }) { return .elsewhere }
        return acknowledgers.count < clients ? .unnamed : .replica
    }
}

/// What operators and earlier operations left in `repl_watchdog`, the same on both servers.
package struct Control: Sendable, Hashable {
    /// Automatic operations are held back.
    package var paused = false
    /// Failovers up to this epoch are acknowledged: no block period for them.
    package var acknowledged: UInt64 = 0
    /// Age in milliseconds of the newest automatic failover on record, by the server's clock; nil: none.
    package var lastFailover: Int64?
    package var failoversToday = 0
    /// Rebuilds that were begun within a day, since the last `ack`: all, and by cause (`RebuildReason.cause`).
    package var rebuildsToday = 0
    package var rebuildCauses: [String: Int] = [:]

    package init() {}
}
