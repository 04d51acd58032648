import MySQLWire

/// Why a server was made primary. Its code and its sentence stand in `repl_watchdog.history`.
package enum PromotionReason: Sendable, Hashable {
    /// An operator asked for it, and nothing was lost.
    case switchover
    /// Router-led mode: the routers have moved to the replica.
    case routersMoved
    /// The primary is lost; what was known of transactions that go with it.
    case primaryLost(ServerID, Assessment.Evidence, loss: String)
    /// An operator gives up what the replica cannot apply.
    case lossAccepted(GTIDSet)
    /// A promotion that is on record already is gone through with.
    case onRecord

    package var code: Reason.Code {
        switch self {
        case .switchover: .switchover
        case .routersMoved: .routersMoved
        case .primaryLost(_, let evidence, _): evidence.code
        case .lossAccepted: .lossAccepted
        case .onRecord: .onRecord
        }
    }

    package var text: String {
        switch self {
        case .switchover: "asked for by an operator"
        case .routersMoved: "the routers lead to the replica"
        case .primaryLost(let id, _, let loss): "\(id) is lost: \(loss)"
        case .lossAccepted(let set): "an operator accepts the loss of \(set)"
        case .onRecord: "the promotion is on record"
        }
    }

    /// As the column `reason` of `repl_watchdog.history` holds it: `<code>: <sentence>`. Up to the first colon it is for
    /// programs, by `isNoFailover` for one; a column of its own would have to be added to tables that are there, on a
    /// server that somebody may hold for a backup at that moment.
    package var recorded: String { "\(code.rawValue): \(text)" }

    /// The condition by which SQL knows a row that counts as no failover: a planned change, or one more row of a promotion
    /// that has its own.
    static let isNoFailover =
        "(SUBSTRING_INDEX(reason, ':', 1) IN ('\(Reason.Code.switchover.rawValue)', '\(Reason.Code.onRecord.rawValue)'))"
}

extension Assessment.Evidence {
    package var code: Reason.Code {
        switch self {
        case .dead: .primaryDead
        case .silent: .primarySilent
        case .stalled: .primaryStalled
        case .incomplete: .primaryIncomplete
        }
    }
}
