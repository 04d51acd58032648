/// What an agent takes to be the primary, and who stands behind the two addresses: learned from look to look, kept on disk.
extension QuorumPolicy {
    mutating func learn(_ observation: TimedObservation) {
        let isNew = !durable.isInformed
        if isNew { forget() }
        defer { if isNew { inform(observation) } }
        durable.operation = max(durable.operation, observation.seen.highestEpoch)
        freshlyPromoted = nil
        for id in ServerID.allCases {
            guard let facts = observation.seen.facts(id), !isStranger(id, observation.seen) else { continue }
            // One that goes by the other's name is a copied data directory: which is which would not be known any more
            // once one of them is silent. Two that go by each other's have changed places in the configuration.
            if durable.uuids[id] != facts.uuid,
                observation.seen.facts(id.other)?.uuid ?? durable.uuids[id.other] != facts.uuid
            {
                durable.uuids[id] = facts.uuid
            }
            if let promotion = facts.promotion, promotion.epoch > durable.epoch {
                durable.epoch = promotion.epoch
                durable.primary = promotion.primary
                durable.executed = GTIDSet()
                durable.sync = false
                if promotion.primary == facts.uuid, let last = tracks[id]?.answered,
                    observation.now - last <= rules.freshPromotion
                {
                    freshlyPromoted = id
                }
            }
        }
        // Before the first promotion the primary is who the other one replicates from.
        guard durable.primary.isEmpty else { return }
        for id in ServerID.allCases {
            guard let facts = observation.seen.facts(id), facts.channels.count == 1, facts.rebuilding == nil,
                let source = facts.channels.first, !source.sourceUUID.isEmpty,
                observation.seen.facts(id.other).map({ $0.uuid == source.sourceUUID && $0.channels.isEmpty }) ?? true,
                durable.uuids[id.other].map({ $0 == source.sourceUUID }) ?? true
            else { continue }
            durable.uuids[id.other] = source.sourceUUID
            durable.primary = source.sourceUUID
        }
    }

    /// What an agent that is not informed has seen counts for that look: a server that is alone may tell it anything.
    private mutating func forget() {
        var new = DurableState()
        (new.list, new.foreign, new.promise) = (durable.list, durable.foreign, durable.promise)
        (new.operation, new.executed) = (durable.operation, durable.executed)
        durable = new
    }

    private mutating func inform(_ observation: TimedObservation) {
        let seen = observation.seen
        for id in ServerID.allCases {
            guard let facts = seen.facts(id), facts.uuid != durable.primary else { continue }
            recallPromise(id, facts)
        }
        let both = ServerID.allCases.allSatisfy { seen.facts($0) != nil && !isStranger($0, seen) }
        let isTold = ServerID.allCases.contains { seen.facts($0)?.quorum?.trustAsked == true }
        for id in ServerID.allCases where durable.primary.isEmpty {
            // No promotion is on record, and no replica says whose it is.
            guard let facts = seen.facts(id), facts.quorum?.trustAsked == true, facts.channels.isEmpty,
                facts.rebuilding == nil
            else { continue }
            (durable.primary, durable.uuids[id]) = (facts.uuid, facts.uuid)
        }
        durable.isInformed = both || isTold
    }

    /// Rows of its own in a failover attempt say that it has promised, and what was on disk is gone.
    private mutating func recallPromise(_ id: ServerID, _ facts: ServerFacts) {
        guard Ledger.failoverAttempt(facts.ledger, on: id, after: durable.epoch) != nil else { return }
        var epoch = max(durable.epoch, durable.promise?.epoch ?? 0)
        let known = epoch
        for row in facts.ledger ?? [] where row.agent == rules.name {
            switch row.signal {
            case .mast, .folo: epoch = max(epoch, row.epoch)
            case .scan, .maok, .fook, .targ, .oper: break
            }
        }
        guard epoch > known else { return }
        durable.promise = DurableState.Promise(epoch: epoch, on: id)
    }

    /// Whether another server has been given this address.
    func isStranger(_ id: ServerID, _ seen: Observation) -> Bool {
        if !durable.isInformed, let one = seen.facts(id), let other = seen.facts(id.other) {
            // Nobody knows which of them it is, unless an operator has said it.
            return one.quorum?.trustAsked != true && Stranger.isOne(one, history: other.executed)
                && Stranger.isOne(other, history: one.executed)
        }
        guard let facts = seen.facts(id), facts.uuid != durable.uuids[id], facts.uuid != durable.primary,
            !durable.primary.isEmpty
        else { return false }
        return Stranger.isOne(facts, history: durable.executed.union(seen.facts(id.other)?.executed ?? GTIDSet()))
    }
}
