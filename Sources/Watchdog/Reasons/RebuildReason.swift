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

extension RebuildReason {
    /// Why nothing but a rebuild brings a replica back; nil where it replicates, or would if it were started.
    package init?(_ replica: ServerFacts, from source: ServerFacts, primary: ServerID) {
        if let marker = replica.rebuilding {
            self = .unfinishedCopy(source: marker.source)
            return
        }
        switch replica.channels.first?.health {
        // Also where the source has purged nothing that is missing: one that had lost its last transactions, refused its
        // replica for having them, and has made others by the same GTIDs since, would not be refused any more.
        case .broken(let error)?: self = .replicationBroken(error)
        case .running?, .disconnected?: return nil
        case .stopped?, .interrupted?, nil:
            // What the primary itself made may wait there for an acknowledgement: the source says at the connect whether
            // it is lost.
            let purged = source.purged.subtracting(replica.executed)
            if !replica.executed.errant(beside: source.executed, of: source.uuid).isEmpty {
                self = .errant(replica.executed.subtracting(source.executed), primary: primary)
            } else if !purged.isEmpty {
                self = .purged(purged, primary: primary)
            } else {
                return nil
            }
        }
    }
}
