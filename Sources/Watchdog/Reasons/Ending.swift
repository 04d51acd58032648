import MySQLWire

/// Why an operation ends without having come to its aim, or is not begun.
package enum Ending: Sendable, Hashable {
    case notNeeded
    /// Router-led mode: the state asks for no operation any more.
    case notAskedFor(ClusterState, summary: String)
    case notLost(ServerID)
    case answersAgain(ServerID)
    case notThePrimary(ServerID)
    case notOpen(ServerID)
    case serverSilent(ServerID, reason: String)
    case halfMadeCopy(ServerID)
    case replicatesFromNobody(ServerID)
    case catchUpTimeout(ServerID, milliseconds: Int64)
    case applyTimeout(ServerID, transactions: UInt64)
    case applierBroken(ServerID, error: String)
    case cannotApply(ServerID, GTIDSet, error: String)
    case sourceUnreachable(ServerID, from: ServerID, error: String)
    case stepFailed(String)
    /// In router-led mode.
    case routers(RouterDisagreement)
}

extension Ending {
    package var code: Reason.Code {
        switch self {
        case .notNeeded, .notAskedFor: .notNeeded
        case .notLost: .notLost
        case .answersAgain: .answersAgain
        case .notThePrimary: .notThePrimary
        case .notOpen: .notOpen
        case .serverSilent: .serverSilent
        case .halfMadeCopy: .halfMadeCopy
        case .replicatesFromNobody: .replicatesFromNobody
        case .catchUpTimeout: .catchUpTimeout
        case .applyTimeout: .applyTimeout
        case .applierBroken: .applierBroken
        case .cannotApply: .cannotApply
        case .sourceUnreachable: .sourceUnreachable
        case .stepFailed: .stepFailed
        case .routers(let disagreement): disagreement.code
        }
    }

    package var text: String {
        switch self {
        case .notNeeded: "no operation is needed any more"
        case .notAskedFor(let state, let summary):
            "state \(state.rawValue) asks for no operation" + (summary.isEmpty ? "" : ": \(summary)")
        case .notLost(let id): "\(id) is not lost any more"
        case .answersAgain(let id): "\(id) answers again, and nobody asks for a switchover"
        case .notThePrimary(let id): "\(id) is not the primary it should be"
        case .notOpen(let id): "\(id) is not open any more"
        case .serverSilent(let id, let reason): "\(id) \(reason)"
        case .halfMadeCopy(let id): "\(id) is a half-made copy and must not be promoted"
        case .replicatesFromNobody(let id): "\(id) replicates from nobody, and nothing says since when"
        case .catchUpTimeout(let id, let limit): "\(id) did not catch up within \(limit) ms"
        case .applyTimeout(let id, let count): "\(id) has not applied \(count) received transactions in time"
        case .applierBroken(let id, let error): "\(id): \(error)"
        case .cannotApply(let id, let set, let error): "\(id) cannot apply \(set): \(error)"
        case .sourceUnreachable(let id, let source, let error): "\(id) does not reach \(source): \(error)"
        case .stepFailed(let error): error
        case .routers(let disagreement): disagreement.text
        }
    }
}
