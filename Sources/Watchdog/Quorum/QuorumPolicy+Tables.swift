/// When the agents write on the primary what they keep there.
extension QuorumPolicy {
    /// The open primary on which something may be written down now: from there it replicates. Only while all is well, for
    /// it may wait for locks and must not be waited for in an operation; by one agent, the first of those at work; and
    /// not while a commit could wait for a replica that is away.
    package func quietPrimary(_ observation: TimedObservation) -> ServerID? {
        let assessment = Assessment(observation, self)
        guard assessment.ambiguity == nil, let primary = assessment.primary, assessment.isComplete,
            assessment.evidence == nil,
            let facts = assessment.facts(primary), let quorum = facts.quorum, !facts.readOnly, !facts.superReadOnly,
            let replica = assessment.facts(primary.other), replica.rebuilding == nil, replica.superReadOnly,
            replica.channels.first?.health == .running
        else { return nil }
        guard !quorum.control.paused, facts.ledger == nil, replica.ledger == nil,
            rules.isMajority(quorum.seesPrimary),
            rules.agents.indices.first(where: quorum.seesPrimary.contains) == rules.own,
            !quorum.semiSync.enabled || quorum.semiSync.clients > 0
        else { return nil }
        return primary
    }

    /// The same, where the standing tables are to be made.
    package func tablesWanted(_ observation: TimedObservation) -> ServerID? {
        quietPrimary(observation).flatMap { primary in
            let recorded = ServerID.allCases.map { observation.seen.facts($0)?.quorum?.recorded }
            return recorded.contains(false) ? primary : nil
        }
    }
}
