/// What the operation master does next. Everything is derived from what the servers say, so that another agent can go
/// on after any step.
extension QuorumPolicy {
    /// How long a planned change may keep the primary closed before it is called off.
    static let plannedLimit: Int64 = 8_000
    /// How close behind its target must be before the primary is closed for it.
    static let closeBehind: Int64 = 2_000
    static let followerGrace: Int64 = 2_000
    static let confirmGrace: Int64 = 10_000

    mutating func lead(_ assessment: Assessment, _ local: LocalStatus, _ ledger: Ledger, _ master: LedgerRow) -> Step {
        let (needed, blockedBy) = neededOperation(assessment)
        if isFailoverAttempt(assessment, ledger.server), !hasPromised(ledger, master) {
            // Nothing of this goes on before it is on disk again.
            durable.promise = DurableState.Promise(epoch: master.epoch, on: ledger.server)
            return .wait(.until(.majority(followers(assessment, ledger, master).names(rules.agents))))
        }
        if ledger.kind == nil { return announce(assessment, ledger, master, needed, blockedBy) }
        if ledger.kind == .recover { return leadRecover(assessment, ledger, blockedBy) }
        return leadFailover(assessment, local, ledger, master, needed, blockedBy)
    }

    private mutating func announce(
        _ assessment: Assessment, _ ledger: Ledger, _ master: LedgerRow, _ needed: NeededOperation?,
        _ blockedBy: Reason?
    ) -> Step {
        guard let needed, needed.server == ledger.server else {
            if ledger.server == assessment.primary, assessment.ambiguity == nil {
                return .terminate(missing: [], keepClosed: true)
            }
            return .abort(blockedBy ?? .because(.notNeeded))
        }
        switch needed {
        case .failover(let target):
            let promised = promised(assessment, ledger, master)
            guard isMajorityPromised(promised, ledger, master) else {
                return .wait(.until(.majority(promised.names(rules.agents))))
            }
            return .announce(.failover, target: target)
        case .switchover(let target): return .announce(.failover, target: target)
        case .reopen(let primary):
            // A deposed server that nobody has met since is open still.
            if let other = assessment.facts(primary.other), other.rebuilding == nil, !other.superReadOnly {
                return .fence(primary.other)
            }
            return .open(primary)
        case .recover(let primary): return .announce(.recover, target: primary)
        }
    }

    /// Agents that have turned away from the primary in this failover attempt and said so. The word of one that goes by another
    /// configuration is as good, unless it may mean another server, or something else by a promise.
    func promised(_ assessment: Assessment, _ ledger: Ledger, _ master: LedgerRow) -> AgentSet {
        var set = followers(assessment, ledger, master)
        if hasPromised(ledger, master) { set.insert(rules.own) }
        return set
    }

    /// The master's own promise counts like everybody's: while it is there.
    private func hasPromised(_ ledger: Ledger, _ master: LedgerRow) -> Bool {
        durable.promise == DurableState.Promise(epoch: master.epoch, on: ledger.server)
    }

    func followers(_ assessment: Assessment, _ ledger: Ledger, _ master: LedgerRow) -> AgentSet {
        var set = AgentSet()
        let strangers = assessment.quorum(ledger.server)?.strangers ?? [:]
        for row in ledger.rows where row.epoch == master.epoch {
            guard case .folo(let host) = row.signal, let index = rules.index(host) else { continue }
            if let how = strangers[host], !ConfigurationDigest(configuration).meansTheSame(how) { continue }
            set.insert(index)
        }
        return set
    }

    // MARK: Failover

