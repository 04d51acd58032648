import MySQLWire
import Watchdog

/// Does what `QuorumMachine` says, as `QuorumLoop` does: everything takes its time, or never comes to its end.
extension SimWorld {
    /// The agent's own clock.
    func clock(_ agent: Int) -> Int64 { now - agents[agent].born }

    func look(_ agent: Int, _ round: Int) {
        // It was woken before.
        guard agents[agent].round == round else { return }
        agents[agent].round += 1
        agents[agent].isResting = false
        advance(agent, .begin)
        if agents[agent].freezesInLook {
            agenda.add(now + dice.within(1...12), .freeze(agent, life: agents[agent].life))
        }
    }

    func advance(_ agent: Int, _ event: QuorumMachine.Event) {
        for command in agents[agent].loop.handle(event, at: clock(agent)) { perform(command, agent) }
    }

    private func perform(_ command: QuorumMachine.Command, _ agent: Int) {
        let life = agents[agent].life
        switch command {
        case .probe(let id): agenda.add(now + delay(), .probe(agent, life: life, index(id), 0, now))
        case .listen(let time): agenda.add(now + time, .listened(agent, life: life, agents[agent].round))
        case .describe(let asksSession): describe(agent, asksSession)
        case .openLockSession(let id): openLockSession(agent, id)
        case .giveBackLocks: later(agent, setLocks(agent, take: false), .gaveBackLocks)
        case .write: write(to: agent)
        case .takeLocks: later(agent, setLocks(agent, take: true), .tookLocks)
        case .lease(let end):
            agents[agent].machine.lease(until: end)
            noteControl(agent)
        case .closeRouter: moveRouter(agent, agents[agent].machine.close(at: clock(agent)))
        case .pointRouter(let id, let uuid):
            moveRouter(agent, agents[agent].machine.point(to: id, uuid: uuid, at: clock(agent)))
        case .report(let isIdle): if isIdle { report(agent) }
        case .begin(let step): begin(step, agent)
        case .leave: agents[agent].ledgerSession = nil
        case .coolDown(let time): agenda.add(now + time, .loop(agent, life: life, .cooledDown))
        case .rest(let time):
            agents[agent].isResting = true
            agenda.add(
                now + (agents[agent].isWoken ? 1 : time), .look(agent, life: life, agents[agent].round))
            agents[agent].isWoken = false
        case .wake: wake(agent)
        }
    }

    /// The next round begins at once, or follows this one at once.
    func wake(_ agent: Int) {
        guard agents[agent].isResting else {
            agents[agent].isWoken = true
            return
        }
        agenda.add(now + 1, .look(agent, life: agents[agent].life, agents[agent].round))
    }

    /// Events of the loop that carry nothing.
    enum LoopEvent: BitwiseCopyable {
        case gaveBackLocks, tookLocks, written, notWritten, cooledDown

        var event: QuorumMachine.Event {
            switch self {
            case .gaveBackLocks: .gaveBackLocks
            case .tookLocks: .tookLocks
            case .written: .written(true)
            case .notWritten: .written(false)
            case .cooledDown: .cooledDown
            }
        }
    }

    private func later(_ agent: Int, _ time: Int64, _ event: LoopEvent) {
        if time == 0 { return advance(agent, event.event) }
        agenda.add(now + time, .loop(agent, life: agents[agent].life, event))
    }

    func happened(_ agent: Int, _ event: LoopEvent) {
        if case .written = event { agents[agent].disk = agents[agent].loop.policy.durable }
        advance(agent, event.event)
    }

    private func write(to agent: Int) {
        if agents[agent].diskIsFull {
            return agenda.add(now + dice.within(1...6), .loop(agent, life: agents[agent].life, .notWritten))
        }
        let wait = dice.chance(5) ? dice.within(dice.chance(10) ? 900...6_000 : 100...900) : dice.within(1...6)
        agenda.add(now + wait, .loop(agent, life: agents[agent].life, .written))
    }

    private func report(_ agent: Int) {
        let step = agents[agent].loop.orders.step
        if story != nil, step != agents[agent].lastStep {
            if case .none(let why) = step {
                tell("\(agents[agent].name): \(why)")
            } else {
                tell("\(agents[agent].name): \(step)")
            }
        }
        agents[agent].lastStep = step
    }

    // MARK: What this host holds

    private func describe(_ agent: Int, _ asksSession: Bool) {
        guard asksSession, let session = agents[agent].ledgerSession else {
            return described(agent, asksSession: asksSession)
        }
        // The session is asked whether it has the lock still; one whose server does not answer is given up.
        let answers = servers[index(session.server)].running && reaches(agent, session.server)
        if !answers { agents[agent].ledgerSession = nil }
        agenda.add(
            now + (answers ? delay() : dice.within(1...1_500)), .described(agent, life: agents[agent].life))
    }

    func described(_ agent: Int, asksSession: Bool) {
        var status: LocalStatus?
        if asksSession {
            var new = LocalStatus(agent: agents[agent].name)
            if let session = agents[agent].ledgerSession {
                new.server = session.server
                new.session = UInt64(session.session)
                new.holdsLock = servers[index(session.server)].lock == session.session
            }
            status = new
        }
        var pong = PerServer<Int64>()
        for id in ServerID.allCases { pong[id] = agents[agent].pong[index(id)].map { $0 - agents[agent].born } }
        let machine = agents[agent].machine
        advance(
            agent,
            .described(
                QuorumMachine.LocalView(
                    status: status, pong: pong, router: machine.view, routerClosed: machine.isClosed,
                    routerFailed: machine.hasFailed, fenced: agents[agent].fenced)))
    }

