import MySQLWire
import Watchdog

/// The agent's loop, as `QuorumLoop` runs it: look, ask `QuorumPolicy`, carry the orders out one after the other.
extension SimWorld {
    func look(_ agent: Int) {
        agents[agent].began = now
        agents[agent].looking = true
        for id in ServerID.allCases where !agents[agent].probing[index(id)] {
            agents[agent].probing[index(id)] = true
            agents[agent].views[index(id)] = agents[agent].silent[index(id)] ? agents[agent].views[index(id)] : nil
            agenda.add(now + delay(), .probe(agent, life: agents[agent].life, index(id), 0, now))
        }
        agenda.add(now + 45, .patience(agent, life: agents[agent].life))
        if agents[agent].freezesInLook {
            agenda.add(now + dice.within(1...12), .freeze(agent, life: agents[agent].life))
        }
    }

    func probe(_ agent: Int, _ id: ServerID, _ stage: Int, _ asked: Int64) {
        let server = index(id)
        let life = agents[agent].life
        guard reaches(agent, id), !lost(), servers[server].running || !servers[server].up else {
            agents[agent].answers[server] = .downSoft("silent")
            agenda.add(max(now, asked + rules.probeTimeout), .answered(agent, life: life, server, asked))
            return
        }
        guard servers[server].up else {
            agents[agent].answers[server] = .downHard("refused")
            agenda.add(now + 1, .answered(agent, life: life, server, asked))
            return
        }
        if servers[server].refusing {
            agents[agent].answers[server] = .refusing("too many connections")
            agenda.add(now + 1, .answered(agent, life: life, server, asked))
            return
        }
        if stage == 0 {
            // First the locks and variables, at one instant; the rest a moment later.
            firsts[agent * 2 + server] = first(server)
            agenda.add(now + dice.within(0...4), .probe(agent, life: life, server, 1, asked))
            return
        }
        guard var facts = firsts[agent * 2 + server] else { return }
        facts.channels = channels(server)
        facts.ledger = servers[server].ledger.flatMap { rows in
            rows.map { (row: LedgerRow) in
                var row = row
                row.alive = servers[server].sessions[Int(row.session)] != nil
                row.age = now + servers[server].jump - row.age
                return row
            }.ledger
        }
        facts.rebuilding = servers[server].rebuilding
        let members = Set(ServerID.allCases.compactMap { agents[agent].policy.durable.uuids[$0] })
        let record = servers[server].believed(members)
        facts.promotion = record.promotion
        facts.quorum?.foreignRecord = record.foreign
        facts.ownPromotion = servers[server].promotion.flatMap { $0.primary == servers[server].uuid ? $0 : nil }
        facts.quorum?.semiSync = semiSync(server)
        agents[agent].answers[server] = .up(facts)
        agenda.add(now + dice.within(0...3), .answered(agent, life: life, server, asked))
    }

    private func first(_ server: Int) -> ServerFacts {
        ServerFacts(
            uuid: servers[server].uuid, serverID: UInt64(server + 1), version: Self.version,
            readOnly: servers[server].readOnly,
            superReadOnly: servers[server].superReadOnly || servers[server].closing, executed: servers[server].executed,
            operationLocked: servers[server].lock != nil, quorum: quorum(server))
    }

    private static let version = ServerVersion("9.7.0")

    func quorum(_ server: Int) -> QuorumFacts {
        var quorum = QuorumFacts()
        for index in agents.indices where servers[server].seats[index].open {
            if servers[server].seats[index].seesPrimary { quorum.seesPrimary.insert(index) }
            if servers[server].seats[index].unreachable { quorum.unreachable.insert(index) }
            if servers[server].seats[index].dead { quorum.dead.insert(index) }
            if servers[server].seats[index].async { quorum.async.insert(index) }
        }
        quorum.switchoverAsked = servers[server].switchoverAsked
        quorum.failoverAsked = servers[server].failoverAsked
        quorum.lossAccepted = servers[server].lossAccepted
        quorum.control.paused = servers[server].paused
        quorum.receiverMark = servers[server].channel?.mark ?? 0
        return quorum
    }

