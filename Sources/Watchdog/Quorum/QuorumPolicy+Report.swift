import MySQLWire

extension QuorumRules {
    init(_ configuration: Configuration) {
        self.init(
            agents: configuration.agents, own: configuration.agents.firstIndex(of: configuration.agent.name) ?? 0,
            interval: configuration.agent.interval.milliseconds,
            probeTimeout: configuration.agent.probeTimeout.milliseconds,
            blockPeriod: configuration.safety.blockPeriod.milliseconds,
            failoversPerDay: configuration.safety.failoversPerDay,
            maxLost: UInt64(configuration.safety.maxLostTransactions), bound: configuration.router.bound,
            fenceCommand: !configuration.safety.fenceCommand.isEmpty,
            drainTimeout: configuration.safety.drainTimeout.milliseconds)
        stalledAfter = configuration.safety.stalledAfter.milliseconds
        rebuildsPerDay = configuration.safety.rebuildsPerDay
        rebuildsPerCause = configuration.safety.rebuildsPerCause
    }
}

extension QuorumPolicy {
    /// The primary as this agent knows it.
    package var primary: ServerID? {
        ServerID.allCases.first { !durable.primary.isEmpty && durable.uuids[$0] == durable.primary }
    }

    /// The epoch of a MAST row: the one that was promised just now, if one was.
    package func nextEpochForMaster(_ seen: Observation) -> UInt64 {
        if let promise = durable.promise, promise.epoch > seen.highestEpoch { return promise.epoch }
        return nextEpoch(seen)
    }

    /// The state in the four words, with what stands behind it.
    package func diagnosis(_ observation: TimedObservation) -> Diagnosis {
        let assessment = Assessment(observation, self)
        if let ambiguity = assessment.ambiguity {
            let hold = durable.isInformed ? nil : neededOperation(assessment).blockedBy
            return Diagnosis(
                .ambiguous, primary: assessment.primary,
                [ambiguity.text]
                    + ([.withoutMemory, .nameTwice].contains(hold?.code) ? ["\(hold?.description ?? "")"] : []),
                code: ambiguity.code)
        }
        guard let primary = assessment.primary else {
            return Diagnosis(.unknown, ["the primary is not known"], code: .primaryUnknown)
        }
        let (needed, blockedBy) = neededOperation(assessment)
        let evidence =
            ["\(primary) is the primary" + (durable.epoch > 0 ? " of epoch \(durable.epoch)" : "")]
            + (blockedBy.map { ["\($0)"] } ?? []) + (awaited(assessment, primary).map { [$0] } ?? [])
            + pause(assessment.quorum(primary), blockedBy) + irregularities(assessment)
        var diagnosis = verdict(assessment, primary, needed, evidence)
        diagnosis.doubles = doubles(assessment)
        diagnosis.stuckRouters = stuckRouters(assessment)
        if !diagnosis.stuckRouters.isEmpty {
            diagnosis.evidence.append(
                "\(diagnosis.stuckRouters.joined(separator: ", ")): the router there could not be turned to \(primary): its "
                    + "clients are not served as they should be; the agent's log there says why, and check on that host"
            )
        }
        diagnosis.code = diagnosis.code ?? blockedBy?.code ?? assessment.evidence?.code
        if diagnosis.code == nil, diagnosis.state == .recover, let source = assessment.facts(primary),
            let replica = assessment.facts(primary.other)
        {
            diagnosis.code = RebuildReason(replica, from: source, primary: primary)?.code
        }
        return diagnosis
    }

    /// A pause holds up what is not needed yet as well; what it holds up at this moment says so itself.
    private func pause(_ quorum: QuorumFacts?, _ blockedBy: Reason?) -> [String] {
        guard quorum?.control.paused == true, ![.paused, .closedAndPaused].contains(blockedBy?.code) else { return [] }
        return [Hold.paused.text]
    }

