/// One look of an agent that decides with others: what was seen, and when it was asked for. Times are milliseconds of
/// the agent's own monotonic clock; nothing here rests on the clocks of two machines agreeing.
package struct TimedObservation: Sendable {
    package var seen: Observation
    /// Before the first question of this look left. What an answer allows counts from here.
    package var askedAt: Int64
    package var now: Int64
    /// When the standing session on a server last had an answer; nil while there is none.
    package var pongA: Int64?
    package var pongB: Int64?
    /// The local router is stopped, and was seen to be.
    package var routerClosed: Bool
    /// The server on which this agent's writes hang, and for how long.
    package var stall: (on: ServerID, time: Int64)?
    /// No step of this agent was under way when the servers were asked, nor is one: what they do not show has not been done.
    package var isSettled: Bool

    package init(
        seen: Observation, askedAt: Int64, now: Int64, pongA: Int64? = nil, pongB: Int64? = nil,
        routerClosed: Bool = false,
        stall: (on: ServerID, time: Int64)? = nil, isSettled: Bool = true
    ) {
        self.stall = stall
        self.isSettled = isSettled
        self.seen = seen
        self.askedAt = askedAt
        self.now = now
        self.pongA = pongA
        self.pongB = pongB
        self.routerClosed = routerClosed
    }

    func stall(_ id: ServerID) -> Int64 { stall.map { $0.on == id ? $0.time : 0 } ?? 0 }

    func pong(_ id: ServerID) -> Int64? { id == .a ? pongA : pongB }
}

/// What an agent is to do after a look. `QuorumMachine` has the order: the router is closed, locks that are not named here
/// are given back, what changed in `durable` goes to disk, locks are taken, the router is pointed to its server, the step is
/// done.
package struct Orders: Sendable {
    package enum Router: Sendable, Hashable {
        /// Leave it as it is.
        case keep
        /// Close it: this host must not write.
        case close
        case point(to: ServerID)
    }
    package enum Vote: Sendable, Hashable {
        /// The other server is silent, and this host's router is closed.
        case unreachable
        /// The other server's process is gone.
        case dead
    }
    package struct Locks: Sendable, Hashable {
        package var seesPrimary: ServerID?
        package var async: ServerID?
        /// The server that the vote lies on: it is cast against the other one.
        package var voteOn: ServerID?
        package var vote: Vote?
        /// Another host's agent goes by this one's name: it is given up on both servers, and that is shown instead.
        package var isDouble = false
    }

    package var locks = Locks()
    package var router = Router.keep
    package var step = Step.none(.nothingToDo)
    /// The next look should come at once.
    package var urgent = false
}
