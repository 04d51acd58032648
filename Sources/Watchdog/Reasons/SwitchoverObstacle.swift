/// What an operator's switchover waits for; repair goes on meanwhile.
package enum SwitchoverObstacle: Sendable, Hashable {
    case notAsked
    case replicationStopped(ServerID)
    case offline(ServerID)
    case behind(ServerID, transactions: UInt64)
    case late(ServerID, milliseconds: Int64)
    case listsDisagree
    case noMajority(ServerID)

    /// Without the number that passes by itself.
    var lasting: SwitchoverObstacle {
        switch self {
        case .behind(let id, _): .behind(id, transactions: 0)
        case .late(let id, _): .late(id, milliseconds: 0)
        case .notAsked, .replicationStopped, .offline, .listsDisagree, .noMajority: self
        }
    }

    package var code: Reason.Code {
        switch self {
        case .notAsked: .notNeeded
        case .replicationStopped: .replicationStopped
        case .offline: .replicaOffline
        case .behind, .late: .replicaBehind
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
        case .late(let id, let late):
            "\(id) is \(late / 1000) s behind: see its applier, and whose locks it waits for (performance_schema.data_lock_waits, "
                + "metadata_locks)"
        case .listsDisagree: "agents go by two lists, give every agent the same"
        case .noMajority(let id): "no majority of agents sees \(id)"
        }
    }
}