    /// Whose routers the master of a failover waits for, as the servers have it: what `fenced` makes it wait for.
    private func awaited(_ assessment: Assessment, _ primary: ServerID) -> String? {
        // A primary that is silent is seen as lost only after some seconds, which `explain` does not look for.
        guard assessment.evidence != nil || assessment.facts(primary) == nil, assessment.evidence != .incomplete,
            let ledger = assessment.ledger, ledger.kind == .failover, ledger.server == primary.other,
            let master = ledger.master, let new = assessment.facts(ledger.server), let quorum = new.quorum
        else { return nil }
        // What comes after that wait has begun.
        guard new.channels.first?.receiver != .off else { return nil }
        var promised = followers(assessment, ledger, master)
        if let index = rules.index(master.agent) { promised.insert(index) }
        let missing = rules.everybody.subtracting(promised.subtracting(rules.everybody.subtracting(quorum.votes)))
        guard rules.isMajority(promised), !missing.isEmpty else { return nil }
        let names = missing.names(rules.agents).joined(separator: ", ")
        let limit =
            rules.bound || durable.sync
            ? "until they are closed, \(rules.fenceWait) ms at most"
            : "and nothing proves that they are closed (router.bound, semi-synchronous replication, fence_command)"
        return
            "\(master.agent) leads the failover to \(ledger.server) and waits for \(names), whose routers may lead to "
            + "\(primary) still: \(limit)"
    }

    /// Agents of which there are two: this one, and those that say it of themselves.
    private func doubles(_ assessment: Assessment) -> Set<String> {
        ServerID.allCases.reduce(into: isNameInDoubt ? [rules.name] : []) {
            $0.formUnion(assessment.quorum($1)?.doubles ?? [])
        }
    }

    private func stuckRouters(_ assessment: Assessment) -> [String] {
        ServerID.allCases.compactMap { assessment.quorum($0)?.routersStuck }.reduce(AgentSet()) { $0.union($1) }
            .names(rules.agents)
    }

    /// What is not as it should be, whatever the state.
    private func irregularities(_ assessment: Assessment) -> [String] {
        var evidence: [String] = []
        for (name, how) in ServerID.allCases.compactMap({ assessment.quorum($0)?.strangers }).flatMap({ $0 }) {
            evidence.append(
                "\(name) goes by another configuration (\(ConfigurationDigest(configuration).differences(from: how)))")
        }
        for name in doubles(assessment).subtracting(isNameInDoubt ? [rules.name] : []).sorted() {
            evidence.append(
                "there are two agents named \(name), on two hosts: one of them votes no more; give it another agent.name, or stop it"
            )
        }
        if !durable.foreign.isEmpty {
            let lists = durable.foreign.map {
                $0.names.isEmpty
                    ? "one that cannot be told"
                    : $0.names.joined(separator: ", ")
                        + ($0.names == rules.agents
                            ? ", with other servers, max_lost_transactions or router.bound" : "")
            }
            evidence.append(
                "agents go by another list as well (\(lists.joined(separator: "; "))): until nobody does, nothing is promoted "
                    + "and the primary does not go on alone unless the majorities of both agree")
        }
        for id in ServerID.allCases {
            for table in (assessment.quorum(id)?.misshapen ?? []).sorted() {
                evidence.append(
                    "\(id): the table \(table) is not as the agents make it, and is not read: RENAME or DROP it there")
            }
            if case .ignored(let uuid) = assessment.quorum(id)?.foreignRecord {
                evidence.append(
                    "\(id): the newest row of repl_watchdog.history names \(PrintableText.line(uuid)), which is neither of the two "
                        + "servers: it is not believed; DELETE it on the primary")
            }
            if let trouble = assessment.quorum(id)?.login { evidence.append("\(id): \(trouble.text)") }
        }
        return evidence
    }

