/// What an agent knows of acknowledgements: whether the replica has all that the primary has told clients, and for how
/// long the primary has waited in vain.
extension QuorumPolicy {
    mutating func noteSync(_ assessment: Assessment) {
        guard let primary = assessment.primary, let facts = assessment.facts(primary), let quorum = facts.quorum,
            facts.uuid == durable.primary, !facts.superReadOnly
        else { return }
        let new = facts.executed
        if durable.executed != new, assessment.isComplete { durable.executed = new }
        switch quorum.semiSync.acknowledgement(of: durable.uuids[primary.other]) {
        case _ where !quorum.semiSync.guarantees: durable.sync = false
        case .elsewhere?, .unnamed?: durable.sync = false
        // Only after this agent's leave for the primary to go on alone is seen to be taken back.
        case .replica? where !quorum.async.contains(rules.own): noteReplicaLife(assessment, primary, new)
        case .replica?, nil: break
        }
    }

    /// What a replica has acknowledged may be lost with its process: what it received and had not applied, or not synced.
    /// `sync` holds for the process that has been seen, after it was, to have all that the primary had.
    private mutating func noteReplicaLife(_ assessment: Assessment, _ primary: ServerID, _ executed: GTIDSet) {
        guard let replica = assessment.facts(primary.other), let started = replica.quorum?.started else { return }
        if durable.sync, durable.replicaStarted.map({ Self.isSameStart($0, started) }) == true { return }
        if catchingUp.map({ Self.isSameStart($0.started, started) }) != true {
            catchingUp = (started, nil)
            return
        }
        let arrived = replica.channels.reduce(replica.executed) { $0.union($1.retrieved) }
        let wanted = catchingUp?.wanted ?? executed
        catchingUp?.wanted = wanted
        guard wanted.isSubset(of: arrived) else { return }
        (durable.sync, durable.replicaStarted, catchingUp) = (true, started, nil)
    }

    /// Reckoned from two clocks' seconds.
    private static func isSameStart(_ one: Int64, _ other: Int64) -> Bool { one.distance(to: other).magnitude <= 2 }

    /// Nothing acknowledged is lost on this replica, as this agent knows.
    func isSynced(_ replica: ServerFacts) -> Bool {
        guard durable.sync, let then = durable.replicaStarted else { return durable.sync }
        // One that cannot say when it was started (performance_schema is off) was started anew to become so.
        guard let now = replica.quorum?.started else { return replica.quorum?.keepsReceived == true }
        return Self.isSameStart(then, now) || replica.quorum?.keepsReceived == true
    }

    mutating func noteLag(_ assessment: Assessment) {
        guard let primary = assessment.primary, let source = assessment.facts(primary),
            let replica = assessment.facts(primary.other)
        else { return }
        applyLag.note(primary: source.executed, replica: replica.executed, at: assessment.now)
    }

    /// How long the primary has been without a replica that acknowledges, or without as many as its commits wait for.
    /// After a while this agent puts on disk that the primary may go on without it; when a majority has, it may.
    mutating func noteWaiting(_ assessment: Assessment) {
        // A replica whose path is cut is still counted as a client for a while: then commits that wait, and a receiver
        // that hears nothing, tell.
        guard let primary = assessment.primary, let quorum = assessment.facts(primary)?.quorum, quorum.semiSync.enabled,
            !quorum.semiSync.hasEnoughClients
                || quorum.semiSync.waiting > 0 && !hears(assessment, primary.other, within: rules.asyncAfter)
                || isLeaving(assessment, primary),
            // One that may not be opened acknowledges nothing, and needs no leave.
            durable.promise == nil, assessment.evidence != .incomplete
        else {
            waitingSince = nil
            return
        }
        let since = waitingSince ?? assessment.now
        waitingSince = since
        if assessment.now - since >= rules.asyncAfter { durable.sync = false }
    }

    /// The replica acknowledges still, but only a rebuild mends it, and the one who does that waits for leave to take it
    /// away: its commits need not hang for that. A half-made copy may replicate, where its rebuild ended with the marker
    /// still there.
    private func isLeaving(_ assessment: Assessment, _ primary: ServerID) -> Bool {
        guard let ledger = assessment.ledger, ledger.server == primary, ledger.kind == .recover,
            ledger.master?.alive == true, let replica = assessment.facts(primary.other)
        else { return false }
        return replica.rebuilding != nil || replica.channels.first?.dataDiffer == true
    }

    /// Whether a replica's receiver has been seen to hear from its source a short while ago.
    func hears(_ assessment: Assessment, _ replica: ServerID, within time: Int64) -> Bool {
        guard assessment.facts(replica)?.channels.first?.receiver == .on, let track = tracks[replica] else {
            return false
        }
        return track.markAt.map { assessment.now - time < $0 } ?? false
    }

    /// Whether this agent has put on disk that the primary may go on without its replica.
    func allowsAsync(_ assessment: Assessment) -> Bool {
        guard let since = waitingSince else { return false }
        return assessment.now - since >= rules.asyncAfter
    }
}
