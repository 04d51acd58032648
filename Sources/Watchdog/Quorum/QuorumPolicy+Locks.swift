/// Which locks say what this agent thinks. They live as long as its sessions.
extension QuorumPolicy {
    func locks(_ assessment: Assessment) -> Orders.Locks {
        var locks = Orders.Locks()
        locks.isDouble = durable.isDouble
        guard durable.isInformed, !isNameInDoubt, let primary = assessment.primary else { return locks }
        if let facts = assessment.facts(primary), assessment.isComplete, assessment.evidence == nil,
            durable.promise == nil,
            facts.channels.isEmpty
        {
            locks.seesPrimary = primary
            if allowsAsync(assessment) { locks.async = primary }
        }
        guard let vote = vote(assessment, primary) else { return locks }
        locks.voteOn = primary.other
        locks.vote = vote
        return locks
    }

    /// This agent's vote that the primary is lost; nil while it may not vote.
    private func vote(_ assessment: Assessment, _ primary: ServerID) -> Orders.Vote? {
        guard let evidence = assessment.evidence, let replica = assessment.facts(primary.other),
            replica.rebuilding == nil,
            !replica.channels.isEmpty
        else { return nil }
        switch evidence {
        case .dead, .incomplete: return .dead
        case .silent, .stalled:
            // The router is closed, or was when this agent voted, and since it has promised it can be pointed to the promised
            // server alone. A promise that was made for a switchover is none of that before it is seen to lead there.
            let voted = replica.quorum?.votes.contains(rules.own) == true
            let promised = durable.promise.map { voted || assessment.observation.seen.routed == $0.on } ?? false
            return assessment.observation.routerClosed || promised ? .unreachable : nil
        }
    }
}
