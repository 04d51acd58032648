extension UnmetPrecondition {
    /// Those that do not hold while `primary` is the primary, by what the two servers say of themselves.
    /// - Parameters:
    ///   - isSynchronous: what an agent knows of it; nil: by the primary's word of this moment.
    ///   - lossAllowed: a failover goes on without semi-synchronous replication, as the operator has declared.
    static func all(
        primary: ServerID, _ source: ServerFacts, replica: ServerFacts, isSynchronous: Bool? = nil, lossAllowed: Bool
    ) -> [UnmetPrecondition] {
        let other = primary.other
        var found: [UnmetPrecondition] = []
        if source.isOffline { found.append(.init(precondition: .primaryOffline, server: primary)) }
        if let filtered = replica.quorum?.filtered, !filtered.isEmpty {
            found.append(.init(precondition: .replicaFiltered, server: other, detail: filtered))
        }
        if let filtered = source.quorum?.filtered, !filtered.isEmpty {
            found.append(.init(precondition: .primaryFiltered, server: primary, detail: filtered))
        }
        for (id, facts) in [(primary, source), (other, replica)] where !facts.performanceSchema {
            found.append(.init(precondition: .performanceSchemaOff, server: id))
        }
        if let quorum = source.quorum {
            found += acknowledgement(
                primary, quorum.semiSync, of: replica.uuid, isSynchronous: isSynchronous, lossAllowed: lossAllowed,
                canName: source.performanceSchema)
            if !quorum.bootsClosed { found.append(.init(precondition: .mayStartOpen, server: primary)) }
        }
        for (id, facts) in [(primary, source), (other, replica)] {
            guard let semiSync = facts.quorum?.semiSync, semiSync.wanted > 1 else { continue }
            found.append(.init(precondition: .severalAcknowledgements, server: id, detail: "\(semiSync.wanted)"))
        }
        if let delay = replica.channels.first?.delay, delay > 0 {
            found.append(.init(precondition: .replicaDelayed, server: other, detail: "\(delay)"))
        }
        if replica.isOffline { found.append(.init(precondition: .replicaOffline, server: other)) }
        return found
    }

    /// The first of those that explain each other: who acknowledges says more than that nothing is promised.
    private static func acknowledgement(
        _ primary: ServerID, _ semiSync: SemiSync, of replica: String?, isSynchronous: Bool?, lossAllowed: Bool,
        canName: Bool
    ) -> [UnmetPrecondition] {
        switch semiSync.acknowledgement(of: replica) {
        case .elsewhere?: return [.init(precondition: .thirdAcknowledger, server: primary)]
        case .unnamed?: return canName ? [.init(precondition: .unnamedAcknowledger, server: primary)] : []
        case .replica?, nil: break
        }
        guard !lossAllowed, !(isSynchronous ?? semiSync.guarantees) else { return [] }
        return [
            .init(
                precondition: .notSemiSynchronous, server: primary,
                detail: semiSync.installed ? "is not semi-synchronous at this moment" : "is asynchronous")
        ]
    }
}
