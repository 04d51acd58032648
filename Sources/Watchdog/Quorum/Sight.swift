/// One look of an agent that decides with others: what was seen, and when it was asked for. Times are milliseconds of
/// the agent's own monotonic clock; nothing here rests on the clocks of two machines agreeing.
public struct Sight: Sendable {
    public var seen: Observation
    /// Before the first question of this look left. What an answer allows counts from here.
    public var askedAt: Int64
    public var now: Int64
    /// When the standing session on a server last had an answer; nil while there is none.
    public var pongA: Int64?
    public var pongB: Int64?
    /// The local router is stopped, and was seen to be.
    public var routerCut: Bool
    /// The server on which this agent's writes hang, and for how long.
    public var stall: (on: ServerID, time: Int64)?

    public init(
        seen: Observation, askedAt: Int64, now: Int64, pongA: Int64? = nil, pongB: Int64? = nil,
        routerCut: Bool = false,
        stall: (on: ServerID, time: Int64)? = nil
    ) {
        self.stall = stall
        self.seen = seen
        self.askedAt = askedAt
        self.now = now
        self.pongA = pongA
        self.pongB = pongB
        self.routerCut = routerCut
    }

    func stall(_ id: ServerID) -> Int64 { stall.map { $0.on == id ? $0.time : 0 } ?? 0 }

    func pong(_ id: ServerID) -> Int64? { id == .a ? pongA : pongB }
}

/// What an agent is to do after a look. In this order: what changed in `kept` goes to disk, locks that are not named
/// here are given back, the router is cut, locks are taken, the router is led, the step is done.
public struct Orders: Sendable {
    public enum Router: Sendable, Hashable {
        /// Leave it as it is.
        case keep
        /// Close it: this host must not write.
        case cut
        case lead(to: ServerID)
    }
    public enum Vote: Sendable, Hashable {
        /// The other server is silent, and this host's router is closed.
        case cut
        /// The other server's process is gone.
        case dead
    }
    public struct Locks: Sendable, Hashable {
        public var alive: ServerID?
        public var async: ServerID?
        /// The server that the vote lies on: it is cast against the other one.
        public var voteOn: ServerID?
        public var vote: Vote?
    }

    public var locks = Locks()
    public var router = Router.keep
    public var step = Step.none("")
    /// The next look should come at once.
    public var urgent = false
}
