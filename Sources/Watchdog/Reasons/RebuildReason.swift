import MySQLWire

/// Why a replica is rebuilt and does not go on from where it stands.
package enum RebuildReason: Sendable, Hashable {
    /// An earlier rebuild did not come to its end.
    case unfinishedCopy(source: String)
    /// The applier has stopped at an error that starting again does not mend: the data differ.
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
        // What the primary itself made may wait there for an acknowledgement: the source says at the connect whether it is
        // lost.
        let channel = replica.channels.first
        let purged = source.purged.subtracting(replica.executed)
        switch channel?.health {
        // The plan starts the applier once more before anything is touched (`requireBroken`).
        case .broken(let error)? where channel?.dataDiffer == true: self = .replicationBroken(error)
        case .broken(let error)? where channel?.isRefused == true:
            // What is received and not applied yet is not missing.
            let missing = purged.subtracting(channel?.retrieved ?? GTIDSet())
            if !missing.isEmpty {
                self = .purged(missing, primary: primary)
            } else if !replica.executed.lost(by: source.executed, of: source.uuid).isEmpty {
                // Refused for having more than its source; nothing is done to it while that is so.
                self = .replicationBroken(error)
            } else {
                return nil
            }
        case .running?, .disconnected?: return nil
        case .stopped?, .interrupted?, .broken?, nil:
            if !replica.executed.errant(beside: source.executed, of: source.uuid).isEmpty {
                self = .errant(replica.executed.subtracting(source.executed), primary: primary)
            } else if !purged.isEmpty {
                self = .purged(purged, primary: primary)
            } else {
                return nil
            }
        }
    }

    /// By what rebuilds are counted: those of one cause since the primary became one are the same trouble again.
    package func cause(_ replica: ServerID, _ facts: ServerFacts?, from source: ServerFacts?) -> String {
        let reign = source?.promotion?.epoch ?? 0
        switch self {
        case .unfinishedCopy: return "\(replica).\(code.rawValue)"
        case .replicationBroken:
            return "\(replica).\(code.rawValue).\(facts?.channels.first?.applierErrno ?? 0).\(reign)"
        case .errant, .purged: return "\(replica).\(code.rawValue).\(reign)"
        }
    }
}