    private func semiSync(_ server: Int) -> SemiSync {
        var semi = SemiSync()
        semi.installed = plan.semiSync
        semi.enabled = servers[server].semiSync
        semi.active = servers[server].semiSync
        semi.withoutFallback = plan.semiSync
        semi.waiting = servers[server].waiting.count
        semi.clients =
            plan.semiSync && servers[1 - server].up && servers[1 - server].channel?.connected == true ? 1 : 0
        semi.acknowledges = servers[server].channel.map { plan.semiSync && $0.connected } ?? false
        return semi
    }

    private func channels(_ server: Int) -> [ReplicationChannel] {
        guard let channel = servers[server].channel else { return [] }
        let receiver: ReplicationChannel.Receiver =
            !channel.receiverWanted || channel.receiverBroken ? .off : channel.connected ? .on : .connecting
        return [
            ReplicationChannel(
                sourceHost: channel.source == .a ? "10.0.0.1" : "10.0.0.2", sourcePort: 3306,
                sourceUUID: servers[index(channel.source)].uuid, receiver: receiver,
                applierRuns: channel.applierWanted && !channel.applierBroken,
                receiverErrno: channel.receiverBroken ? 13114 : 0, applierErrno: channel.applierBroken ? 1062 : 0,
                retrieved: channel.retrieved)
        ]
    }

    func answered(_ agent: Int, _ id: ServerID, _ asked: Int64) {
        let server = index(id)
        agents[agent].probing[server] = false
        var view = agents[agent].answers[server] ?? .downSoft("silent")
        agents[agent].answers[server] = nil
        // The way back may be cut meanwhile.
        if case .up = view, !passes(node(id), 2 + agent) || lost() { view = .downSoft("silent") }
        agents[agent].views[server] = view
        agents[agent].asked[server] = asked
        if case .downSoft = view { agents[agent].silent[server] = true } else { agents[agent].silent[server] = false }
        consider(agent, late: false)
    }

    /// Goes on when every server has answered, or when those that have not are known to be silent.
    func consider(_ agent: Int, late: Bool) {
        guard agents[agent].looking else { return }
        for server in 0..<2 where agents[agent].probing[server] {
            guard agents[agent].silent[server], now - agents[agent].began >= 40 else { return }
            agents[agent].asked[server] = now
        }
        agents[agent].looking = false
        decide(agent)
    }

    private func decide(_ agent: Int) {
        guard let a = agents[agent].views[0], let b = agents[agent].views[1] else { return again(agent, urgent: false) }
        var router = RouterView.noAnswer("")
        if case .leads(let id) = agents[agent].router.state { router = .leadsTo(uuid: servers[index(id)].uuid) }
        let seen = Observation(a: a, b: b, router: router)
        let offset = agents[agent].born
        let observation = TimedObservation(
            seen: seen, askedAt: min(agents[agent].asked[0], agents[agent].asked[1]) - offset, now: now - offset,
            pongA: agents[agent].pong[0].map { $0 - offset }, pongB: agents[agent].pong[1].map { $0 - offset },
            routerClosed: agents[agent].router.state == .closed)
        var standing = agents[agent].lastStanding
        agents[agent].decidedBusy = agents[agent].busy
        if !agents[agent].busy {
            standing = LocalStatus(agent: agents[agent].name)
            // A session whose server does not answer the question for the lock is given up.
            if let ledgerSession = agents[agent].ledgerSession,
                !servers[index(ledgerSession.server)].running || !reaches(agent, ledgerSession.server)
            {
                agents[agent].ledgerSession = nil
            }
            if let ledgerSession = agents[agent].ledgerSession {
                standing.server = ledgerSession.server
                standing.session = UInt64(ledgerSession.session)
                standing.holdsLock = servers[index(ledgerSession.server)].lock == ledgerSession.session
            }
            agents[agent].lastStanding = standing
        }
        if let epoch = seen.activeLedger?.master?.epoch, let fenced = agents[agent].fenced, fenced.epoch == epoch {
            standing.fenced = fenced.done
        }
        openLockSessions(agent, seen)
        let orders = agents[agent].policy.decide(observation, standing)
        agents[agent].orders = orders
        agents[agent].observation = observation
        // A lease on one server says nothing of a router that is still being closed on its path to the other.
        if !agents[agent].policy.lease.hasLapsed, agents[agent].policy.lease.until > now - offset,
            agents[agent].router.leads == nil || agents[agent].router.leads == agents[agent].policy.lease.server
        {
            agents[agent].controls = true
        }
        let durable = agents[agent].policy.durable
        var wait: Int64 = 0
        if durable.differsInPromises(from: agents[agent].written) {
            wait = dice.chance(5) ? dice.within(dice.chance(10) ? 900...6_000 : 100...900) : dice.within(1...6)
        }
        // Locks are given back before the disk is written, and taken after it.
        wait += setLocks(agent, orders.locks, take: false)
        agenda.add(now + wait, .carry(agent, life: agents[agent].life, 0))
    }

