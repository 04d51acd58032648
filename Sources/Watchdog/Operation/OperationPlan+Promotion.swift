extension OperationPlan {
    /// The old primary answers: it is fenced, and everything that it has is here.
    static func promotion(of id: ServerID, undrained: String, _ context: OperationContext) -> OperationPlan {
        let isQuorum = context.rules != nil
        let reason: PromotionReason = isQuorum ? .switchover : .routersMoved
        return OperationPlan(
            [.requireFenced(id.other)] + (isQuorum ? [.endBackups(id)] : [])
                + [.stopReplication(id), .requireDrained(id, undrained: undrained)]
                + (isQuorum ? [.disableSemiSync(id)] : [])
                + record(id, reason, heard: nil, context))
    }

    /// The old primary is lost: what is found here decides, and what those know who have followed.
    static func promotion(of id: ServerID, reason: PromotionReason, _ context: OperationContext) -> OperationPlan {
        let facts = context.seen.facts(id)
        // An operation that others begin anew has a higher epoch than the record that was made in it: from that record
        // there is no way back, and what has arrived since then is none of the new primary's.
        var recordedIn = context.epoch
        if let facts, let promotion = facts.promotion, promotion.primary == facts.uuid,
            let begun = context.ledger?.begun, promotion.epoch >= begun.epoch
        {
            recordedIn = promotion.epoch
        }
        return OperationPlan(
            [
                .allowRecord(id), .endBackups(id), .stopReplication(id),
                .requireApplied(id, recordedIn: recordedIn, acceptLoss: facts?.quorum?.lossAccepted == true),
                .disableSemiSync(id),
            ] + record(id, reason, heard: context.ledger?.rows.last?.id ?? 0, context))
    }

    /// On record before the channel goes: an empty channel without a record says only that somebody took it away.
    private static func record(_ id: ServerID, _ reason: PromotionReason, heard: UInt64?, _ context: OperationContext)
        -> [Command]
    {
        [
            .wakeEvents(id), .recordPromotion(id, epoch: context.epoch, reason: reason, heard: heard),
            .resetChannel(id),
        ]
    }

    /// After a promotion nothing more is asked: a majority has turned away from the other server, and no router leads
    /// there. Where nothing was promoted, the other server is held by the operation lock and looked at meanwhile; if it
    /// does not answer, a majority of agents must see the primary at this very moment.
    static func opening(_ id: ServerID, _ context: OperationContext) -> OperationPlan {
        let open: [Command] = [.liftSuperReadOnly(id), .liftReadOnly(id)]
        guard context.rules != nil else { return OperationPlan(open) }
        // Whatever happens to it, it starts closed. A new primary lets in whom the old one let in: offline_mode is somebody's
        // will only where it was that of the primary.
        if context.ledger?.kind == .failover {
            let admits = context.seen.facts(id)?.isOffline == true && context.admitted[id.other] == true
            return OperationPlan(
                [.persistClosed(id)] + (admits ? [.liftOfflineMode(id)] : []) + open, isLong: true)
        }
        // A primary that is opened again may be taken for synchronous by the agents: it must be so before its first
        // commit. After a promotion none takes it for that (`DurableState.sync`), and it has no replica yet.
        let prepare: [Command] = [.persistClosed(id), .enableSemiSync(id)]
        guard context.seen.facts(id.other) != nil else {
            return OperationPlan(prepare + [.requireMajority(id)] + open, isLong: true)
        }
        let since = context.seen.facts(id)?.promotion?.epoch ?? 0
        return onOther(id.other, [.requireNoFailover(to: id.other, since: since)] + prepare + open)
    }
}
