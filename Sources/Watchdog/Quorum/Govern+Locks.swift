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
        // Who has promised has no router that leads to the primary: it is closed, or leads to the promised server.
        case .silent, .stalled:
            return view.sight.routerCut || kept.promise != nil || broken.contains(.voteWithOpenRouter) ? .cut : nil
        }
    }
}