    /// A lease on one server says nothing of a router that is still being closed on its path to the other.
    private func noteControl(_ agent: Int) {
        let lease = agents[agent].loop.policy.lease
        guard !lease.hasLapsed, lease.until > clock(agent) else { return }
        let leads = agents[agent].router.leads
        if leads == nil || leads == lease.server { agents[agent].controls = true }
    }

    // MARK: Look

    func probe(_ agent: Int, _ id: ServerID, _ stage: Int, _ asked: Int64) {
        let server = index(id)
        let life = agents[agent].life
        guard reaches(agent, id), !lost(), servers[server].running || !servers[server].up else {
            agents[agent].answers[server] = .downSoft("silent")
            agenda.add(max(now, asked + rules.probeTimeout), .answered(agent, life: life, server))
            return
        }
        guard servers[server].up else {
            agents[agent].answers[server] = .downHard("refused")
            agenda.add(now + 1, .answered(agent, life: life, server))
            return
        }
        if servers[server].refusing {
            agents[agent].answers[server] = .refusing("too many connections")
            agenda.add(now + 1, .answered(agent, life: life, server))
            return
        }
        if stage == 0 {
            // First the locks and variables, at one instant; the rest a moment later.
            firsts[agent * 2 + server] = first(server, agent)
            agenda.add(now + dice.within(0...4), .probe(agent, life: life, server, 1, asked))
            return
        }
        guard var facts = firsts[agent * 2 + server] else { return }
        let seat = servers[server].seats[agents[agent].place]
        facts.quorum?.nameHeldElsewhere = agents[agent].pong[server] == nil && seat.open && seat.agent != agent
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
        let members = Set(ServerID.allCases.compactMap { agents[agent].loop.policy.durable.uuids[$0] })
        let record = servers[server].believed(members)
        facts.promotion = record.promotion
        facts.quorum?.foreignRecord = record.foreign
        facts.ownPromotion = servers[server].promotion.flatMap { $0.primary == servers[server].uuid ? $0 : nil }
        facts.quorum?.semiSync = semiSync(server)
        agents[agent].answers[server] = .up(facts)
        // Some answers are long on their way; the whole question has its limit.
        let way = dice.chance(1) ? dice.within(200...1_900) : dice.within(0...3)
        agenda.add(max(now, min(now + way, asked + rules.probeTimeout)), .answered(agent, life: life, server))
    }

    private func first(_ server: Int, _ agent: Int) -> ServerFacts {
        ServerFacts(
            uuid: servers[server].uuid, serverID: UInt64(server + 1), version: Self.version,
            readOnly: servers[server].readOnly,
            superReadOnly: servers[server].superReadOnly || servers[server].closing, executed: servers[server].executed,
            operationLocked: servers[server].lock != nil, quorum: quorum(server, agent))
    }

    private static let version = ServerVersion("9.7.0")

    private func semiSync(_ server: Int) -> SemiSync {
        var semi = SemiSync()
        semi.installed = plan.semiSync
        semi.enabled = servers[server].semiSync
        semi.active = servers[server].semiSync
        semi.withoutFallback = plan.semiSync
        semi.waiting = servers[server].waiting.count
        semi.clients =
            plan.semiSync && servers[1 - server].up && servers[1 - server].channel?.connected == true ? 1 : 0
        semi.acknowledgers = semi.clients > 0 ? [servers[1 - server].uuid] : []
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

    func answered(_ agent: Int, _ id: ServerID) {
        let server = index(id)
        var view = agents[agent].answers[server] ?? .downSoft("silent")
        agents[agent].answers[server] = nil
        // The way back may be cut meanwhile.
        if case .up = view, !passes(node(id), 2 + agent) || lost() { view = .downSoft("silent") }
        advance(agent, .answered(id, view))
    }

    // MARK: Lock sessions

    /// Where none is held.
    private func openLockSession(_ agent: Int, _ id: ServerID) {
        let server = index(id)
        // A session of an earlier life still has the name, or another host's.
        guard agents[agent].pong[server] == nil, servers[server].running, reaches(agent, id),
            !servers[server].seats[agents[agent].place].open, !agents[agent].loop.orders.locks.isDouble
        else { return }
        servers[server].seats[agents[agent].place] = SimServer.Seat(
            agent: agent, list: agents[agent].runningList, open: true, heard: now)
        agents[agent].pong[server] = now
    }

    /// Gives back, or takes, over the lock sessions. One that does not answer is given up.
    private func setLocks(_ agent: Int, take: Bool) -> Int64 {
        let locks = agents[agent].loop.orders.locks
        var wait: Int64 = 0
        for id in ServerID.allCases {
            let server = index(id)
            guard agents[agent].pong[server] != nil else { continue }
            if locks.isDouble {
                agents[agent].pong[server] = nil
                continue
            }
            let place = agents[agent].place
            var seat = servers[server].seats[place]
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
            if servers[server].running, reaches(agent, id), hasSeat(agent, server) {
                servers[server].seats[place] = seat
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
