/// When the agents' tables are made.
extension Govern {
    /// The open primary on which the standing tables are to be made now: from there they replicate. Only while all is
    /// well, for it is DDL, which waits for locks and must not be waited for in an operation; by one agent, the first of
    /// those at work; and not while a commit could wait for a replica that is away.
    package func tablesWanted(_ sight: Sight) -> ServerID? {
        let view = View(sight, self)
        guard view.doubt == nil, let primary = view.primary, view.fit, view.evidence == nil,
            let facts = view.facts(primary), let quorum = facts.quorum, !facts.readOnly, !facts.superReadOnly,
            let replica = view.facts(primary.other), replica.rebuilding == nil, replica.superReadOnly,
            replica.channels.first?.health == .running
        else { return nil }
        guard !quorum.recorded || replica.quorum?.recorded == false, !quorum.control.paused,
            facts.ledger == nil, replica.ledger == nil,
            rules.isMajority(quorum.alive), rules.agents.indices.first(where: quorum.alive.contains) == rules.own,
            !quorum.semiSync.enabled || quorum.semiSync.clients > 0
        else { return nil }
        return primary
    }
}
