/// What agents write into the `event` column of `ongoing_failover.status`: exactly the seed's signals.
package enum Signal: Sendable, Hashable, CustomStringConvertible {
    /// The host is a candidate for operation master.
    case scan(host: String)
    /// The host is the operation master.
    case mast(host: String)
    /// The host is a follower in this operation.
    case folo(host: String)
    /// The operation master has done its work and waits for the followers.
    case maok(host: String)
    /// The follower has done its work.
    case fook(host: String)
    /// The server (host:port) that the routers must point to.
    case targ(socket: String)
    /// Which operation is running.
    case oper(OperationKind)

    /// Reads an event; nil if it is none of the seed's. Names are compared whole: web1 is not web10.
    package init?(_ text: String) {
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        switch parts[0] {
        case "SCAN": self = .scan(host: parts[1])
        case "MAST": self = .mast(host: parts[1])
        case "FOLO": self = .folo(host: parts[1])
        case "MAOK": self = .maok(host: parts[1])
        case "FOOK": self = .fook(host: parts[1])
        case "TARG": self = .targ(socket: parts[1])
        case "OPER":
            guard let kind = OperationKind(rawValue: parts[1]) else { return nil }
            self = .oper(kind)
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .scan(let host): "SCAN \(host)"
        case .mast(let host): "MAST \(host)"
        case .folo(let host): "FOLO \(host)"
        case .maok(let host): "MAOK \(host)"
        case .fook(let host): "FOOK \(host)"
        case .targ(let socket): "TARG \(socket)"
        case .oper(let kind): "OPER \(kind.rawValue)"
        }
    }
}

/// The two operations, by the seed's words.
package enum OperationKind: String, Sendable, Hashable {
    case failover = "fail"
    case recover = "repl"
}