    /// A lock session where a server answers and none is held.
    private func openLockSessions(_ agent: Int, _ seen: Observation) {
        for id in ServerID.allCases where agents[agent].pong[index(id)] == nil && seen.facts(id) != nil {
            let server = index(id)
            // A session of an earlier life still has the name.
            guard servers[server].running, reaches(agent, id), !servers[server].seats[agent].open else { continue }
            servers[server].seats[agent] = SimServer.Seat(agent: agent, open: true, heard: now)
            agents[agent].pong[server] = now
        }
    }

    // MARK: Orders

    func carry(_ agent: Int, _ stage: Int) {
        guard let observation = agents[agent].observation, let orders = agents[agent].orders else { return }
        let life = agents[agent].life
        switch stage {
        case 0:
            let durable = agents[agent].policy.durable
            if durable.differsInPromises(from: agents[agent].written) || now / 1_000 % 5 == 0 {
                agents[agent].written = durable
                agents[agent].disk = durable
            }
            let until = agents[agent].policy.lease.until
            agents[agent].leaseUntil =
                orders.router == .close || agents[agent].policy.lease.isNeedless
                ? nil : until == .min ? now : until + agents[agent].born
            if orders.router == .close { stopRouter(agent) }
            let wait = setLocks(agent, orders.locks, take: true)
            agenda.add(now + wait, .carry(agent, life: life, 1))
        default:
            let leased = now - agents[agent].born < agents[agent].policy.lease.until
            if case .point(let id) = orders.router, leased, observation.seen.facts(id) != nil {
                turnRouter(agent, to: id)
            }
            let acted = begin(orders.step, agent, observation)
            again(agent, urgent: orders.urgent || acted)
        }
    }

    private func again(_ agent: Int, urgent: Bool) {
        let rest = max(10, (urgent ? 60 : rules.interval) - (now - agents[agent].began))
        agenda.add(now + rest, .look(agent, life: agents[agent].life))
    }

    /// Gives back, or takes, over the lock sessions. One that does not answer is given up.
    private func setLocks(_ agent: Int, _ locks: Orders.Locks, take: Bool) -> Int64 {
        var wait: Int64 = 0
        for id in ServerID.allCases {
            let server = index(id)
            guard agents[agent].pong[server] != nil else { continue }
            var seat = servers[server].seats[agent]
            let wanted = (
                locks.seesPrimary == id, locks.voteOn == id && locks.vote == .unreachable,
                locks.voteOn == id && locks.vote == .dead,
                locks.async == id
            )
            let before = (seat.seesPrimary, seat.unreachable, seat.dead, seat.async)
            if take {
                (seat.seesPrimary, seat.unreachable) = (seat.seesPrimary || wanted.0, seat.unreachable || wanted.1)
                (seat.dead, seat.async) = (seat.dead || wanted.2, seat.async || wanted.3)
            } else {
                (seat.seesPrimary, seat.unreachable) = (seat.seesPrimary && wanted.0, seat.unreachable && wanted.1)
                (seat.dead, seat.async) = (seat.dead && wanted.2, seat.async && wanted.3)
            }
            guard before != (seat.seesPrimary, seat.unreachable, seat.dead, seat.async) else { continue }
            if servers[server].running, reaches(agent, id), servers[server].seats[agent].open {
                servers[server].seats[agent] = seat
                wait += delay()
            } else {
                // Whether the server has heard of it or not, this session is over.
                agents[agent].pong[server] = nil
                wait += 1_500
            }
        }
        return wait
    }
}
