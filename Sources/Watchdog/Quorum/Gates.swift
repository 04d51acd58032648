/// One condition of an automatic failover.
public struct Gate: Sendable, Hashable {
    public var name: String
    public var holds: Bool
    /// What was seen, in words.
    public var text: String
    /// Must hold before a campaign begins, and not only before the promotion.
    var before = true
}

extension Govern {
    /// Every condition of a failover to the replica, as it stands: what `explain` prints and what the operation master
    /// goes by.
    func gates(_ view: View) -> [Gate] {
        guard view.doubt == nil, let primary = view.primary, let replica = view.replica else { return [] }
        guard let facts = view.facts(replica), let quorum = facts.quorum else {
            return [Gate(name: "replica", holds: false, text: "\(replica) \(view.sight.seen[replica].reason)")]
        }
        var gates = [lost(view, primary), votes(quorum, primary)]
        if let gate = listsGate(quorum) { gates.append(gate) }
        gates.append(
            Gate(
                name: "copy", holds: facts.rebuilding == nil,
                text: facts.rebuilding == nil ? "\(replica) is a whole copy" : "\(replica) is a half-made copy"))
        if case .broken(let why)? = facts.channels.first?.health, !view.recorded(replica) {
            let left = facts.channels.reduce(GTIDSet()) { $0.union($1.retrieved) }.subtracting(facts.executed)
            gates.append(
                Gate(
                    name: "applier", holds: quorum.lossAccepted,
                    text: "\(replica) cannot apply what it received"
                        + (left.isEmpty ? "" : ", \(left.count) transactions (\(left))") + ": \(why)"))
        }
        if !quorum.filtered.isEmpty, !view.recorded(replica) {
            gates.append(
                Gate(
                    name: "data", holds: quorum.lossAccepted,
                    text: "\(replica) may lack rows whose GTIDs it has: \(quorum.filtered)"))
        }
        let unfinished = view.ledger?.server == replica && view.ledger?.kind != nil
        gates.append(
            Gate(
                name: "pause", holds: !quorum.control.paused || unfinished || quorum.failoverAsked,
                text: quorum.control.paused ? "paused by an operator (resume)" : "not paused"))
        gates.append(flapping(quorum.control, unfinished || quorum.failoverAsked))
        gates.append(loss(view, facts))
        return gates
    }

    private func lost(_ view: View, _ primary: ServerID) -> Gate {
        let text =
            switch view.evidence {
            case .dead: "\(primary) refuses connections, and its replica has lost it"
            case .silent: "\(primary) has been silent for \(rules.downAfter) ms, and its replica does not hear from it"
            case .stalled: "writes on \(primary) have hung for \(view.sight.stall(primary) / 1000) s"
            case .unfit: "\(primary) came back without transactions that it had"
            case nil: "\(primary): \(view.sight.seen[primary].reason)"
            }
        return Gate(name: "lost", holds: view.evidence != nil, text: text)
    }

    private func votes(_ quorum: QuorumFacts, _ primary: ServerID) -> Gate {
        let who = quorum.votes.names(rules.agents)
        let missing = rules.everybody.subtracting(quorum.votes).names(rules.agents)
        return Gate(
            name: "quorum", holds: rules.isMajority(counted(quorum)) || broken.contains(.minorityLeads),
            text: "\(who.count) of \(rules.agents.count) agents have lost \(primary)"
                + (who.isEmpty ? "" : " (\(who.joined(separator: ", ")))") + ", \(rules.majority) are needed"
                + (missing.isEmpty ? "" : "; no vote from \(missing.joined(separator: ", "))"))
    }

    private func flapping(_ control: Control, _ unfinished: Bool) -> Gate {
        let lifted = unfinished || control.acknowledged >= kept.epoch
        if let age = control.lastFailover, age < rules.blockPeriod {
            return Gate(
                name: "block period", holds: lifted,
                text: "the last failover is \(age / 1000) s old, the next may come after \(rules.blockPeriod / 1000) s"
                    + (lifted ? ": lifted" : " (ack lifts it)"))
        }
        return Gate(
            name: "block period", holds: lifted || control.failoversToday < rules.failoversPerDay,
            text: "\(control.failoversToday) failovers within a day, \(rules.failoversPerDay) are allowed")
    }

    /// What may be lost, as this agent knows; the operation master asks everybody who follows.
    private func loss(_ view: View, _ replica: ServerFacts) -> Gate {
        let arrived = replica.channels.reduce(replica.executed) { $0.union($1.retrieved) }
        return loss(
            missing: kept.executed.subtracting(arrived), sync: kept.sync,
            accepted: replica.quorum?.lossAccepted == true)
    }

    func loss(missing: GTIDSet, sync: Bool, accepted: Bool) -> Gate {
        if broken.contains(.noLossCheck) { return Gate(name: "loss", holds: true, text: "") }
        if missing.isEmpty, sync {
            return Gate(
                name: "loss", holds: true, text: "replication was semi-synchronous: nothing acknowledged is lost")
        }
        let what =
            missing.isEmpty
            ? "replication was asynchronous: what was committed since the last look may be lost"
            : "\(missing.count) transactions are known to be lost: \(missing)"
        let allowed = rules.maxLost > 0 && missing.count <= rules.maxLost
        return Gate(
            name: "loss", holds: allowed || accepted,
            text: "\(what); max_lost_transactions = \(rules.maxLost)" + (accepted ? ", accepted by an operator" : ""))
    }
}
