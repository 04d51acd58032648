import MySQLWire

/// When this host's router may be open.
extension Govern {
    /// A lease counts from the moment when its question was asked, never from the answer: an answer that was long on its
    /// way allows nothing.
    mutating func renewLease(_ view: View) {
        let asked = view.sight.askedAt
        guard let primary = view.primary else { return }
        if leaseOn != nil, leaseOn != primary, !campaigns(view) { leaseUntil = .min }
        if leaseOn == nil, !rules.bound, kept.promise == nil {
            // A router that outlives its agent was open all the while: an agent that has just been started does not
            // close it before it could have found out.
            leaseOn = primary
            leaseUntil = view.now + rules.sessionTimeout + rules.interval + rules.lease
        }
        noteMajority(view, primary)

        if let target = early(view) {
            grant(target, asked)
            return
        }
        guard kept.promise == nil, view.evidence == nil else { return }
        // Its agents' locks are about to come. Without this an agent that meets the announcement and the record in one
        // look would close its router and open it seconds after all others.
        if freshlyPromoted == primary, view.fit {
            grant(primary, asked)
            return
        }
        // The replica is asked in one look for this agent's vote first and for a campaign after it.
        if view.doubt == nil, let replica = view.facts(primary.other), let quorum = replica.quorum,
            !quorum.votes.contains(rules.own) || broken.contains(.voteWithOpenRouter),
            Ledger.campaign(replica.ledger, on: primary.other, after: kept.epoch) == nil,
            (replica.promotion?.epoch ?? 0) <= kept.epoch, replica.superReadOnly || replica.readOnly
        {
            grant(primary, asked)
            return
        }
        guard let facts = view.facts(primary), let quorum = facts.quorum, view.fit,
            rules.isMajority(quorum.alive)
        else { return }
        if view.facts(primary.other) != nil,
            Ledger.campaign(view.facts(primary.other)?.ledger, on: primary.other, after: kept.epoch) != nil,
            !broken.contains(.noLease)
        {
            // Somebody campaigns: what others hold here may be about to go.
            if lapsed { return }
        }
        // Locks of those who have turned away may be left over for a while: they keep a router open, they do not
        // reopen one.
        if lapsed, !broken.contains(.staleLocksReopen) {
            guard let since = majoritySince, since + rules.sessionTimeout + rules.interval <= asked else { return }
        }
        grant(primary, asked)
    }

    private mutating func noteMajority(_ view: View, _ primary: ServerID) {
        if let quorum = view.quorum(primary), rules.isMajority(quorum.alive) {
            if majoritySince == nil { majoritySince = view.sight.askedAt }
        } else {
            majoritySince = nil
        }
    }

    private mutating func grant(_ id: ServerID, _ asked: Int64) {
        leaseUntil = leaseOn == id ? max(leaseUntil, asked + rules.lease) : asked + rules.lease
        leaseOn = id
        lapsed = false
    }

    /// The target of a campaign that this agent follows: its router may go there before the server is open.
    func early(_ view: View) -> ServerID? {
        guard let promise = kept.promise, let ledger = view.ledger, ledger.server == promise.on,
            ledger.kind == .failover, let socket = ledger.target,
            configuration.servers[ledger.server].description == socket,
            let facts = view.facts(ledger.server), facts.rebuilding == nil
        else { return nil }
        // While the primary is open and well, its clients are left in peace until it is closed.
        if let old = view.facts(ledger.server.other), !old.superReadOnly, view.evidence == nil,
            !view.recorded(ledger.server)
        {
            return nil
        }
        return ledger.server
    }

    private func campaigns(_ view: View) -> Bool { early(view) != nil }

    func hasLease(_ id: ServerID, _ view: View) -> Bool {
        leaseOn == id && view.now < leaseUntil || broken.contains(.noLease)
    }

    /// What becomes of the router. A vote for silence rests on a closed router, and voids the lease.
    mutating func router(_ view: View, _ locks: Orders.Locks) -> Orders.Router {
        needsNoLease = false
        if let target = early(view) {
            return view.now < leaseUntil ? .lead(to: target) : .cut
        }
        guard let primary = view.primary else { return leaseUntil > view.now ? .keep : .cut }
        switch view.evidence {
        case .dead:
            // Its process is gone, and it starts closed: the road leads nowhere. It is not opened again without a
            // look at the replica.
            lapsed = true
            leaseUntil = .min
            needsNoLease = true
            return .keep
        case .silent, .stalled:
            guard view.facts(primary.other) != nil else { break }
            lapsed = true
            leaseUntil = .min
            return broken.contains(.voteWithOpenRouter) ? .keep : .cut
        case .unfit, nil: break
        }
        guard hasLease(primary, view) else {
            lapsed = true
            return .cut
        }
        // A lease that nothing was seen for yet keeps a router as it is, it opens none; but not one that leads to the
        // server which was replaced while this agent was away.
        guard let facts = view.facts(primary), facts.uuid == kept.primary, locks.vote == nil, !lapsed else {
            if case .leadsTo(let uuid) = view.sight.seen.router, uuid != kept.primary { return .cut }
            return .keep
        }
        return .lead(to: primary)
    }
}