    private mutating func leadFailover(
        _ assessment: Assessment, _ local: LocalStatus, _ ledger: Ledger, _ master: LedgerRow,
        _ needed: NeededOperation?, _ blockedBy: Reason?
    ) -> Step {
        let target = ledger.server
        guard let new = assessment.facts(target) else {
            return .wait(.until(.server(target, reason: "does not answer")))
        }
        if assessment.recorded(target) { return forward(assessment, local, ledger, master, new) }
        if let ambiguity = assessment.ambiguity { return .abort(.ambiguous(ambiguity)) }
        if new.rebuilding != nil { return .abort(.because(.halfMadeCopy(target))) }
        if new.channels.isEmpty { return .abort(.because(.replicatesFromNobody(target))) }
        if let old = assessment.facts(target.other), assessment.evidence == nil {
            return leadPlanned(assessment, ledger, master, old, new)
        }
        guard case .failover(target)? = needed else {
            return .abort(blockedBy ?? .because(.notLost(target.other)))
        }
        let promised = promised(assessment, ledger, master)
        guard isMajorityPromised(promised, ledger, master) else {
            return .wait(.until(.majority(promised.names(rules.agents))))
        }
        if let step = fenced(assessment, local, master, promised, target.other) { return step }
        if new.channels[0].receiver != .off { return .stopReceiver(target) }
        let left = new.channels[0].retrieved.subtracting(new.executed)
        if !left.isEmpty { return apply(assessment, master, new, target, left) }
        let condition = loss(
            missing: witnessed(ledger, master).subtracting(new.executed), sync: synced(ledger, master),
            lives: isSynced(new),
            accepted: new.quorum?.lossAccepted == true)
        guard condition.holds else {
            refusal = condition.text
            return .abort(.blocked(condition))
        }
        return .promoteWithoutSource(
            target, reason: .primaryLost(target.other, assessment.evidence ?? .silent, loss: condition.text))
    }

    /// Waits until no router can lead to the old primary any more; nil when that is so.
    private mutating func fenced(
        _ assessment: Assessment, _ local: LocalStatus, _ master: LedgerRow, _ promised: AgentSet, _ old: ServerID
    ) -> Step? {
        let waited = timers.fence.elapsed(in: master.epoch, now: assessment.now)
        // A promise alone says nothing of the router: one that was made for a switchover leaves it open until the old
        // primary is closed. A vote does.
        let votes = assessment.quorum(old.other)?.votes ?? AgentSet()
        let away = promised.subtracting(rules.everybody.subtracting(votes))
        // An agent that goes by another list may be one that this list does not name.
        let unknown = Set(durable.foreign.flatMap(\.names)).subtracting(rules.agents).sorted()
        if away == rules.everybody && unknown.isEmpty && durable.foreign.allSatisfy({ !$0.names.isEmpty })
            || assessment.evidence == .incomplete
        {
            return nil
        }
        if rules.fenceCommand, local.fenced == nil { return .fenceCommand(old) }
        if local.fenced == true { return nil }
        let missing = rules.everybody.subtracting(away).names(rules.agents) + unknown
        guard rules.bound || durable.sync else {
            return .wait(.until(.fenceProof(of: missing)))
        }
        let left = rules.fenceWait - waited
        return left > 0 ? .wait(.until(.routersClosed(of: missing, milliseconds: left))) : nil
    }

    private mutating func apply(
        _ assessment: Assessment, _ master: LedgerRow, _ new: ServerFacts, _ target: ServerID, _ left: GTIDSet
    ) -> Step {
        if case .broken(let error) = new.channels[0].health {
            guard new.quorum?.lossAccepted == true else {
                return .abort(.because(.cannotApply(target, left, error: error)))
            }
            return .promoteWithoutSource(target, reason: .lossAccepted(left))
        }
        if timers.apply.elapsed(in: master.epoch, now: assessment.now) > rules.drainTimeout {
            return .abort(.because(.applyTimeout(target, transactions: left.count)))
        }
        return .applyRelayLog(target)
    }

    private func witnessed(_ ledger: Ledger, _ master: LedgerRow) -> GTIDSet {
        ledger.rows.filter { $0.epoch == master.epoch }.reduce(durable.executed) { $0.union($1.witnessed) }
    }

    /// Nobody who follows remembers the primary as asynchronous.
    private func synced(_ ledger: Ledger, _ master: LedgerRow) -> Bool {
        durable.sync
            && ledger.rows.allSatisfy { row in
                guard row.epoch == master.epoch, case .folo = row.signal else { return true }
                return row.sync
            }
    }

    // MARK: Switchover

