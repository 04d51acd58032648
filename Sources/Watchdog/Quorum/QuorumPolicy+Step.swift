/// The next step of the operation, or the beginning of one.
extension QuorumPolicy {
    mutating func step(_ assessment: Assessment, _ local: LocalStatus) -> Step {
        guard durable.isInformed, !isNameInDoubt else { return stepsBack(assessment, local) }
        guard let ledger = assessment.ledger else { return begin(assessment, local) }
        let election = Election(ledger: ledger, local: local)
        switch election.role {
        case nil: return begin(assessment, local)
        case .master(let master)?: return lead(assessment, local, ledger, master)
        case .follower(let master)?: return follow(assessment, election, master)
        case .orphan?: return takeOver(assessment, election)
        }
    }

    private func stepsBack(_ assessment: Assessment, _ local: LocalStatus) -> Step {
        let why = neededOperation(assessment).blockedBy ?? .nothingToDo
        return local.server == nil ? .none(why) : .withdraw(why)
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
            return Election(ledger: stray, local: local).clear(blockedBy ?? .because(.notNeeded), keepClosed: true)
        }
        guard local.server == needed.server, let ledger = assessment.observation.seen.ledger(on: needed.server) else {
            return .scan(on: needed.server)
        }
        return Election(ledger: ledger, local: local).stand
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
            quorum.semiSync.hasEnoughClients,
            replica.rebuilding == nil, replica.channels.first?.health == .running,
            hears(assessment, primary.other, within: rules.vouch),
            facts.executed.subtracting(replica.executed).count < 1_000
        {
            return .enableSemiSync(primary)
        }
        return nil
    }

    // MARK: An operation whose master is gone

    private func takeOver(_ assessment: Assessment, _ election: Election) -> Step {
        let server = election.ledger.server
        if isFailoverAttempt(assessment, server) {
            if let quorum = assessment.quorum(server), rules.isMajority(quorum.votes), !quorum.votes.contains(rules.own)
            {
                // Those who have lost the primary go on with it.
                return election.local.standsAside(.until(.othersWhoLost(server.other)))
            }
            if assessment.quorum(server)?.switchoverAsked != true, assessment.evidence == nil,
                assessment.facts(server.other) == nil
            {
                return election.local.standsAside(.until(.clarity))
            }
        }
        return election.takeOver
    }

    func isFailoverAttempt(_ assessment: Assessment, _ server: ServerID) -> Bool {
        server != assessment.primary && !assessment.recorded(server)
    }

    // MARK: Following

    private func follow(_ assessment: Assessment, _ election: Election, _ master: LedgerRow) -> Step {
        let (ledger, done) = (election.ledger, election.hasConfirmed)
        let isRecorded = assessment.recorded(ledger.server)
        let mine = election.follows(in: isRecorded ? nil : master.epoch)
        if isFailoverAttempt(assessment, ledger.server), !mine {
            guard turnsAway(assessment, ledger) else {
                return election.local.standsAside(.until(.disagreement(with: master.agent)))
            }
            return .follow(on: ledger.server)
        }
        if !mine && !done { return .follow(on: ledger.server) }
        guard !done else { return .wait(.until(.master(master.agent, .ends))) }
        if ledger.kind == .recover {
            return ledger.masterDone ? .confirmFollower : .wait(.until(.master(master.agent, .works)))
        }
        guard ledger.kind == .failover, isRecorded else {
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
