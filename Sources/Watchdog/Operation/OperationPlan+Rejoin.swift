extension OperationPlan {
    /// Replication by GTID from where the server stands: nothing is destroyed.
    static func resumption(of replica: ServerID, from primary: ServerID, _ context: OperationContext) -> OperationPlan {
        // In router-led mode both servers take writes.
        let isQuorum = context.rules != nil
        return onOther(
            replica,
            (isQuorum ? [.requireNothingErrant(replica, from: primary)] : []) + [.nameSource(replica, from: primary)]
                + (isQuorum ? [.disableSemiSync(replica)] : []) + [.startReplication(replica, insisting: true)])
    }

    /// Nothing is touched before there is room, before what would stop the copy was looked for, and before the data that
    /// is there was saved; from the mark on the server is half a copy until the mark goes.
    static func rebuild(
        _ replica: ServerID, from primary: ServerID, why: RebuildReason, _ context: OperationContext
    ) -> OperationPlan {
        let (epoch, isQuorum) = (context.epoch, context.rules != nil)
        var commands: [Command] = [.requireRoom(replica), .requireCopyable(replica, from: primary)]
        if isQuorum { commands.append(.disableSemiSyncWhenAgreed(primary)) }
        commands += [
            .lockServer(replica), .fenceWrites(replica),
        ]
        if case .replicationBroken = why { commands.append(.requireBroken(replica)) }
        commands += [
            .stopReplication(replica), .requireRebuildable(replica, from: primary),
            .saveData(replica, from: primary, epoch: epoch),
        ]
        if isQuorum {
            let cause = why.cause(replica, context.seen.facts(replica), from: context.seen.facts(primary))
            commands.append(.noteRebuild(replica, on: primary, epoch: epoch, cause: cause))
        }
        commands += [
            .markForRebuild(replica, epoch: epoch), .resetChannel(replica),
            .copyData(replica, from: primary, epoch: epoch), .nameSource(replica, from: primary),
        ]
        if isQuorum { commands.append(.disableSemiSync(replica)) }
        commands += [
            .startReplication(replica, insisting: false), .removeMarker(replica, from: primary),
            .unlockServer(replica),
        ]
        // In router-led mode the server may have taken writes, and must do so again if nothing comes of it.
        let reopens = !isQuorum && context.ledger?.kind == .recover
        return OperationPlan(commands, onFailure: reopens ? [.reopenUnmarked(replica)] : [], isLong: true)
    }

    /// The end of an operation. In quorum mode a server that is not primary stays closed; one that was deposed with a
    /// ledger on it is fenced first: what hangs there would keep read_only away for ever. In router-led mode the other
    /// server takes writes again, for the routers move first and must find it open, unless one may still lead there.
    static func end(keepClosed: Bool, _ context: OperationContext) -> OperationPlan {
        guard let server = context.joined else { return OperationPlan([.clearLedger, .leave]) }
        let other = server.other
        var commands: [Command] = []
        if context.rules != nil {
            if let primary = context.primary, let facts = context.seen.facts(other), facts.ledger != nil,
                other != primary
            {
                let fence: [Command] = facts.superReadOnly ? [] : [.fenceWrites(other)]
                commands = onOther(other, fence + [.clearStaleLedger(other), .closeServer(other)]).commands
            }
        } else if context.ledger?.kind != nil, context.seen.facts(other) != nil {
            let end: [Command] =
                keepClosed ? [.closeServer(other)] : [.liftSuperReadOnly(other), .liftReadOnly(other)]
            commands = onOther(other, [.clearStaleLedger(other)] + end).commands
        }
        return OperationPlan(commands + clear(server, context), isLong: !commands.isEmpty)
    }

    /// Undoes what was done before a promotion.
    static func rollBack(_ context: OperationContext) -> OperationPlan {
        guard let server = context.joined else { return OperationPlan([.clearLedger, .leave]) }
        let other = server.other
        guard context.rules != nil else {
            // It may have been marked since the look that asked.
            let reopens = context.ledger?.kind != nil && context.seen.facts(other)?.rebuilding == nil
            guard reopens, context.seen.facts(other) != nil else { return OperationPlan(clear(server, context)) }
            var plan = onOther(other, [.reopenUnmarked(other)])
            plan.commands += clear(server, context)
            return plan
        }
        // From the promotion's record on there is no way back, and it may have been written after the look that asked.
        let known = ServerID.allCases.compactMap { context.seen.facts($0)?.promotion?.epoch }.max() ?? 0
        var commands: [Command] = [.requireNotPromoted(since: known)]
        if server != context.primary, context.seen.facts(server)?.channels.isEmpty == false {
            commands.append(.resumeReplication(server))
        }
        return OperationPlan(commands + clear(server, context))
    }

    /// Only what is known not to be the primary is closed.
    private static func clear(_ server: ServerID, _ context: OperationContext) -> [Command] {
        let closes = context.rules != nil && context.primary.map { $0 != server } ?? false
        return [.clearLedger] + (closes ? [.closeServer(server)] : []) + [.leave]
    }
}
