/// One condition of an automatic failover.
package struct FailoverCondition: Sendable, Hashable {
    /// Which of them, as `explain` names it.
    package enum Code: String, Sendable, CaseIterable {
        /// The replica answers.
        case replica
        /// The primary is lost, as this agent sees it.
        case lost
        /// A majority of the agents has lost it.
        case quorum
        /// Agents that go by another list agree.
        case lists
        /// The replica is a whole copy.
        case copy
        /// The replica can apply what it received.
        case applier
        /// The same GTIDs mean the same rows on both servers.
        case data
        /// No operator has paused the agents.
        case pause
        /// The last failover is long enough ago, and there were not too many within a day.
        case blockPeriod = "block period"
        /// Nothing is lost, or no more than is allowed.
        case loss
    }

    package var code: Code
    package var holds: Bool
    /// What was seen, in words.
    package var text: String
}

extension QuorumPolicy {
    /// Every condition of a failover to the replica, as it stands: what `explain` prints and what the operation master
    /// goes by.
    func conditions(_ assessment: Assessment) -> [FailoverCondition] {
        guard assessment.ambiguity == nil, let primary = assessment.primary, let replica = assessment.replica else {
            return []
        }
        guard let facts = assessment.facts(replica), let quorum = facts.quorum else {
            return [
                FailoverCondition(
                    code: .replica, holds: false, text: "\(replica) \(assessment.observation.seen[replica].reason)")
            ]
        }
        var conditions = [lost(assessment, primary, quorum), votes(quorum, primary)]
        if let condition = listsCondition(quorum) { conditions.append(condition) }
        conditions.append(
            FailoverCondition(
                code: .copy, holds: facts.rebuilding == nil,
                text: facts.rebuilding == nil ? "\(replica) is a whole copy" : "\(replica) is a half-made copy"))
        if case .broken(let why)? = facts.channels.first?.health, !assessment.recorded(replica) {
            let left = facts.channels.reduce(GTIDSet()) { $0.union($1.retrieved) }.subtracting(facts.executed)
            conditions.append(
                FailoverCondition(
                    code: .applier, holds: quorum.lossAccepted,
                    text: "\(replica) cannot apply what it received"
                        + (left.isEmpty ? "" : ", \(left.count) transactions (\(left))") + ": \(why)"))
        }
        if !quorum.filtered.isEmpty, !assessment.recorded(replica) {
            conditions.append(
                FailoverCondition(
                    code: .data, holds: quorum.lossAccepted,
                    text: "\(replica) may lack rows whose GTIDs it has: \(quorum.filtered)"))
        }
        let unfinished = assessment.ledger?.server == replica && assessment.ledger?.kind != nil
        conditions.append(
            FailoverCondition(
                code: .pause, holds: !quorum.control.paused || unfinished || quorum.failoverAsked,
                text: quorum.control.paused ? "paused by an operator (failover goes in spite of it)" : "not paused"))
        conditions.append(flapping(quorum.control, unfinished || quorum.failoverAsked))
        conditions.append(loss(assessment, facts))
        return conditions
    }

    private func lost(_ assessment: Assessment, _ primary: ServerID, _ quorum: QuorumFacts) -> FailoverCondition {
        // A look or two, as `explain` takes them, cannot tell that a server has been silent for long: agents that vote have
        // waited for it.
        let isMissed = assessment.facts(primary) == nil && rules.isMajority(quorum.votes)
        let speaks = assessment.facts(primary.other)?.channels.first?.receiver == .on && !quorum.failoverAsked
        let text =
            switch assessment.evidence {
            case .dead: "\(primary) refuses connections, and its replica has lost it"
            case .silent: "\(primary) has been silent for \(rules.downAfter) ms, and its replica does not hear from it"
            case .stalled: "writes on \(primary) have hung for \(assessment.observation.stall(primary) / 1000) s"
            case .incomplete: "\(primary) came back without transactions that it had"
            case nil where isMissed: "\(primary) does not answer this agent, and a majority of the agents has lost it"
            case nil:
                "\(primary): \(assessment.observation.seen[primary].reason)"
                    + (assessment.facts(primary) == nil && speaks
                        ? "; \(primary.other) is connected to it (failover goes in spite of it)" : "")
            }
        return FailoverCondition(code: .lost, holds: assessment.evidence != nil || isMissed, text: text)
    }

    private func votes(_ quorum: QuorumFacts, _ primary: ServerID) -> FailoverCondition {
        let who = quorum.votes.names(rules.agents)
        let missing = rules.everybody.subtracting(quorum.votes).names(rules.agents)
        return FailoverCondition(
            code: .quorum, holds: rules.isMajority(quorum.votes),
            text: "\(who.count) of \(rules.agents.count) agents have lost \(primary)"
                + (who.isEmpty ? "" : " (\(who.joined(separator: ", ")))") + ", \(rules.majority) are needed"
                + (missing.isEmpty ? "" : "; no vote from \(missing.joined(separator: ", "))"))
    }

    private func flapping(_ control: Control, _ unfinished: Bool) -> FailoverCondition {
        let lifted = unfinished || control.acknowledged >= durable.epoch
        if let age = control.lastFailover, age < rules.blockPeriod {
            return FailoverCondition(
                code: .blockPeriod, holds: lifted,
                text: "the last failover is \(age / 1000) s old, the next may come after \(rules.blockPeriod / 1000) s"
                    + (lifted ? ": lifted" : " (failover goes in spite of it)"))
        }
        return FailoverCondition(
            code: .blockPeriod, holds: lifted || control.failoversToday < rules.failoversPerDay,
            text: "\(control.failoversToday) failovers within a day, \(rules.failoversPerDay) are allowed")
    }

    /// What may be lost, as this agent knows; the operation master asks everybody who follows.
    private func loss(_ assessment: Assessment, _ replica: ServerFacts) -> FailoverCondition {
        let arrived = replica.channels.reduce(replica.executed) { $0.union($1.retrieved) }
        return loss(
            missing: durable.executed.subtracting(arrived), sync: durable.sync, lives: isSynced(replica),
            accepted: replica.quorum?.lossAccepted == true)
    }

    /// - Parameter lives: the replica's process is the one that has acknowledged, or what it received has outlived that.
    func loss(missing: GTIDSet, sync: Bool, lives: Bool, accepted: Bool) -> FailoverCondition {
        if missing.isEmpty, sync, lives {
            return FailoverCondition(
                code: .loss, holds: true, text: "replication was semi-synchronous: nothing acknowledged is lost")
        }
        let what =
            missing.isEmpty
            ? sync
                ? "the replica was started anew since it acknowledged: what it had received and not applied may be lost"
                : "replication was asynchronous: what was committed since the last look may be lost"
            : "\(missing.count) transactions are known to be lost: \(missing)"
        let allowed = rules.maxLost > 0 && missing.count <= rules.maxLost
        return FailoverCondition(
            code: .loss, holds: allowed || accepted,
            text: "\(what); max_lost_transactions = \(rules.maxLost)" + (accepted ? ", accepted by an operator" : ""))
    }
}
