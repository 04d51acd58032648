/// The next step of the operation, or the beginning of one.
extension QuorumPolicy {
    mutating func step(_ assessment: Assessment, _ local: LocalStatus) -> Step {
        guard let ledger = assessment.ledger, let master = ledger.master else { return begin(assessment, local) }
        if master.alive {
            if master.agent == local.agent, master.session == local.session, local.server == ledger.server,
                local.holdsLock
            {
                return lead(assessment, local, ledger, master)
            }
            return follow(assessment, local, ledger, master)
        }
        return takeOver(assessment, local, ledger)
    }

    // MARK: Before an operation

    private func begin(_ assessment: Assessment, _ local: LocalStatus) -> Step {
        let (needed, blockedBy) = neededOperation(assessment)
        guard let needed else {
            if let step = adjustSettings(assessment) { return step }
            // Clearing closes every server but the primary, and which one that is nobody knows.
            if let ambiguity = assessment.ambiguity {
                return local.server == nil ? .none(.ambiguous(ambiguity)) : .withdraw(.ambiguous(ambiguity))
            }
            guard let stray = ServerID.allCases.compactMap({ assessment.observation.seen.ledger(on: $0) }).first else {
                return .none(blockedBy ?? .nothingToDo)
            }
            if stray.candidates.contains(where: { $0.agent != local.agent }) {
                if local.server != nil { return .withdraw(blockedBy ?? .because(.notNeeded)) }
                return .wait(.until(.others))
            }
            return local.holdsLock && local.server == stray.server
                ? .terminate(missing: [], keepClosed: true) : joinOrLock(stray, local)
        }
        guard local.server == needed.server, let ledger = assessment.observation.seen.ledger(on: needed.server) else {
            return .scan(on: needed.server)
        }
        if local.holdsLock, ledger.candidates.first?.session == local.session { return .master(on: needed.server) }
        return joinOrLock(ledger, local)
    }

    /// Semi-synchronous replication follows the replica's coming and going; no operation is needed for that.
    private func adjustSettings(_ assessment: Assessment) -> Step? {
        guard let primary = assessment.primary, let facts = assessment.facts(primary), let quorum = facts.quorum,
            assessment.isComplete,
            !facts.superReadOnly, !facts.readOnly, assessment.ledger == nil
        else { return nil }
        if quorum.semiSync.installed, let step = adjustSemiSync(assessment, primary, facts, quorum) { return step }
        return quorum.bootsClosed ? nil : .startClosed(primary)
    }

    private func adjustSemiSync(
        _ assessment: Assessment, _ primary: ServerID, _ facts: ServerFacts, _ quorum: QuorumFacts
    ) -> Step? {
        if assessment.ambiguity == nil, let replica = assessment.facts(primary.other),
            replica.quorum?.semiSync.enabled == true,
            replica.superReadOnly,
            !replica.channels.isEmpty
        {
            return .disableSemiSyncOnReplica(primary.other)
        }
        if quorum.semiSync.enabled, allowsAsync(assessment) {
            if rules.isMajority(quorum.async), dissenting(quorum, \.async).isEmpty { return .disableSemiSync(primary) }
        }
        if assessment.ambiguity == nil, !quorum.semiSync.enabled, let replica = assessment.facts(primary.other),
            quorum.semiSync.clients > 0,
            replica.rebuilding == nil, replica.channels.first?.health == .running,
            hears(assessment, primary.other, within: rules.vouch),
            facts.executed.subtracting(replica.executed).count < 1_000
        {
            return .enableSemiSync(primary)
        }
        return nil
    }

    func joinOrLock(_ ledger: Ledger, _ local: LocalStatus) -> Step {
        guard local.server == ledger.server, let session = local.session,
            ledger.candidates.contains(where: { $0.session == session })
        else { return .scan(on: ledger.server) }
        guard ledger.candidates.first?.session == session else {
            let first = Reason.until(.turn(of: ledger.candidates.first?.agent ?? "another agent"))
            // Whoever comes first cannot begin without the lock. An agent can hold it still after the end of an operation
            // whose last statement failed: each of the two would wait for the other for ever.
            return local.holdsLock ? .withdraw(first) : .wait(first)
        }
        return .lock(on: ledger.server)
    }

    // MARK: An operation whose master is gone

    private func takeOver(_ assessment: Assessment, _ local: LocalStatus, _ ledger: Ledger) -> Step {
        let failoverAttempt = ledger.server != assessment.primary && !assessment.recorded(ledger.server)
        if failoverAttempt, let quorum = assessment.quorum(ledger.server), rules.isMajority(quorum.votes),
            !quorum.votes.contains(rules.own)
        {
            // Those who have lost the primary go on with it.
            let why = Reason.until(.othersWhoLost(ledger.server.other))
            return local.server == nil ? .wait(why) : .withdraw(why)
        }
        if failoverAttempt, assessment.facts(ledger.server)?.quorum?.switchoverAsked != true,
            assessment.evidence == nil,
            assessment.facts(ledger.server.other) == nil
        {
            return local.server == nil
                ? .wait(.until(.clarity)) : .withdraw(.until(.clarity))
        }
        // One without a row of its own here would be refused as operation master: it has to be announced first.
        if local.holdsLock, local.server == ledger.server, ledger.rows.contains(where: { $0.session == local.session })
        {
            return .master(on: ledger.server)
        }
        return joinOrLock(ledger, local)
    }

    // MARK: Following

    private func follow(_ assessment: Assessment, _ local: LocalStatus, _ ledger: Ledger, _ master: LedgerRow) -> Step {
        let mine = ledger.rows.contains {
            $0.signal == .folo(host: local.agent) && $0.session == local.session && local.server == ledger.server
                && ($0.epoch == master.epoch || assessment.recorded(ledger.server))
        }
        let done = ledger.has(.fook(host: local.agent))
        let failoverAttempt = ledger.server != assessment.primary && !assessment.recorded(ledger.server)
        if failoverAttempt, !mine {
            guard turnsAway(assessment, ledger) else {
                let why = Reason.until(.disagreement(with: master.agent))
                return local.server == nil ? .wait(why) : .withdraw(why)
            }
            return .follow(on: ledger.server)
        }
        if !mine && !done { return .follow(on: ledger.server) }
        guard !done else { return .wait(.until(.master(master.agent, .ends))) }
        if ledger.kind == .recover {
            return ledger.masterDone ? .confirmFollower : .wait(.until(.master(master.agent, .works)))
        }
        guard ledger.kind == .failover, assessment.recorded(ledger.server) else {
            return .wait(.until(.master(master.agent, .leads)))
        }
        return assessment.observation.seen.routed == ledger.server && !assessment.observation.routerClosed
            ? .confirmFollower : .wait(.until(.routerTurned))
    }

    /// Whether this agent may promise: it has voted itself, or an operator asks for a change while the primary is well.
    private func turnsAway(_ assessment: Assessment, _ ledger: Ledger) -> Bool {
        guard assessment.ambiguity == nil else { return false }
        guard assessment.quorum(ledger.server)?.votes.contains(rules.own) != true else {
            return assessment.evidence != nil
        }
        return ledger.kind == .failover && assessment.quorum(ledger.server)?.switchoverAsked == true
            && assessment.isComplete
    }
}
