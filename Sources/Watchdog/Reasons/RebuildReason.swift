import MySQLWire

/// Why a replica is rebuilt and does not go on from where it stands.
package enum RebuildReason: Sendable, Hashable {
    /// An earlier rebuild did not come to its end.
    case unfinishedCopy(source: String)
    /// The receiver or the applier has stopped at an error that starting again does not mend.
    case replicationBroken(String)
    /// It holds transactions that the primary lacks.
    case errant(GTIDSet, primary: ServerID)
    /// It lacks transactions that the primary has purged.
    case purged(GTIDSet, primary: ServerID)

    package var code: Reason.Code {
        switch self {
        case .unfinishedCopy: .unfinishedCopy
        case .replicationBroken: .replicationBroken
        case .errant: .errantTransactions
        case .purged: .purgedTransactions
        }
    }

    package var text: String {
        switch self {
        case .unfinishedCopy(let source): "the copy of \(source) is unfinished"
        case .replicationBroken(let error): error
        case .errant(let set, let primary): "it holds \(set), which \(primary) lacks"
        case .purged(let set, let primary): "\(primary) has purged \(set), which it lacks"
        }
    }
}
