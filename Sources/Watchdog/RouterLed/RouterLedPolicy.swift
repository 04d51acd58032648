import MySQLWire

/// What an agent knows of itself.
package struct LocalStatus: Sendable, Hashable {
    package var agent: String
    /// The server on which this agent has a session for the ledger, and that session's connection id.
    package var server: ServerID?
    package var session: UInt64?
    /// Whether that session holds the operation lock.
    package var holdsLock: Bool
    /// Highest epoch of a promotion that this agent's router has followed.
    package var epoch: UInt64
    /// The local router could not be turned, several times over.
    package var routerFailed: Bool
    /// In quorum mode: whether the fence command of this failover attempt went well; nil before it was run.
    package var fenced: Bool?

    package init(
        agent: String, server: ServerID? = nil, session: UInt64? = nil, holdsLock: Bool = false, epoch: UInt64 = 0,
        routerFailed: Bool = false
    ) {
        self.agent = agent
        self.server = server
        self.session = session
        self.holdsLock = holdsLock
        self.epoch = epoch
        self.routerFailed = routerFailed
    }
}

/// Chooses the next step from a diagnosis, the ledger and the agent's own standing. Pure.
package struct RouterLedPolicy: Sendable {
    let configuration: Configuration
    /// How long the operation master waits for the other candidates to declare themselves followers, in milliseconds.
    static let followerGrace: Int64 = 5_000
    /// How long it waits for the first follower, when no other candidate is in sight.
    static let lonelyGrace: Int64 = 2_000
    /// How long the operation master waits for the FOOK of a follower that still lives, and of one that does not.
    static let confirmGrace: Int64 = 60_000
    static let deadGrace: Int64 = 10_000
    /// How long it waits for configured agents that have not appeared: by cron they come within two times five minutes.
    static let absentGrace: Int64 = 660_000

    package init(_ configuration: Configuration) { self.configuration = configuration }

    package func nextStep(_ seen: Observation, _ diagnosis: Diagnosis, _ local: LocalStatus) -> Step {
        guard let ledger = seen.activeLedger else { return begin(seen, diagnosis, local) }
        let election = Election(ledger: ledger, local: local)
        switch election.role {
        case nil: return begin(seen, diagnosis, local)
        case .master?: return lead(seen, diagnosis, local, ledger)
        case .follower(let master)?: return follow(seen, election, master: master)
        case .orphan?:
            guard case .leadsTo = seen.router else { return local.standsAside(.until(.router)) }
            return election.takeOver
        }
    }

    func ledger(_ seen: Observation, on id: ServerID) -> Ledger? { seen.ledger(on: id) }

    /// Higher than every epoch that can be seen: in any ledger, in the histories, in the agent's memory.
    package func nextEpoch(_ seen: Observation, _ local: LocalStatus) -> UInt64 {
        max(seen.highestEpoch, local.epoch) + 1
    }

    // MARK: Before an operation

    /// The operation that a diagnosis asks for, and the server that its ledger lies on.
    private func wanted(_ seen: Observation, _ diagnosis: Diagnosis) -> (kind: OperationKind, on: ServerID)? {
        guard let primary = diagnosis.primary else { return nil }
        switch diagnosis.state {
        case .failover:
            // A replica without a channel cannot fetch what the primary has: nobody may promote it.
            guard seen.facts(primary.other)?.channels.isEmpty == false else { return nil }
            return (.failover, primary.other)
        case .recover:
            guard diagnosis.routerProblem == nil, seen.routed == primary else { return nil }
            // A receiver that does not reach its source is no matter of data: a rebuild would meet the same wall.
            if let replica = seen.facts(primary.other), replica.rebuilding == nil,
                case .disconnected? = replica.channels.first?.health
            {
                return nil
            }
            return (.recover, primary)
        default: return nil
        }
    }

    /// The primary, if this agent slept through its promotion and its router has not followed: it leads to the replica
    /// though nobody has failed, or would do so after its next restart.
    private func missedPromotion(_ seen: Observation, _ diagnosis: Diagnosis, _ local: LocalStatus) -> ServerID? {
        guard let primary = diagnosis.primary, let facts = seen.facts(primary), let promotion = facts.promotion,
            promotion.primary == facts.uuid, promotion.epoch > local.epoch, diagnosis.routerProblem == nil,
            !turned(seen, to: primary)
        else { return nil }
        switch diagnosis.state {
        case .ok, .recover, .failover, .ambiguous: return primary
        case .down, .unknown: return nil
        }
    }

    private func begin(_ seen: Observation, _ diagnosis: Diagnosis, _ local: LocalStatus) -> Step {
        if let primary = missedPromotion(seen, diagnosis, local) {
            if !local.routerFailed { return .route(to: primary) }
            // A router that cannot be turned is this host's trouble, never a reason to move everybody else.
            let why = Reason.because(.routers(.stuck(primary, summary: diagnosis.summary)))
            return local.server == nil ? .none(why) : .withdraw(why)
        }
        guard let (_, server) = wanted(seen, diagnosis) else {
            guard let stray = ServerID.allCases.compactMap({ ledger(seen, on: $0) }).first else {
                return .none(.state(diagnosis.state, diagnosis.code, summary: diagnosis.summary))
            }
            return Election(ledger: stray, local: local)
                .clear(.because(.notAskedFor(diagnosis.state, summary: "")), keepClosed: false)
        }
        guard local.server == server, let ledger = ledger(seen, on: server) else { return .scan(on: server) }
        return Election(ledger: ledger, local: local).stand
    }

    // MARK: Following

    private func follow(_ seen: Observation, _ election: Election, master: LedgerRow) -> Step {
        let (ledger, local, done) = (election.ledger, election.local, election.hasConfirmed)
        if !election.follows() && !done { return .follow(on: ledger.server) }
        guard let kind = ledger.kind, let target = target(ledger) else {
            return .wait(.until(.master(master.agent, .leads)))
        }
        if kind == .failover, !promoted(seen, target, ledger) {
            return .wait(.until(.master(master.agent, .promotes(target))))
        }
        if kind == .failover, !turned(seen, to: target) {
            return local.routerFailed ? .wait(.until(.routerMended)) : .route(to: target)
        }
        if !done {
            return kind == .failover || ledger.masterDone
                ? .confirmFollower : .wait(.until(.master(master.agent, .works)))
        }
        return .wait(.until(.master(master.agent, .bringsBack)))
    }

    /// Whether the local router leads to this server and will do so after its next restart.
    package func turned(_ seen: Observation, to id: ServerID) -> Bool {
        seen.routed == id && (seen.destinations == nil || seen.destinations?.first == configuration.servers[id])
    }

    /// The new primary replicates from nobody, and this operation put that on record. Without the record an empty
    /// channel says only that somebody took it away.
    private func promoted(_ seen: Observation, _ target: ServerID, _ ledger: Ledger) -> Bool {
        guard let facts = seen.facts(target) else { return false }
        return facts.channels.isEmpty && recorded(facts, ledger)
    }

    private func recorded(_ facts: ServerFacts, _ ledger: Ledger) -> Bool {
        guard let promotion = facts.promotion, let begun = ledger.begun else { return false }
        return promotion.primary == facts.uuid && promotion.epoch >= begun.epoch
    }

    private func target(_ ledger: Ledger) -> ServerID? {
        guard let socket = ledger.target else { return nil }
        return ServerID.allCases.first { configuration.servers[$0].description == socket }
    }

    // MARK: Leading

    private func lead(_ seen: Observation, _ diagnosis: Diagnosis, _ local: LocalStatus, _ ledger: Ledger) -> Step {
        guard let kind = ledger.kind, ledger.target != nil else {
            guard let (kind, server) = wanted(seen, diagnosis), server == ledger.server else {
                return .abort(.because(.notAskedFor(diagnosis.state, summary: diagnosis.summary)))
            }
            let waiting = Set(ledger.candidates.map(\.agent)).subtracting(ledger.followers).subtracting([local.agent])
            let age = ledger.master?.age ?? 0
            if !waiting.isEmpty, age < Self.followerGrace {
                return .wait(.until(.followers(waiting.sorted())))
            }
            if ledger.followers.isEmpty, age < Self.lonelyGrace { return .wait(.until(.followers([]))) }
            if kind == .failover, let old = seen.facts(server.other), let new = seen.facts(server),
                ledger.routes.contains(where: { $0.key != local.agent && $0.value == old.uuid }),
                new.executed.isSubset(of: old.executed)
            {
                // Only some routers have moved, nothing was written behind them, and the primary lives: going back
                // costs a router's restart, a promotion would cost everybody's connections.
                return local.routerFailed
                    ? .abort(.because(.routers(.halfMoved)))
                    : .route(to: server.other)
            }
            if kind == .failover, let why = mustNotLeaveBehind(seen, ledger, local, target: server) {
                return .abort(.because(.routers(why)))
            }
            return .announce(kind, target: server)
        }
        guard let target = target(ledger), target == ledger.server else {
            return .abort(.because(.routers(.otherTarget(ledger.target ?? ""))))
        }
        switch kind {
        case .failover: return leadFailover(seen, local, ledger, target: target)
        case .recover:
            if let facts = seen.facts(target.other), facts.rebuilding == nil,
                seen.routed == target.other || ledger.routes.values.contains(facts.uuid)
            {
                return .abort(.because(.routers(.leadToReplica(target.other))))
            }
            return Self.bringBack(seen, ledger, primary: target) ?? finish(seen, local, ledger)
        }
    }

    private func leadFailover(_ seen: Observation, _ local: LocalStatus, _ ledger: Ledger, target: ServerID) -> Step {
        let old = target.other
        guard let new = seen.facts(target) else { return .wait(.until(.server(target, reason: "does not answer"))) }
        if promoted(seen, target, ledger) {
            // An old primary that is open and no replica may still be written to by a router that has not turned; once
            // every follower has confirmed, it is opened again as a replica by `terminate`.
            if let facts = seen.facts(old), !facts.superReadOnly, facts.rebuilding == nil, facts.channels.isEmpty {
                return .fence(old)
            }
            if new.readOnly || new.superReadOnly { return .open(target) }
            if !turned(seen, to: target), !local.routerFailed { return .route(to: target) }
            return Self.bringBack(seen, ledger, primary: target) ?? finish(seen, local, ledger)
        }
        if new.rebuilding != nil { return .abort(.because(.halfMadeCopy(target))) }
        if new.channels.isEmpty { return .abort(.because(.replicatesFromNobody(target))) }
        guard let facts = seen.facts(old) else {
            return .wait(.until(.fetched(from: old, reason: seen[old].reason)))
        }
        let routes = Set(ledger.routes.values)
        if !routes.contains(new.uuid), seen.routed != target, !recorded(new, ledger) {
            return .abort(.because(.routers(.none(to: target))))
        }
        if let why = mustNotLeaveBehind(seen, ledger, local, target: target) { return .abort(.because(.routers(why))) }
        if !facts.superReadOnly { return .fence(old) }
        let missing = facts.executed.subtracting(new.executed)
        if missing.isEmpty { return .promote(target, undrained: "") }
        // Time alone is no reason to leave anything behind: only an applier that has stopped at an error is.
        guard case .broken = new.channels[0].health else { return .drain(from: old, to: target) }
        return .promote(target, undrained: missing.description)
    }

    /// Why a promotion that cannot fetch everything must not happen; nil if it may, or if everything can be fetched.
    /// An applier that has stopped at a conflict leaves a choice: the service is where every agent's router has gone,
    /// and the old primary's surplus is saved and listed. If some router still leads to the old primary, or nobody else
    /// can say where the others lead, nobody may choose.
    private func mustNotLeaveBehind(
        _ seen: Observation, _ ledger: Ledger, _ local: LocalStatus, target: ServerID
    ) -> RouterDisagreement? {
        guard let new = seen.facts(target), let old = seen.facts(target.other), let channel = new.channels.first,
            case .broken = channel.health
        else { return nil }
        let missing = old.executed.subtracting(new.executed)
        guard !missing.isEmpty else { return nil }
        if ledger.routes.values.contains(old.uuid) {
            return .split(target: target, missing: missing)
        }
        let others = Set(ledger.routes.filter { $0.value == new.uuid }.keys).subtracting([local.agent])
        let absent = configuration.agents.filter { $0 != local.agent && !others.contains($0) }
        if !absent.isEmpty || others.isEmpty {
            return .unknown(target: target, missing: missing, agents: absent)
        }
        return nil
    }

    /// The next step towards a running replica; nil when it runs.
    static func bringBack(_ seen: Observation, _ ledger: Ledger, primary: ServerID) -> Step? {
        let replica = primary.other
        guard let source = seen.facts(primary) else {
            return .wait(.until(.server(primary, reason: "does not answer")))
        }
        guard let facts = seen.facts(replica) else {
            return .wait(.until(.server(replica, reason: seen[replica].reason)))
        }
        if let why = RebuildReason(facts, from: source, primary: primary) {
            return .rebuild(replica, from: primary, why: why)
        }
        let channel = facts.channels.first
        func unreached(_ error: String) -> Step {
            if ledger.kind == .recover, (ledger.begun?.age ?? 0) > confirmGrace {
                return .abort(.because(.sourceUnreachable(replica, from: primary, error: error)))
            }
            return .wait(.until(.replication(on: replica, from: primary, error: error)))
        }
        switch channel?.health {
        case .running?: return nil
        case .disconnected(let error)?: return unreached(error)
        // Started again it might replicate on top of other data.
        case .broken(let error)? where channel?.isRefused == true: return unreached(error)
        case .stopped?, .interrupted?, .broken?, nil: return .resume(replica, from: primary)
        }
    }

    private func finish(_ seen: Observation, _ local: LocalStatus, _ ledger: Ledger) -> Step {
        let uuid = seen.facts(ledger.server)?.uuid
        if !ledger.masterDone { return .confirmMaster }
        let done = ledger.rows.last { if case .maok = $0.signal { true } else { false } }?.age ?? 0
        // Configured agents that took no part at all count as missing too.
        let absent = configuration.agents.filter { $0 != local.agent && !ledger.followers.contains($0) }
        let open = ledger.unfinished + (ledger.kind == .failover ? absent : [])
        let waiting = open.filter { agent in
            let grace =
                absent.contains(agent)
                ? Self.absentGrace : ledger.isAlive(agent) ? Self.confirmGrace : Self.deadGrace
            return done < grace
        }
        if !waiting.isEmpty { return .wait(.until(.confirmations(waiting))) }
        let keepClosed = ledger.kind == .failover && open.contains { ledger.lastSeen($0) != uuid }
        return .terminate(missing: open, keepClosed: keepClosed)
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
