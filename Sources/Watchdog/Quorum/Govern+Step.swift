/// The next step of the operation, or the beginning of one.
extension Govern {
    mutating func step(_ view: View, _ me: Standing) -> Step {
        guard let ledger = view.ledger, let master = ledger.master else { return begin(view, me) }
        if master.alive {
            if master.agent == me.agent, master.session == me.session, me.server == ledger.server, me.holdsLock {
                return lead(view, me, ledger, master)
            }
            return follow(view, me, ledger, master)
        }
        return takeOver(view, me, ledger)
    }

    // MARK: Before an operation

    private func begin(_ view: View, _ me: Standing) -> Step {
        let (want, hold) = want(view)
        guard let want else {
            if let step = settle(view) { return step }
            // Clearing closes every server but the primary, and which one that is nobody knows.
            if let doubt = view.doubt { return me.server == nil ? .none(doubt) : .withdraw(doubt) }
            guard let stray = ServerID.allCases.compactMap({ view.sight.seen.ledger(on: $0) }).first else {
                return .none(hold ?? "nothing to do")
            }
            if stray.candidates.contains(where: { $0.agent != me.agent }) {
                if me.server != nil { return .withdraw(hold ?? "no operation is needed") }
                return .wait("other agents consider an operation")
            }
            return me.holdsLock && me.server == stray.server
                ? .terminate(missing: [], keepClosed: true) : joinOrLock(stray, me)
        }
        guard me.server == want.server, let ledger = view.sight.seen.ledger(on: want.server) else {
            return .scan(on: want.server)
        }
        if broken.contains(.electionWithoutLock), ledger.candidates.contains(where: { $0.session == me.session }) {
            return .master(on: want.server)
        }
        if me.holdsLock, ledger.candidates.first?.session == me.session { return .master(on: want.server) }
        return joinOrLock(ledger, me)
    }

    /// Semi-synchronous replication follows the replica's coming and going; no operation is needed for that.
    private func settle(_ view: View) -> Step? {
        guard let primary = view.primary, let facts = view.facts(primary), let quorum = facts.quorum, view.fit,
            !facts.superReadOnly, !facts.readOnly, view.ledger == nil
        else { return nil }
        if quorum.semiSync.installed, let step = settleSemiSync(view, primary, facts, quorum) { return step }
        return quorum.bootsClosed ? nil : .startClosed(primary)
    }

    private func settleSemiSync(
        _ view: View, _ primary: ServerID, _ facts: ServerFacts, _ quorum: QuorumFacts
    ) -> Step? {
        if view.doubt == nil, let replica = view.facts(primary.other), replica.quorum?.semiSync.enabled == true,
            replica.superReadOnly,
            !replica.channels.isEmpty
        {
            return .calm(primary.other)
        }
        if quorum.semiSync.enabled, letsGo(view) {
            if rules.isMajority(quorum.async) && dissenting(quorum, \.async).isEmpty
                || broken.contains(.asyncUnrecorded)
            {
                return .loosen(primary)
            }
        }
        if view.doubt == nil, !quorum.semiSync.enabled, let replica = view.facts(primary.other),
            quorum.semiSync.clients > 0,
            replica.rebuilding == nil, replica.channels.first?.health == .running,
            hears(view, primary.other, within: rules.vouch),
            facts.executed.subtracting(replica.executed).count < 1_000
        {
            return .tighten(primary)
        }
        return nil
    }

    func joinOrLock(_ ledger: Ledger, _ me: Standing) -> Step {
        guard me.server == ledger.server, let session = me.session,
            ledger.candidates.contains(where: { $0.session == session })
        else { return .scan(on: ledger.server) }
        guard ledger.candidates.first?.session == session else {
            let first = "\(ledger.candidates.first?.agent ?? "another agent") comes first"
            // Whoever comes first cannot begin without the lock. An agent can hold it still after the end of an operation
            // whose last statement failed: each of the two would wait for the other for ever.
            return me.holdsLock ? .withdraw(first) : .wait(first)
        }
        return .lock(on: ledger.server)
    }

    // MARK: An operation whose master is gone

    private func takeOver(_ view: View, _ me: Standing, _ ledger: Ledger) -> Step {
        let campaign = ledger.server != view.primary && !view.recorded(ledger.server)
        if campaign, let quorum = view.quorum(ledger.server), rules.isMajority(quorum.votes),
            !quorum.votes.contains(rules.own)
        {
            // Those who have lost the primary go on with it.
            let why = "a majority has lost \(ledger.server.other), this agent has not"
            return me.server == nil ? .wait(why) : .withdraw(why)
        }
        if campaign, view.facts(ledger.server)?.quorum?.switchoverAsked != true, view.evidence == nil,
            view.facts(ledger.server.other) == nil
        {
            return me.server == nil ? .wait("an operation was left, and its primary is silent") : .withdraw("not sure")
        }
        if me.holdsLock, me.server == ledger.server { return .master(on: ledger.server) }
        return joinOrLock(ledger, me)
    }

    // MARK: Following

    private func follow(_ view: View, _ me: Standing, _ ledger: Ledger, _ master: LedgerRow) -> Step {
        let mine = ledger.rows.contains {
            $0.signal == .folo(host: me.agent) && $0.session == me.session && me.server == ledger.server
                && ($0.epoch == master.epoch || view.recorded(ledger.server))
        }
        let done = ledger.has(.fook(host: me.agent))
        let campaign = ledger.server != view.primary && !view.recorded(ledger.server)
        if campaign, !mine {
            guard turnsAway(view, ledger) else {
                let why = "\(master.agent) campaigns, this agent sees no reason"
                return me.server == nil ? .wait(why) : .withdraw(why)
            }
            return .follow(on: ledger.server)
        }
        if !mine && !done { return .follow(on: ledger.server) }
        guard !done else { return .wait("\(master.agent) ends the operation") }
        if ledger.kind == .recover { return ledger.masterDone ? .confirmFollower : .wait("\(master.agent) works") }
        guard ledger.kind == .failover, view.recorded(ledger.server) else {
            return .wait("\(master.agent) is operation master")
        }
        return view.sight.seen.routed == ledger.server && !view.sight.routerCut
            ? .confirmFollower : .wait("this host's router turns")
    }

    /// Whether this agent may promise: it has voted itself, or an operator asks for a change while the primary is well.
    private func turnsAway(_ view: View, _ ledger: Ledger) -> Bool {
        guard view.doubt == nil else { return false }
        guard view.quorum(ledger.server)?.votes.contains(rules.own) != true else { return view.evidence != nil }
        return ledger.kind == .failover && view.quorum(ledger.server)?.switchoverAsked == true && view.fit
    }
}
