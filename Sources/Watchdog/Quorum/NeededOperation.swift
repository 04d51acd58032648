/// What the cluster needs, as far as this agent sees.
enum NeededOperation: Sendable, Hashable {
    /// Promote this server: its primary is lost.
    case failover(ServerID)
    /// Promote this server: an operator asked for it, and its primary is well.
    case switchover(ServerID)
    /// Open this server, the primary, again.
    case reopen(ServerID)
    /// Bring the other server of this primary back as its replica.
    case recover(ServerID)

    /// The server that the ledger lies on.
    var server: ServerID {
        switch self {
        case .failover(let id), .switchover(let id), .reopen(let id), .recover(let id): id
        }
    }
}

extension QuorumPolicy {
    /// The operation that is needed and allowed; with nil, `blockedBy` says what stands in the way of one, if anything.
    func neededOperation(_ assessment: Assessment) -> (needed: NeededOperation?, blockedBy: String?) {
        if let ambiguity = assessment.ambiguity { return (nil, ambiguity) }
        guard let primary = assessment.primary, let replica = assessment.replica else { return (nil, nil) }
        if let facts = assessment.facts(replica), let quorum = facts.quorum,
            rules.isMajority(counted(quorum)) || broken.contains(.minorityLeads),
            assessment.evidence != nil, quorum.votes.contains(rules.own)
        {
            if let why = conditions(assessment).first(where: { !$0.holds })?.text { return (nil, why) }
            if let refusal, !quorum.lossAccepted { return (nil, refusal) }
            return (.failover(replica), nil)
        }
        guard let facts = assessment.facts(primary), let quorum = facts.quorum else {
            return (nil, assessment.evidence == nil ? nil : "no majority of the agents has lost \(primary)")
        }
        guard assessment.isComplete else {
            if facts.rebuilding != nil { return (nil, "\(primary) is a half-made copy: nobody may write to it") }
            return (nil, "\(primary) lacks what it was seen to have: it is not opened")
        }
        let majority = rules.isMajority(quorum.seesPrimary) || broken.contains(.minorityLeads)
        if facts.superReadOnly || facts.readOnly {
            if broken.contains(.openWithoutLock) { return (.reopen(primary), nil) }
            return majority
                ? reopen(assessment, primary) : (nil, "\(primary) is closed, and no majority of agents sees it")
        }
        guard assessment.quorum(replica)?.switchoverAsked == true else { return repair(assessment, primary, majority) }
        guard let why = switchoverBlockedBy(assessment, primary) else { return (.switchover(replica), nil) }
        // Repair goes on meanwhile: it may be what the request waits for.
        let (needed, blockedBy) = repair(assessment, primary, majority)
        return (needed, needed == nil ? [why, blockedBy].compactMap { $0 }.joined(separator: "; ") : nil)
    }

    /// Whether the replica of an open primary needs to be brought back.
    private func repair(_ assessment: Assessment, _ primary: ServerID, _ majority: Bool) -> (NeededOperation?, String?)
    {
        let replica = primary.other
        guard let other = assessment.facts(replica) else { return (nil, nil) }
        guard majority else {
            let why = "\(replica) is not closed, and no majority of agents sees \(primary)"
            return (nil, other.superReadOnly ? nil : why)
        }
        // The primary's word counts: a server that was away has not heard that a pause is over.
        if assessment.quorum(primary)?.control.paused == true { return (nil, "paused by an operator") }
        guard other.rebuilding == nil else { return (.recover(primary), nil) }
        switch other.channels.first?.health {
        // A ledger there, even one that nobody leads, explains why it is not quite closed; clearing it away closes it.
        case .running? where other.superReadOnly || other.readOnly && other.ledger != nil: return (nil, nil)
        case .disconnected(let why)?: return (nil, "\(replica) does not reach \(primary): \(why)")
        case .broken(let why)?:
            if let source = assessment.facts(primary) {
                // Nothing is on its way any more: what the primary lacks is lost there, and a rebuild would end it.
                let lost = other.executed.lost(by: source.executed, of: source.uuid)
                guard lost.isEmpty else {
                    return (
                        nil,
                        "\(replica) holds \(lost), which \(primary) made and has lost (\(why)): decide which server is right"
                    )
                }
            }
            let rebuilds = assessment.quorum(primary)?.control.rebuildsToday ?? 0
            guard rebuilds < rules.rebuildsPerDay else {
                return (
                    nil,
                    "\(replica) was rebuilt \(rebuilds) times within a day and is broken again (\(why)): end the cause, then "
                        + "'ack' lets the agents rebuild it once more"
                )
            }
            return (.recover(primary), nil)
        default: return (.recover(primary), nil)
        }
    }

    func counted(_ quorum: QuorumFacts) -> AgentSet {
        guard broken.contains(.votesCountTwice), let first = rules.agents.indices.first(where: quorum.votes.contains)
        else { return quorum.votes }
        // A vote that counts for two.
        var votes = quorum.votes
        votes.insert(first == 0 ? 1 : 0)
        return votes
    }

    /// A primary that was restarted is opened again unless somebody may be replacing it.
    private func reopen(_ assessment: Assessment, _ primary: ServerID) -> (NeededOperation?, String?) {
        if let quorum = assessment.quorum(primary), quorum.control.paused, !quorum.resumeAsked {
            return (nil, "\(primary) is closed, and the agents are paused by an operator: resume opens it")
        }
        if let other = assessment.facts(primary.other) {
            guard other.quorum?.votes.isEmpty != false else {
                return (nil, "some agents still vote against \(primary)")
            }
            guard Ledger.failoverAttempt(other.ledger, on: primary.other) == nil else {
                return (nil, "an operation on \(primary.other) is under way")
            }
            return (.reopen(primary), nil)
        }
        // Votes that cannot be seen may exist; those who cast them hold nothing here once their sessions are over.
        guard let since = lease.majoritySince,
            assessment.now - since >= rules.sessionTimeout + rules.interval + rules.probeTimeout
        else { return (nil, "\(primary.other) cannot be asked: waiting for a lasting majority on \(primary)") }
        return (.reopen(primary), nil)
    }

    /// Why the operator's switchover cannot be done now.
    private func switchoverBlockedBy(_ assessment: Assessment, _ primary: ServerID) -> String? {
        guard let source = assessment.facts(primary), let facts = assessment.facts(primary.other) else {
            return "not asked for"
        }
        guard facts.rebuilding == nil, let channel = facts.channels.first, channel.health == .running else {
            return "switchover: replication on \(primary.other) does not run"
        }
        let behind = source.executed.subtracting(facts.executed).count
        guard behind <= 10_000 else { return "switchover: \(primary.other) is \(behind) transactions behind" }
        guard durable.foreign.isEmpty else { return "switchover: agents go by two lists, give every agent the same" }
        // Whoever leads it has turned away already.
        var seesPrimary = assessment.quorum(primary)?.seesPrimary ?? AgentSet()
        if durable.promise?.on == primary.other { seesPrimary.insert(rules.own) }
        guard rules.isMajority(seesPrimary) else {
            return "switchover: no majority of agents sees \(primary)"
        }
        return nil
    }
}