    private func verdict(
        _ assessment: Assessment, _ primary: ServerID, _ needed: NeededOperation?, _ evidence: [String]
    ) -> Diagnosis {
        let seen = assessment.observation.seen
        let own = ServerID.allCases.filter { if case .ownFault = seen[$0] { true } else { false } }
        if !own.isEmpty {
            return Diagnosis(
                .unknown, primary: primary, own.map { "\($0) \(seen[$0].reason)" } + evidence, code: .ownFault)
        }
        var evidence = evidence
        guard let facts = assessment.facts(primary) else {
            evidence.insert("\(primary) \(seen[primary].reason)", at: 1)
            let state: ClusterState = needed == nil && assessment.ledger == nil ? .down : .failover
            return Diagnosis(state, primary: primary, evidence)
        }
        guard let other = assessment.facts(primary.other) else {
            return Diagnosis(
                .down, primary: primary,
                evidence + missingRecord(primary, facts) + ["\(primary.other) \(seen[primary.other].reason)"],
                code: .serverSilent)
        }
        var diagnosis: Diagnosis
        if case .switchover? = needed {
            diagnosis = Diagnosis(.failover, primary: primary, evidence)
        } else if other.rebuilding == nil, other.channels.first?.health == .running {
            diagnosis = Diagnosis(.ok, primary: primary, evidence + ["replication runs"])
        } else {
            diagnosis = Diagnosis(
                .recover, primary: primary, evidence + ["replication on \(primary.other) does not run"])
        }
        note(assessment, primary, facts, other, in: &diagnosis)
        return diagnosis
    }

    /// What is to be said of two servers that answer.
    private func note(
        _ assessment: Assessment, _ primary: ServerID, _ facts: ServerFacts, _ other: ServerFacts,
        in diagnosis: inout Diagnosis
    ) {
        let replica = primary.other
        if facts.readOnly { diagnosis.closed.append(primary) }
        if !assessment.isComplete, facts.rebuilding == nil {
            diagnosis.incomplete = true
            diagnosis.evidence += missingRecord(primary, facts)
        }
        // While an operation is under way its ledger needs a replica that is only read_only.
        if other.rebuilding == nil, !other.superReadOnly, !other.readOnly || other.ledger == nil {
            diagnosis.exposed = !other.readOnly
            diagnosis.evidence.append(
                "\(replica) is not closed (\(other.readOnly ? "super_read_only" : "read_only") = OFF): whoever writes "
                    + "there makes it differ from \(primary)")
        }
        if other.rebuilding == nil {
            diagnosis.errant = other.executed.errant(beside: facts.executed, of: facts.uuid)
            if !diagnosis.errant.isEmpty {
                diagnosis.evidence.append(
                    "\(replica) holds transactions that \(primary) lacks: \(diagnosis.errant); a failover would make "
                        + "them part of the data")
            }
        }
        diagnosis.stalled = assessment.observation.stall(primary) > 0
        diagnosis.note(
            UnmetPrecondition.all(
                primary: primary, facts, replica: other, isSynchronous: durable.sync, lossAllowed: rules.maxLost > 0))
        // Its replica is not let in either, and what is said of that has this cause.
        if facts.isOffline { diagnosis.code = .primaryOffline }
        diagnosis.evidence += advice(assessment, primary)
    }

    private func missingRecord(_ primary: ServerID, _ facts: ServerFacts) -> [String] {
        guard (facts.promotion?.epoch ?? 0) < durable.epoch, facts.rebuilding == nil else { return [] }
        return [
            "repl_watchdog.history of \(primary) lacks epoch \(durable.epoch), which made it the primary: until that row is back "
                + "('trust \(primary)' writes it) no agent counts it as one, and routers stay open for as long as "
                + "\(primary.other) answers"
        ]
    }

    /// What else is to be known while all is well.
    private func advice(_ assessment: Assessment, _ primary: ServerID) -> [String] {
        guard let quorum = assessment.quorum(primary) else { return [] }
        var out: [String] = []
        if assessment.observation.stall(primary) > 0 {
            out.append(
                "writes on \(primary) hang for \(assessment.observation.stall(primary) / 1000) s: see its disks, the binary log's as "
                    + "well, and who holds a global read lock")
        }
        let missing = rules.everybody.subtracting(quorum.seesPrimary).names(rules.agents)
        if !missing.isEmpty { out.append("\(missing.joined(separator: ", ")) not at work on \(primary)") }
        return out
    }

    /// The gates of a failover and the lease of this host's router, as they stand.
    package func explanation(_ observation: TimedObservation) -> (diagnosis: Diagnosis, conditions: [FailoverCondition])
    {
        (diagnosis(observation), conditions(Assessment(observation, self)))
    }
}
