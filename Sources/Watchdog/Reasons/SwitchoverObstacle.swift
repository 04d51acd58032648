/// What an operator's switchover waits for; repair goes on meanwhile.
package enum SwitchoverObstacle: Sendable, Hashable {
    case notAsked
    case replicationStopped(ServerID)
    case offline(ServerID)
    case behind(ServerID, transactions: UInt64)
    case listsDisagree
    case noMajority(ServerID)

    /// Without the number that passes by itself.
    var lasting: SwitchoverObstacle {
        if case .behind(let id, _) = self { return .behind(id, transactions: 0) }
        return self
    }

    package var code: Reason.Code {
        switch self {
        case .notAsked: .notNeeded
        case .replicationStopped: .replicationStopped
        case .offline: .replicaOffline
        case .behind: .replicaBehind
        case .listsDisagree: .listsDisagree
        case .noMajority: .noMajority
        }
    }

    package var text: String {
        switch self {
        case .notAsked: "not asked for"
        case .replicationStopped(let id): "replication on \(id) does not run"
        case .offline(let id):
            "\(id) is in offline_mode and would let nobody in but administrators: SET GLOBAL offline_mode = OFF there first"
        case .behind(let id, let count): "\(id) is \(count) transactions behind"
        case .listsDisagree: "agents go by two lists, give every agent the same"
        case .noMajority(let id): "no majority of agents sees \(id)"
        }
    }
}
