/// Whether an agent on another host goes by this one's name, as one that was made from a copy of its machine does. The two
/// share one place in every count: on the two sides of a partition each could be the one that makes a majority.
struct NameWatch: Sendable {
    /// Since when the name is known to be held from another host. One look in which both servers say that it is not ends
    /// that: a server alone may have lost the other one's session with the partition that the two are on the sides of.
    private var taken: Int64?
    /// Since when it is not, answer by answer, and when the last one came.
    private var free = PerServer<(since: Int64, last: Int64)>()
    /// Since when this agent has held it on both servers.
    private var heldSince: Int64?
    /// It has held it long enough on both: whoever comes after it is the other one.
    private(set) var isSettled = false

    /// How long the other one must be seen: by an agent that is new to the name, by one that has held it for long.
    private static let newcomer: Int64 = 5_000
    private static let settled: Int64 = 15_000
    /// How long nobody else must hold it, on both servers, before this agent goes by it again; or this agent alone.
    private static let absence: Int64 = 30_000
    /// How long a server may be silent meanwhile.
    private static let gap: Int64 = 5_000

    /// The name is held from another host on some server.
    var isTaken: Bool { taken != nil }

    /// - Parameter isDouble: what came of it before.
    /// - Returns: whether this agent is one of two.
    mutating func after(_ observation: TimedObservation, isDouble: Bool) -> Bool {
        let now = observation.now
        var freeNow = 0
        for id in ServerID.allCases {
            guard let quorum = observation.seen.facts(id)?.quorum else {
                // A single answer that is late says nothing.
                if let last = free[id]?.last, now - last > Self.gap { free[id] = nil }
                continue
            }
            if quorum.nameHeldElsewhere {
                taken = taken ?? now
                free[id] = nil
            } else {
                freeNow += 1
                free[id] = (free[id]?.since ?? now, now)
            }
        }
        if freeNow == ServerID.allCases.count { taken = nil }
        noteHeld(observation)
        if isDouble {
            isSettled = false
            return !ServerID.allCases.allSatisfy { free[$0].map { now - $0.since >= Self.absence } ?? false }
        }
        let limit = isSettled ? Self.settled : Self.newcomer
        return taken.map { now - $0 >= limit } ?? false
    }

    private mutating func noteHeld(_ observation: TimedObservation) {
        guard ServerID.allCases.allSatisfy({ observation.pong($0) != nil && free[$0] != nil }) else {
            heldSince = nil
            return
        }
        let since = heldSince ?? observation.now
        heldSince = since
        if observation.now - since >= Self.absence { isSettled = true }
    }
}
