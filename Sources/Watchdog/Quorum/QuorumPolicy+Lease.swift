import MySQLWire

/// When this host's router may be open.
extension QuorumPolicy {
    /// A lease counts from the moment when its question was asked, never from the answer: an answer that was long on its
    /// way allows nothing.
    mutating func renewLease(_ assessment: Assessment) {
        let asked = assessment.observation.askedAt
        guard let primary = assessment.primary else { return }
        if lease.server != nil, lease.server != primary, !hasFailoverAttempt(assessment) { lease.end() }
        if lease.server == nil, !rules.bound, durable.promise == nil, !durable.isDouble {
            // A router that outlives its agent was open all the while: an agent that has just been started does not
            // close it before it could have found out.
            lease.keepOpen(to: primary, until: assessment.now + rules.unseenLease)
        }
        noteMajority(assessment, primary)
        // What the other one of this name has promised is taken for this one's word.
        guard !durable.isDouble, names.isSettled || !names.isTaken, lists.isIntroduced else { return }

        if let target = early(assessment) {
            grant(target, asked)
            return
        }
        guard durable.promise == nil, assessment.evidence == nil else { return }
        // Its agents' locks are about to come. Without this an agent that meets the announcement and the record in one
        // look would close its router and open it seconds after all others.
        if freshlyPromoted == primary, assessment.isComplete, durable.isInformed {
            grant(primary, asked)
            return
        }
        // The replica is asked in one look for this agent's vote first and for a failover attempt after it.
        if assessment.ambiguity == nil, let replica = assessment.facts(primary.other), let quorum = replica.quorum,
            !quorum.votes.contains(rules.own),
            Ledger.failoverAttempt(replica.ledger, on: primary.other, after: durable.epoch) == nil,
            (replica.promotion?.epoch ?? 0) <= durable.epoch, replica.superReadOnly || replica.readOnly
        {
            grant(primary, asked)
            return
        }
        // What a majority sees on a server that is alone may be over: this agent may be the one who knew.
        guard durable.isInformed, let facts = assessment.facts(primary), let quorum = facts.quorum,
            assessment.isComplete, isSeenByMajority(quorum)
        else { return }
        // Somebody leads a failover: what others hold here may be about to go.
        let attempt = Ledger.failoverAttempt(
            assessment.facts(primary.other)?.ledger, on: primary.other, after: durable.epoch)
        if lease.hasLapsed, attempt != nil { return }
        // Locks of those who have turned away may be left over for a while: they keep a router open, they do not
        // reopen one.
        if lease.hasLapsed {
            guard let since = lease.majoritySince, since + rules.sessionTimeout + rules.interval <= asked else {
                return
            }
        }
        grant(primary, asked)
    }

    private mutating func noteMajority(_ assessment: Assessment, _ primary: ServerID) {
        let seen = assessment.quorum(primary).map(isSeenByMajority) ?? false
        // From the answer on, not from the question: a server that stood still answers an old question with locks that it
        // has not ended yet.
        lease.noteMajority(seen, at: assessment.now)
    }

    private mutating func grant(_ id: ServerID, _ asked: Int64) {
        lease.grant(on: id, until: asked + rules.lease)
    }

    /// The target of a failover that this agent follows: its router may go there before the server is open.
    func early(_ assessment: Assessment) -> ServerID? {
        guard let promise = durable.promise, let ledger = assessment.ledger, ledger.server == promise.on,
            ledger.kind == .failover, let socket = ledger.target,
            configuration.servers[ledger.server].description == socket,
            let facts = assessment.facts(ledger.server), facts.rebuilding == nil
        else { return nil }
        // While the primary is open and well, its clients are left in peace until it is closed.
        if let old = assessment.facts(ledger.server.other), !old.superReadOnly, assessment.evidence == nil,
            !assessment.recorded(ledger.server)
        {
            return nil
        }
        return ledger.server
    }

    private func hasFailoverAttempt(_ assessment: Assessment) -> Bool { early(assessment) != nil }

    func hasLease(_ id: ServerID, _ assessment: Assessment) -> Bool {
        lease.isHeld(on: id, at: assessment.now)
    }

    /// What becomes of the router. A vote for silence rests on a closed router, and voids the lease.
    mutating func router(_ assessment: Assessment, _ locks: Orders.Locks) -> Orders.Router {
        lease.need()
        if let target = early(assessment) {
            return assessment.now < lease.until ? .point(to: target) : .close
        }
        guard let primary = assessment.primary else { return lease.until > assessment.now ? .keep : .close }
        switch assessment.evidence {
        case .dead:
            // Its process is gone, and it starts closed: the way leads nowhere. It is not opened again without a
            // look at the replica.
            lease.giveUp(needless: true)
            return .keep
        case .silent, .stalled:
            guard assessment.facts(primary.other) != nil else { break }
            lease.giveUp(needless: false)
            return .close
        case .incomplete, nil: break
        }
        guard hasLease(primary, assessment) else {
            lease.lapse()
            return .close
        }
        // A lease that nothing was seen for yet keeps a router as it is, it opens none; but not one that leads to the
        // server which was replaced while this agent was away.
        guard let facts = assessment.facts(primary), facts.uuid == durable.primary, locks.vote == nil, !lease.hasLapsed,
            lists.isIntroduced
        else {
            if case .leadsTo(let uuid) = assessment.observation.seen.router, uuid != durable.primary { return .close }
            return .keep
        }
        return .point(to: primary)
    }
}
