/// When the agents write on the primary what they keep there.
extension Govern {
    /// The open primary on which something may be written down now: from there it replicates. Only while all is well, for
    /// it may wait for locks and must not be waited for in an operation; by one agent, the first of those at work; and
    /// not while a commit could wait for a replica that is away.
    package func quietPrimary(_ sight: Sight) -> ServerID? {
        let view = View(sight, self)
        guard view.doubt == nil, let primary = view.primary, view.fit, view.evidence == nil,
            let facts = view.facts(primary), let quorum = facts.quorum, !facts.readOnly, !facts.superReadOnly,
            let replica = view.facts(primary.other), replica.rebuilding == nil, replica.superReadOnly,
            replica.channels.first?.health == .running
        else { return nil }
        guard !quorum.control.paused, facts.ledger == nil, replica.ledger == nil,
            rules.isMajority(quorum.alive), rules.agents.indices.first(where: quorum.alive.contains) == rules.own,
            !quorum.semiSync.enabled || quorum.semiSync.clients > 0
        else { return nil }
        return primary
    }

    /// The same, where the standing tables are to be made.
    package func tablesWanted(_ sight: Sight) -> ServerID? {
        quietPrimary(sight).flatMap { primary in
            let recorded = ServerID.allCases.map { sight.seen.facts($0)?.quorum?.recorded }
            return recorded.contains(false) ? primary : nil
        }
    }
}
