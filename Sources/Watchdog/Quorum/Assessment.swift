/// What one look comes to: who is primary, what speaks against it, which operation is under way.
package struct Assessment: Sendable {
    let observation: TimedObservation
    let now: Int64
    let primary: ServerID?
    /// The primary is up and has everything that this agent has seen of it: it may be open.
    let isComplete: Bool
    let evidence: Evidence?
    let ledger: Ledger?
    /// Promoted by the operation of the ledger.
    private let recordedOn: ServerID?
    /// Why nobody may act, if so. Where only the replica is in doubt, the primary stays known: it goes on as it does when
    /// its replica cannot be asked.
    let ambiguity: Ambiguity?

    /// Why a primary counts as lost.
    package enum Evidence: Sendable, Hashable {
        /// Nobody listens there any more, and it starts closed.
        case dead
        /// It does not answer this agent, and the replica does not hear from it either.
        case silent
        /// It answers, but this agent's writes hang there.
        case stalled
        /// It is up and closed, and lacks what it had: it must not be opened again.
        case incomplete
    }

    var replica: ServerID? { primary?.other }
    func facts(_ id: ServerID) -> ServerFacts? { observation.seen.facts(id) }
    func quorum(_ id: ServerID) -> QuorumFacts? { observation.seen.facts(id)?.quorum }
    func recorded(_ id: ServerID) -> Bool { recordedOn == id }

    init(_ observation: TimedObservation, _ policy: QuorumPolicy) {
        self.observation = observation
        now = observation.now
        let durable = policy.durable
        let seen = observation.seen
        let primary = durable.primary.isEmpty ? nil : ServerID.allCases.first { durable.uuids[$0] == durable.primary }
        let ambiguity = Self.ambiguity(seen, policy, primary)
        self.ambiguity = ambiguity?.what
        self.primary = ambiguity == nil || ambiguity?.about == primary?.other ? primary : nil
        ledger = seen.activeLedger
        if let ledger, let facts = seen.facts(ledger.server), let promotion = facts.promotion,
            let begun = ledger.begun, promotion.primary == facts.uuid, promotion.epoch >= begun.epoch
        {
            recordedOn = ledger.server
        } else {
            recordedOn = nil
        }
        guard let primary = self.primary else {
            isComplete = false
            evidence = nil
            return
        }
        if let facts = seen.facts(primary) {
            let complete = durable.executed.isSubset(of: facts.executed)
            let current = (facts.promotion?.epoch ?? 0) >= durable.epoch
            let lacks = Self.lost(seen.facts(primary.other), facts, policy.copied)
            isComplete = facts.rebuilding == nil && complete && current && !lacks
            if ambiguity != nil {
                evidence = nil
            } else if !isComplete, facts.readOnly || facts.superReadOnly, facts.rebuilding == nil {
                evidence = .incomplete
            } else {
                let limit = policy.rules.stalledAfter
                evidence = limit > 0 && observation.stall(primary) >= limit && !facts.readOnly ? .stalled : nil
            }
        } else {
            isComplete = false
            evidence = ambiguity == nil ? Self.evidence(observation, policy, primary) : nil
        }
    }

    /// The replica holds, or was seen to hold, transactions that the primary itself made and lacks now. Only of a closed
    /// one: an open primary that waits for an acknowledgement does not list what its replica already has. While replication
    /// runs, what the two say was not asked in one instant.
    private static func lost(_ replica: ServerFacts?, _ primary: ServerFacts, _ copied: CopiedTransactions) -> Bool {
        guard primary.readOnly || primary.superReadOnly, replica?.channels.first?.health != .running
        else { return false }
        if let replica, replica.rebuilding == nil,
            !replica.executed.from(uuid: primary.uuid).isSubset(of: primary.executed)
        {
            return true
        }
        return !copied.set.from(uuid: primary.uuid).isSubset(of: primary.executed)
    }

    /// A server that shuts down in order refuses new connections and ends its clients' long before its replica has lost
    /// it. After so long its receiver speaks for it no more; but those who vote close their routers first.
    private static let refusedLimit: Int64 = 2_000

    private static func evidence(_ observation: TimedObservation, _ policy: QuorumPolicy, _ primary: ServerID)
        -> Evidence?
    {
        guard let track = policy.tracks[primary], let replica = observation.seen.facts(primary.other),
            let channel = replica.channels.first
        else { return nil }
        switch observation.seen[primary] {
        case .up, .refusing, .ownFault: return nil
        case .downHard where track.refusals >= 2 && channel.receiver != .on:
            // A process that may come back open has to be voted against with a closed router.
            return track.startsClosed ? .dead : .silent
        case .downHard where track.refusedSince.map { observation.now - $0 >= refusedLimit } == true: return .silent
        case .downHard, .downSoft, .stalled: break
        }
        guard observation.now - track.life >= policy.rules.downAfter else { return nil }
        // Who asks for the failover of a primary that only its replica reaches does not want the replica's word for it.
        let isAsked = replica.quorum?.failoverAsked == true
        let heard = policy.tracks[primary.other]?.markAt ?? .min
        if channel.receiver == .on, !isAsked, observation.now - policy.rules.vouch < heard { return nil }
        return .silent
    }

    /// What no rule provides for, and the server that it is about; nil where it may be either.
    private static func ambiguity(
        _ seen: Observation, _ policy: QuorumPolicy, _ primary: ServerID?
    ) -> (what: Ambiguity, about: ServerID?)? {
        let durable = policy.durable
        for id in ServerID.allCases {
            guard let facts = seen.facts(id) else { continue }
            if policy.isStranger(id, seen) {
                return (.stranger(id, uuid: facts.uuid, schemas: facts.schemas ?? []), id)
            }
            if case .unclear(let uuid) = facts.quorum?.foreignRecord {
                return (.unknownPromotion(id, uuid: uuid), id)
            }
            if !facts.gtidMode { return (.withoutGTIDs(id), id) }
            if facts.channels.count > 1 { return (.severalChannels(id, count: facts.channels.count), id) }
            if let other = seen.facts(id.other), other.uuid == facts.uuid {
                let known = ServerID.allCases.filter { durable.uuids[$0] == facts.uuid }
                return (.oneServer, known.count == 1 ? known[0].other : nil)
            }
            if durable.uuids[id] != facts.uuid, durable.uuids[id.other] == facts.uuid {
                return (.copiedServer(id), id)
            }
            if let source = facts.channels.first?.sourceUUID, !source.isEmpty, let other = durable.uuids[id.other],
                source != other
            {
                return (.foreignSource(id, uuid: source), id)
            }
        }
        guard let primary else {
            return (durable.primary.isEmpty ? .primaryUnknown : .primaryElsewhere(uuid: durable.primary), nil)
        }
        if let facts = seen.facts(primary), !facts.channels.isEmpty, seen.ledger(on: primary) == nil {
            return (.primaryReplicates(primary, epoch: durable.epoch), primary)
        }
        return nil
    }
}
