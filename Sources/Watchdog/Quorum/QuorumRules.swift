/// What quorum mode goes by: who counts, and how long things take. All times in milliseconds.
///
/// The arithmetic (Documentation/Failover.md): an agent keeps its router open to the primary for at most `lease` after
/// it last *asked* a question whose answer allowed it, and closes it within `closeLimit`. A server forgets the `seesPrimary` locks
/// of those who are gone after `sessionTimeout`. A host whose agent dies or hangs has its router closed by the host's
/// own supervisor (`router.bound`) within `supervisor` and `closeLimit`. So when a majority has turned away from the primary
/// and promised so, every router is closed `fenceWait` later, whether its agent could be asked or not.
package struct QuorumRules: Sendable, Hashable {
    package var agents: [String]
    /// This agent's place in `agents`.
    package var own: Int
    package var interval: Int64
    package var probeTimeout: Int64
    /// wait_timeout of the sessions that hold an agent's locks.
    package var sessionTimeout: Int64 = 3_000
    package var lease: Int64 = 3_000
    /// Longest time for closing a router.
    package static let closeLimit: Int64 = 2_000
    /// Longest time in which a bound router is gone after its agent: TimeoutStopSec= of the router's unit.
    static let boundStop: Int64 = 2_000
    /// WatchdogSec= of every agent's unit, at most (`SupervisorLimit`).
    package var supervisor: Int64 = 3_000
    /// Silence after which a server that nobody refuses for counts as down.
    package var downAfter: Int64
    /// Progress of the replica's receiver that is younger than this vouches for the primary.
    package var vouch: Int64 = 3_000
    /// A promotion that is on record, and was not at a look so long ago, opens a router to the promoted server without
    /// a majority there. Whoever replaces that server has a majority that has turned away from it after the record was
    /// made, and waits `fenceWait` from then: this and a lease and the closing of a router are over before.
    package var freshPromotion: Int64 = 2_000
    /// How long the semi-synchronous primary may wait for a replica that is gone before the agents let it go on.
    package var asyncAfter: Int64 = 5_000
    /// No automatic failover for so long after one that has finished; 0: never held back.
    package var blockPeriod: Int64
    package var failoversPerDay: Int
    /// Rebuilds of the replica within a day after which the next one waits for an operator.
    package var rebuildsPerDay = 1_000
    /// The same, of one cause.
    package var rebuildsPerCause = 1_000
    package var maxLost: UInt64
    /// The operator's word that a router stops when its agent does.
    package var bound: Bool
    package var fenceCommand: Bool
    package var drainTimeout: Int64
    /// Writes that hang for so long count like silence; 0: they are reported only.
    package var stalledAfter: Int64 = 0

    package init(
        agents: [String], own: Int, interval: Int64 = 1_000, probeTimeout: Int64 = 2_000, blockPeriod: Int64 = 0,
        failoversPerDay: Int = 1_000, maxLost: UInt64 = 0, bound: Bool = false, fenceCommand: Bool = false,
        drainTimeout: Int64 = 60_000
    ) {
        self.agents = agents
        self.own = own
        self.interval = interval
        self.probeTimeout = probeTimeout
        self.blockPeriod = blockPeriod
        self.failoversPerDay = failoversPerDay
        self.maxLost = maxLost
        self.bound = bound
        self.fenceCommand = fenceCommand
        self.drainTimeout = drainTimeout
        downAfter = max(4 * interval, 2 * probeTimeout)
    }

    package var majority: Int { agents.count / 2 + 1 }
    package func isMajority(_ set: AgentSet) -> Bool { set.count >= majority }
    package var everybody: AgentSet { AgentSet(agents.indices) }
    package var fenceWait: Int64 { sessionTimeout + max(lease, supervisor) + closing + interval }
    /// A router that its agent cannot close goes with the agent's process, which ends itself at the limit.
    private var closing: Int64 { Self.closeLimit + (bound ? Self.boundStop : 0) }
    /// The longest for which a router stays open that nobody looked after: as long as a lock outlives the agent that took
    /// it, and a lease.
    package var unseenLease: Int64 { sessionTimeout + interval + lease }
    package var name: String { agents[own] }
    package func index(_ agent: String) -> Int? { agents.firstIndex(of: agent) }
}
