/// What one look comes to: who is primary, what speaks against it, which operation is under way.
struct View: Sendable {
    let sight: Sight
    let now: Int64
    let primary: ServerID?
    /// The primary is up and has everything that this agent has seen of it: it may be open.
    let fit: Bool
    let evidence: Evidence?
    let ledger: Ledger?
    /// Promoted by the operation of the ledger.
    private let recordedOn: ServerID?
    /// Why nobody may act, if so. Where only the replica is in doubt, the primary stays known: it goes on as it does when
    /// its replica cannot be asked.
    let doubt: String?

    /// Why a primary counts as lost.
    enum Evidence: Sendable, Hashable {
        /// Nobody listens there any more, and it starts closed.
        case dead
        /// It does not answer this agent, and the replica does not hear from it either.
        case silent
        /// It answers, but this agent's writes hang there.
        case stalled
        /// It is up and closed, and lacks what it had: it must not be opened again.
        case unfit
    }

    var replica: ServerID? { primary?.other }
    func facts(_ id: ServerID) -> ServerFacts? { sight.seen.facts(id) }
    func quorum(_ id: ServerID) -> QuorumFacts? { sight.seen.facts(id)?.quorum }
    func recorded(_ id: ServerID) -> Bool { recordedOn == id }

    init(_ sight: Sight, _ govern: Govern) {
        self.sight = sight
        now = sight.now
        let kept = govern.kept
        let seen = sight.seen
        let primary = kept.primary.isEmpty ? nil : ServerID.allCases.first { kept.uuids[$0] == kept.primary }
        let doubt = Self.doubt(seen, govern, primary)
        self.doubt = doubt?.text
        self.primary = doubt == nil || doubt?.about == primary?.other ? primary : nil
        ledger = seen.activeLedger
        if let ledger, let facts = seen.facts(ledger.server), let promotion = facts.promotion,
            let begun = ledger.begun, promotion.primary == facts.uuid, promotion.epoch >= begun.epoch
        {
            recordedOn = ledger.server
        } else {
            recordedOn = nil
        }
        guard let primary = self.primary else {
            fit = false
            evidence = nil
            return
        }
        if let facts = seen.facts(primary) {
            let complete = kept.executed.isSubset(of: facts.executed)
            let current = (facts.promotion?.epoch ?? 0) >= kept.epoch
            let ahead = Self.lost(seen.facts(primary.other), facts)
            fit =
                facts.rebuilding == nil && (complete && current && !ahead || govern.broken.contains(.staleServerOpened))
            if doubt != nil {
                evidence = nil
            } else if !fit, facts.readOnly || facts.superReadOnly, facts.rebuilding == nil {
                evidence = .unfit
            } else {
                let limit = govern.rules.stalledAfter
                evidence = limit > 0 && sight.stall(primary) >= limit && !facts.readOnly ? .stalled : nil
            }
        } else {
            fit = false
            evidence = doubt == nil ? Self.evidence(sight, govern, primary) : nil
        }
    }

    /// The replica holds transactions that the primary itself made and lacks now. Only of a closed one: an open primary
    /// that waits for an acknowledgement does not list what its replica already has.
    private static func lost(_ replica: ServerFacts?, _ primary: ServerFacts) -> Bool {
        guard primary.readOnly || primary.superReadOnly, let replica, replica.rebuilding == nil,
            replica.channels.first?.health != .running
        else { return false }
        return !replica.executed.from(uuid: primary.uuid).isSubset(of: primary.executed)
    }

    /// A server that shuts down in order refuses new connections and ends its clients' long before its replica has lost
    /// it. After so long its receiver speaks for it no more; but those who vote close their routers first.
    private static let refusedLimit: Int64 = 2_000

    private static func evidence(_ sight: Sight, _ govern: Govern, _ primary: ServerID) -> Evidence? {
        guard let track = govern.tracks[primary], let replica = sight.seen.facts(primary.other),
            let channel = replica.channels.first
        else { return nil }
        switch sight.seen[primary] {
        case .up, .refusing, .ownFault: return nil
        case .downHard where track.refusals >= 2 && channel.receiver != .on:
            // A process that may come back open has to be voted against with a closed router.
            return track.startsClosed ? .dead : .silent
        case .downHard where track.refusedSince.map { sight.now - $0 >= refusedLimit } == true: return .silent
        case .downHard, .downSoft, .stalled: break
        }
        guard sight.now - track.life >= govern.rules.downAfter else { return nil }
        let heard = govern.tracks[primary.other]?.markAt ?? .min
        if channel.receiver == .on, sight.now - govern.rules.vouch < heard { return nil }
        return .silent
    }

    /// What no rule provides for, and the server that it is about; nil where it may be either.
    private static func doubt(
        _ seen: Observation, _ govern: Govern, _ primary: ServerID?
    ) -> (text: String, about: ServerID?)? {
        let kept = govern.kept
        for id in ServerID.allCases {
            guard let facts = seen.facts(id) else { continue }
            if govern.isStranger(id, seen) { return (Stranger.text("\(id)", facts), id) }
            if case .unclear(let uuid) = facts.quorum?.foreignRecord {
                return (
                    "\(id) has it on record that \(uuid) was made primary, and it is not known which server that is", id
                )
            }
            if !facts.gtidMode { return ("\(id) runs without GTIDs", id) }
            if facts.channels.count > 1 { return ("\(id) replicates over \(facts.channels.count) channels", id) }
            if let other = seen.facts(id.other), other.uuid == facts.uuid {
                let known = ServerID.allCases.filter { kept.uuids[$0] == facts.uuid }
                return ("both addresses lead to one server", known.count == 1 ? known[0].other : nil)
            }
            if kept.uuids[id] != facts.uuid, kept.uuids[id.other] == facts.uuid {
                let why = "its data directory was copied, or they changed places"
                return ("\(id) has the server_uuid that \(id.other) had: \(why)", id)
            }
            if let source = facts.channels.first?.sourceUUID, !source.isEmpty, let other = kept.uuids[id.other],
                source != other
            {
                return ("\(id) replicates from \(source), which is not the other server", id)
            }
        }
        guard let primary else {
            let why =
                kept.primary.isEmpty
                ? "it is not known which server is the primary: let one replicate from the other"
                : "the primary on record, \(kept.primary), is neither of the two servers"
            return (why, nil)
        }
        if let facts = seen.facts(primary), !facts.channels.isEmpty, seen.ledger(on: primary) == nil {
            return (
                "\(primary) is primary by the record of epoch \(kept.epoch) and replicates from the other server",
                primary
            )
        }
        return nil
    }
}