    /// The old primary answers: it is closed first, and everything that it has is fetched.
    private mutating func leadPlanned(
        _ assessment: Assessment, _ ledger: Ledger, _ master: LedgerRow, _ old: ServerFacts, _ new: ServerFacts
    ) -> Step {
        let target = ledger.server
        guard new.quorum?.switchoverAsked == true else {
            return .abort(.because(.answersAgain(target.other)))
        }
        guard assessment.isComplete, old.channels.isEmpty else {
            return .abort(.because(.notThePrimary(target.other)))
        }
        if case .broken(let error) = new.channels[0].health {
            return .abort(.because(.applierBroken(target, error: error)))
        }
        // A majority must know of it as well: those who cannot see the new primary would otherwise open the old one again,
        // which is closed and lacks nothing that they have seen.
        let promised = promised(assessment, ledger, master)
        guard isMajorityPromised(promised, ledger, master) else {
            return .wait(.until(.majority(promised.names(rules.agents))))
        }
        // Whoever asks for this has seen that the replica is close behind, unless it is late on purpose. The delay goes while
        // clients still write, and where the rest takes long they go on.
        if !old.superReadOnly {
            if new.channels[0].delay > 0 { return .drain(from: target.other, to: target) }
            let late = applyLag.milliseconds(at: assessment.now)
            guard late <= Self.closeBehind else { return .abort(.because(.catchUpTimeout(target, milliseconds: late))) }
        }
        if timers.planned.elapsed(in: master.epoch, now: assessment.now) > Self.plannedLimit {
            return .abort(.because(.catchUpTimeout(target, milliseconds: Self.plannedLimit)))
        }
        if !old.superReadOnly { return .fence(target.other) }
        if !old.executed.isSubset(of: new.executed) { return .drain(from: target.other, to: target) }
        return .promote(target, undrained: "")
    }

    // MARK: After the promotion

    private mutating func forward(
        _ assessment: Assessment, _ local: LocalStatus, _ ledger: Ledger, _ master: LedgerRow, _ new: ServerFacts
    ) -> Step {
        let target = ledger.server
        if !new.channels.isEmpty { return .promoteWithoutSource(target, reason: .onRecord) }
        // The old primary is fenced by the operation that brings it back: no router leads to it, and one that hangs must
        // not hold the new primary up.
        if new.readOnly || new.superReadOnly { return openNew(assessment, ledger, master, target) }
        if !ledger.masterDone {
            return assessment.observation.seen.routed == target && !assessment.observation.routerClosed
                || local.routerFailed
                ? .confirmMaster : .wait(.until(.routerTurned))
        }
        return finish(assessment, ledger)
    }

    /// Whoever recorded the promotion opens the server as it is. Whoever goes on with it may find one that was open before
    /// and has come back from a crash without some of what it had then, of which others may know more: a majority must
    /// see it as it should be.
    private mutating func openNew(_ assessment: Assessment, _ ledger: Ledger, _ master: LedgerRow, _ target: ServerID)
        -> Step
    {
        if let ambiguity = assessment.ambiguity { return .wait(.ambiguous(ambiguity)) }
        guard assessment.primary == target, assessment.isComplete else {
            return .terminate(missing: ledger.unfinished, keepClosed: true)
        }
        if master.epoch == assessment.facts(target)?.promotion?.epoch { return .open(target) }
        if assessment.quorum(target).map(isSeenByMajority) == true { return .open(target) }
        return timers.opening.elapsed(in: master.epoch, now: assessment.now) < Self.confirmGrace
            ? .wait(.until(.majoritySees(target)))
            : .terminate(missing: ledger.unfinished, keepClosed: true)
    }

    private mutating func finish(_ assessment: Assessment, _ ledger: Ledger) -> Step {
        let waited = timers.confirmation.elapsed(in: ledger.epoch, now: assessment.now)
        let waiting = ledger.unfinished.filter { ledger.isAlive($0) }
        if !waiting.isEmpty, waited < Self.confirmGrace {
            return .wait(.until(.confirmations(waiting)))
        }
        return .terminate(missing: ledger.unfinished, keepClosed: true)
    }

    // MARK: Recovery

    private mutating func leadRecover(_ assessment: Assessment, _ ledger: Ledger, _ blockedBy: Reason?) -> Step {
        guard ledger.server == assessment.primary, assessment.ambiguity == nil else {
            return .abort(blockedBy ?? .because(.notThePrimary(ledger.server)))
        }
        let replica = ledger.server.other
        guard let facts = assessment.facts(replica) else {
            return .abort(.because(.serverSilent(replica, reason: assessment.observation.seen[replica].reason)))
        }
        guard let source = assessment.facts(ledger.server), !source.superReadOnly, !source.readOnly,
            assessment.isComplete
        else {
            return .abort(.because(.notOpen(ledger.server)))
        }
        if facts.rebuilding == nil, !facts.superReadOnly { return .fence(replica) }
        if let step = RouterLedPolicy.bringBack(assessment.observation.seen, ledger, primary: ledger.server) {
            if let hold = holdOn(step, assessment, ledger.server) { return .abort(.held(hold)) }
            return step
        }
        return ledger.masterDone ? finish(assessment, ledger) : .confirmMaster
    }
}
