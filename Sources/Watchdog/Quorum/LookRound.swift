/// One round of asking both servers, for a loop that does not wait for one that is silent. Times are milliseconds of the
/// agent's own clock.
struct LookRound: Sendable {
    /// When each server was asked whose answer is not taken yet, and the answer.
    private var asked = PerServer<Int64>()
    private var answers = PerServer<ServerView>()
    /// What is known of a server that was silent the last time: it is not waited for.
    private var silent = PerServer<ServerView>()
    /// Which of the two waits are over.
    private var waited = 0

    /// How long a server that was silent the last time is waited for, and how long any other. Who has answered is not kept
    /// from acting by one who has not: a router's lease lasts for some of these rounds.
    private static let patience: [Int64] = [40, 1_000]

    /// - Returns: the servers that are to be asked; one that has not answered yet is not asked again.
    mutating func begin(at now: Int64) -> [ServerID] {
        waited = 0
        let new = ServerID.allCases.filter { asked[$0] == nil }
        for id in new { asked[id] = now }
        return new
    }

    /// - Returns: false for an answer that nobody waits for.
    mutating func answered(_ id: ServerID, _ view: ServerView) -> Bool {
        guard asked[id] != nil else { return false }
        answers[id] = view
        return true
    }

    /// How long is to be listened next.
    var wait: Int64 { waited == 0 ? Self.patience[0] : Self.patience[1] - Self.patience[0] }

    /// One wait is over.
    mutating func listened() { waited += 1 }

    /// Every server has answered, or those that have not were waited for: what such a one says counts when it comes, from
    /// the moment when it was asked.
    var isComplete: Bool {
        for id in ServerID.allCases where answers[id] == nil {
            guard waited > (silent[id] == nil ? 1 : 0) else { return false }
        }
        return true
    }

    /// - Returns: what the server is known to be, and when it was asked.
    mutating func take(_ id: ServerID, at now: Int64) -> (ServerView, Int64) {
        guard let view = answers[id], let askedAt = asked[id] else {
            return (silent[id] ?? .downSoft("no answer yet"), now)
        }
        answers[id] = nil
        asked[id] = nil
        switch view {
        case .downSoft, .stalled: silent[id] = view
        case .up, .refusing, .downHard, .ownFault: silent[id] = nil
        }
        return (view, askedAt)
    }
}
