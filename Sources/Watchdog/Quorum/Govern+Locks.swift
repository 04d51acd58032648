/// Which locks say what this agent thinks. They live as long as its sessions.
extension Govern {
    func locks(_ view: View) -> Orders.Locks {
        var locks = Orders.Locks()
        guard let primary = view.primary else { return locks }
        if let facts = view.facts(primary), view.fit, view.evidence == nil, kept.promise == nil,
            facts.channels.isEmpty
        {
            locks.alive = primary
            if letsGo(view) { locks.async = primary }
        }
        guard let vote = vote(view, primary) else { return locks }
        locks.voteOn = primary.other
        locks.vote = vote
        return locks
    }

    /// This agent's vote that the primary is lost; nil while it may not vote.
    private func vote(_ view: View, _ primary: ServerID) -> Orders.Vote? {
        guard let evidence = view.evidence, let replica = view.facts(primary.other), replica.rebuilding == nil,
            !replica.channels.isEmpty || view.recorded(primary.other)
        else { return nil }
        switch evidence {
        case .dead, .unfit: return .dead
        case .silent, .stalled:
            // The router is closed, or was when this agent voted, and since it has promised it can be led to the promised
            // server alone. A promise that was made for a switchover is none of that before it is seen to lead there.
            let voted = replica.quorum?.votes.contains(rules.own) == true
            let promised = kept.promise.map { voted || view.sight.seen.routed == $0.on } ?? false
            return view.sight.routerCut || promised || broken.contains(.voteWithOpenRouter) ? .cut : nil
        }
    }
}
