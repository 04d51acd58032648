/// What the cluster needs, as far as this agent sees.
enum Want: Sendable, Hashable {
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

extension Govern {
    /// The operation that is needed and allowed; with nil, `hold` says what stands in the way of one, if anything.
    func want(_ view: View) -> (want: Want?, hold: String?) {
        if let doubt = view.doubt { return (nil, doubt) }
        guard let primary = view.primary, let replica = view.replica else { return (nil, nil) }
        if let facts = view.facts(replica), let quorum = facts.quorum,
            rules.isMajority(counted(quorum)) || broken.contains(.minorityLeads),
            view.evidence != nil, quorum.votes.contains(rules.own)
        {
            if let why = gates(view).first(where: { !$0.holds && $0.before })?.text { return (nil, why) }
            if let refusal, !quorum.lossAccepted { return (nil, refusal) }
            return (.failover(replica), nil)
        }
        guard let facts = view.facts(primary), let quorum = facts.quorum else {
            return (nil, view.evidence == nil ? nil : "no majority of the agents has lost \(primary)")
        }
        guard view.fit else {
            if facts.rebuilding != nil { return (nil, "\(primary) is a half-made copy: nobody may write to it") }
            return (nil, "\(primary) lacks what it was seen to have: it is not opened")
        }
        let majority = rules.isMajority(quorum.alive) || broken.contains(.minorityLeads)
        if facts.superReadOnly || facts.readOnly {
            if broken.contains(.openWithoutLock) { return (.reopen(primary), nil) }
            return majority ? reopen(view, primary) : (nil, "\(primary) is closed, and no majority of agents sees it")
        }
        guard view.quorum(replica)?.switchoverAsked == true else { return repair(view, primary, majority) }
        guard let why = switchoverHold(view, primary) else { return (.switchover(replica), nil) }
        // Repair goes on meanwhile: it may be what the request waits for.
        let (want, hold) = repair(view, primary, majority)
        return (want, want == nil ? [why, hold].compactMap { $0 }.joined(separator: "; ") : nil)
    }

    /// Whether the replica of an open primary needs to be brought back.
    private func repair(_ view: View, _ primary: ServerID, _ majority: Bool) -> (Want?, String?) {
        let replica = primary.other
        guard let other = view.facts(replica) else { return (nil, nil) }
        guard majority else {
            let why = "\(replica) is not closed, and no majority of agents sees \(primary)"
            return (nil, other.superReadOnly ? nil : why)
        }
        // The primary's word counts: a server that was away has not heard that a pause is over.
        if view.quorum(primary)?.control.paused == true { return (nil, "paused by an operator") }
        guard other.rebuilding == nil else { return (.recover(primary), nil) }
        switch other.channels.first?.health {
        // A ledger there, even one that nobody leads, explains why it is not quite closed; clearing it away closes it.
        case .running? where other.superReadOnly || other.readOnly && other.ledger != nil: return (nil, nil)
        case .disconnected(let why)?: return (nil, "\(replica) does not reach \(primary): \(why)")
        case .broken(let why)?:
            let rebuilds = view.quorum(primary)?.control.rebuildsToday ?? 0
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
    private func reopen(_ view: View, _ primary: ServerID) -> (Want?, String?) {
        if let quorum = view.quorum(primary), quorum.control.paused, !quorum.resumeAsked {
            return (nil, "\(primary) is closed, and the agents are paused by an operator: resume opens it")
        }
        if let other = view.facts(primary.other) {
            guard other.quorum?.votes.isEmpty != false else {
                return (nil, "some agents still vote against \(primary)")
            }
            guard Ledger.campaign(other.ledger, on: primary.other) == nil else {
                return (nil, "an operation on \(primary.other) is under way")
            }
            return (.reopen(primary), nil)
        }
        // Votes that cannot be seen may exist; those who cast them hold nothing here once their sessions are over.
        guard let since = majoritySince, view.now - since >= rules.sessionTimeout + rules.interval + rules.probeTimeout
        else { return (nil, "\(primary.other) cannot be asked: waiting for a lasting majority on \(primary)") }
        return (.reopen(primary), nil)
    }

    /// Why the operator's switchover cannot be done now.
    private func switchoverHold(_ view: View, _ primary: ServerID) -> String? {
        guard let source = view.facts(primary), let facts = view.facts(primary.other) else { return "not asked for" }
        guard facts.rebuilding == nil, let channel = facts.channels.first, channel.health == .running else {
            return "switchover: replication on \(primary.other) does not run"
        }
        let behind = source.executed.subtracting(facts.executed).count
        guard behind <= 10_000 else { return "switchover: \(primary.other) is \(behind) transactions behind" }
        guard kept.foreign.isEmpty else { return "switchover: agents go by two lists, give every agent the same" }
        // Whoever leads it has turned away already.
        var alive = view.quorum(primary)?.alive ?? AgentSet()
        if kept.promise?.on == primary.other { alive.insert(rules.own) }
        guard rules.isMajority(alive) else {
            return "switchover: no majority of agents sees \(primary)"
        }
        return nil
    }
}
