import MySQLWire

/// Where the routers lead, in router-led mode, does not let an operation go on.
package enum RouterDisagreement: Sendable, Hashable {
    /// This host's cannot be turned.
    case stuck(ServerID, summary: String)
    /// Some lead to each server, and going either way loses something.
    case split(target: ServerID, missing: GTIDSet)
    case unknown(target: ServerID, missing: GTIDSet, agents: [String])
    case halfMoved
    case none(to: ServerID)
    case leadToReplica(ServerID)
    case otherTarget(String)

    package var code: Reason.Code {
        switch self {
        case .stuck: .routerStuck
        case .split: .routersSplit
        case .unknown: .routersUnknown
        case .halfMoved: .routersHalfMoved
        case .none: .noRouterLeads
        case .leadToReplica: .routersLeadToReplica
        case .otherTarget: .otherTarget
        }
    }

    package var text: String {
        switch self {
        case .stuck(let id, let summary): "this host's router cannot be turned to \(id): \(summary)"
        case .split(let id, let missing):
            "\(id) cannot apply \(missing) of \(id.other), and some routers still lead to \(id.other): point them all to "
                + "one server, or repair replication on \(id)"
        case .unknown(let id, let missing, let agents):
            "\(id) cannot apply \(missing) of \(id.other), and it is not known where the routers of "
                + (agents.isEmpty ? "other hosts" : agents.joined(separator: ", ")) + " lead"
        case .halfMoved: "only some routers have moved, and this host's cannot be turned back"
        case .none(let id): "no agent's router leads to \(id) any more"
        case .leadToReplica(let id): "routers lead to \(id): its data must not be replaced"
        case .otherTarget(let target): "TARG \(target) is not the server that the ledger lies on"
        }
    }
}
