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
    func neededOperation(_ assessment: Assessment) -> (needed: NeededOperation?, blockedBy: Reason?) {
        guard !isNameInDoubt else { return (nil, .held(.nameInDoubt(rules.name))) }
        let silent = assessment.observation.seen.silent
        if !durable.isInformed, silent != nil || assessment.ambiguity == nil {
            return (nil, .held(.withoutMemory(silent: silent)))
        }
        if let ambiguity = assessment.ambiguity { return (nil, .ambiguous(ambiguity)) }
        guard let primary = assessment.primary, let replica = assessment.replica else { return (nil, nil) }
        if let facts = assessment.facts(replica), let quorum = facts.quorum,
            rules.isMajority(quorum.votes),
            assessment.evidence != nil, quorum.votes.contains(rules.own)
        {
            if let condition = conditions(assessment).first(where: { !$0.holds }) { return (nil, .blocked(condition)) }
            if let refusal, !quorum.lossAccepted { return (nil, .lossNotAccepted(refusal)) }
            return (.failover(replica), nil)
        }
        guard let facts = assessment.facts(primary), let quorum = facts.quorum else {
            return (nil, assessment.evidence == nil ? nil : .held(.notLostByMajority(primary)))
        }
        guard assessment.isComplete else {
            if facts.rebuilding != nil { return (nil, .held(.halfMadeCopy(primary))) }
            return (nil, .held(.incompletePrimary(primary)))
        }
        let majority = isSeenByMajority(quorum)
        if facts.superReadOnly || facts.readOnly {
            return majority
                ? reopen(assessment, primary) : (nil, .held(.closedUnseen(primary)))
        }
        guard assessment.quorum(replica)?.switchoverAsked == true else { return repair(assessment, primary, majority) }
        guard let why = switchoverBlockedBy(assessment, primary) else { return (.switchover(replica), nil) }
        // Repair goes on meanwhile: it may be what the request waits for.
        let (needed, blockedBy) = repair(assessment, primary, majority)
        return (needed, needed == nil ? .switchoverBlocked(why, also: blockedBy) : nil)
    }

    /// Whether the replica of an open primary needs to be brought back.
    private func repair(_ assessment: Assessment, _ primary: ServerID, _ majority: Bool) -> (NeededOperation?, Reason?)
    {
        let replica = primary.other
        guard let other = assessment.facts(replica) else { return (nil, nil) }
        guard majority else {
            return (nil, other.superReadOnly ? nil : .held(.openReplica(replica, primary: primary)))
        }
        // The primary's word counts: a server that was away has not heard that a pause is over.
        if assessment.quorum(primary)?.control.paused == true { return (nil, .held(.paused)) }
        switch other.channels.first?.health {
        // A ledger there, even one that nobody leads, explains why it is not quite closed; clearing it away closes it.
        case .running? where other.rebuilding == nil && (other.superReadOnly || other.readOnly && other.ledger != nil):
            return (nil, nil)
        // One that is open may be a deposed primary that nobody has met since: it is closed first, whatever comes after.
        case _ where !other.superReadOnly || !other.readOnly: return (.recover(primary), nil)
        case .disconnected(let error)? where other.rebuilding == nil:
            return (nil, .held(.sourceUnreachable(replica, from: primary, error: error)))
        default:
            if let hold = rebuildHeldBy(assessment, primary) ?? startHeldBy(assessment, primary) {
                return (nil, .held(hold))
            }
            return (.recover(primary), nil)
        }
    }

    /// Why the replica is not rebuilt, if only a rebuild could bring it back. Half a copy is made whole, but not for ever.
    /// Asked before an operation is begun, and again in it: what it has found out since may be what forbids it.
    func rebuildHeldBy(_ assessment: Assessment, _ primary: ServerID) -> Hold? {
        let replica = primary.other
        guard let source = assessment.facts(primary), let other = assessment.facts(replica),
            let why = RebuildReason(other, from: source, primary: primary)
        else { return nil }
        let control = source.quorum?.control ?? Control()
        let times = control.rebuildCauses[why.cause(replica, other, from: source)] ?? 0
        guard other.rebuilding == nil else {
            // The first try is counted by what it was begun for.
            return times + 1 < max(2, rules.rebuildsPerDay) ? nil : .copyFails(replica, of: primary, times: times + 1)
        }
        // Nothing is on its way any more, or the next look finds it there: what the primary lacks is lost there, and a
        // rebuild would end it.
        let lost = other.executed.lost(by: source.executed, of: source.uuid)
        guard lost.isEmpty else { return .lostByPrimary(lost, primary: primary, error: why.text) }
        if control.paused { return .paused }
        guard times < rules.rebuildsPerCause else { return .rebuiltTooOften(replica, times: times, error: why.text) }
        // Whatever else brought it here is over with the rebuild.
        guard case .replicationBroken = why else { return nil }
        return control.rebuildsToday < rules.rebuildsPerDay
            ? nil : .rebuiltTooOften(replica, times: control.rebuildsToday, error: why.text)
    }

    /// A primary that was restarted is opened again unless somebody may be replacing it.
    private func reopen(_ assessment: Assessment, _ primary: ServerID) -> (NeededOperation?, Reason?) {
        if let quorum = assessment.quorum(primary), quorum.control.paused, !quorum.resumeAsked {
            return (nil, .held(.closedAndPaused(primary)))
        }
        if let other = assessment.facts(primary.other) {
            guard other.quorum?.votes.isEmpty != false else {
                return (nil, .held(.votesAgainst(primary)))
            }
            guard Ledger.failoverAttempt(other.ledger, on: primary.other) == nil else {
                return (nil, .held(.failoverUnderWay(on: primary.other)))
            }
            return (.reopen(primary), nil)
        }
        // Votes that cannot be seen may exist; those who cast them hold nothing here once their sessions are over.
        guard let since = lease.majoritySince,
            assessment.now - since >= rules.sessionTimeout + rules.interval + rules.probeTimeout
        else { return (nil, .held(.majorityNotLasting(silent: primary.other))) }
        return (.reopen(primary), nil)
    }

    /// Why the operator's switchover cannot be done now.
    private func switchoverBlockedBy(_ assessment: Assessment, _ primary: ServerID) -> SwitchoverObstacle? {
        guard let source = assessment.facts(primary), let facts = assessment.facts(primary.other) else {
            return .notAsked
        }
        guard !facts.isOffline else { return .offline(primary.other) }
        guard facts.rebuilding == nil, let channel = facts.channels.first, channel.health == .running else {
            return .replicationStopped(primary.other)
        }
        let behind = source.executed.subtracting(facts.executed).count
        guard behind <= 10_000 else { return .behind(primary.other, transactions: behind) }
        // The operation takes a delay off before it closes anything.
        let late = applyLag.milliseconds(at: assessment.now)
        guard late <= Self.closeBehind || channel.delay > 0 else {
            return .late(primary.other, milliseconds: late)
        }
        guard durable.foreign.isEmpty else { return .listsDisagree }
        // Whoever leads it has turned away already.
        var seesPrimary = assessment.quorum(primary)?.seesPrimary ?? AgentSet()
        if durable.promise?.on == primary.other { seesPrimary.insert(rules.own) }
        guard rules.isMajority(seesPrimary) else {
            return .noMajority(primary)
        }
        return nil
    }
}
