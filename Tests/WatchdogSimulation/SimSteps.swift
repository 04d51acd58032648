import Watchdog

/// Steps as the statements that the production code sends for them.
extension SimWorld {
    /// - Returns: whether something was begun, so that the next look should come at once.
    func begin(_ step: Step, _ agent: Int, _ sight: Sight) -> Bool {
        guard !agents[agent].busy else { return false }
        if case .wait = step, story == nil { return true }
        let me = agents[agent]
        if story != nil, step != me.lastStep {
            if case .none(let why) = step { tell("\(me.name): \(why)") } else { tell("\(me.name): \(step)") }
        }
        agents[agent].lastStep = step
        let ledger = sight.seen.activeLedger
        let epoch = ledger?.master?.epoch ?? 0
        let kept = me.govern.kept
        func signal(_ signal: Signal, _ epoch: UInt64, unique: Bool = false) -> Op {
            .signal(signal, epoch: epoch, unique: unique, witness: kept.executed, sync: kept.sync)
        }
        var ops: [Op] = []
        switch step {
        case .none:
            if me.part != nil { agents[agent].part = nil }
            return false
        case .wait: return true
        case .scan, .lock, .master:
            if now < me.quietUntil { return false }
            switch step {
            case .scan(let id): ops = [.join(id), .allowWriting, signal(.scan(host: me.name), 0)]
            case .lock(let id): ops = [.join(id), .takeLock]
            case .master(let id):
                ops = [
                    .join(id),
                    signal(.mast(host: me.name), me.govern.nextEpochForMaster(sight.seen), unique: true),
                ]
            default: break
            }
        case .withdraw: ops = [.leave]
        case .follow(let id): ops = [.join(id), signal(.folo(host: me.name), epoch)]
        case .announce(let kind, let target):
            ops = [signal(.oper(kind), epoch), signal(.targ(socket: Self.sockets[index(target)]), epoch)]
        case .confirmMaster: ops = [signal(.maok(host: me.name), epoch)]
        case .confirmFollower: ops = [signal(.fook(host: me.name), epoch)]
        case .fence(let id): ops = [.guardTake(id), .close(id), .guardRelease(id)]
        case .drain: ops = [.pause(150)]
        case .silence(let id): ops = [.silence(id)]
        case .settle(let id): ops = [.startApplier(id), .pause(200)]
        case .seize(let id, _):
            ops = [
                .stopReplication(id, acceptLoss: sight.seen.facts(id)?.quorum?.lossAccepted == true),
                .record(id, epoch: epoch, heard: ledger?.rows.last?.id), .resetChannel(id),
            ]
        case .promote(let id, _):
            ops = [
                .checkOther(id), .stopReplication(id, acceptLoss: false), .record(id, epoch: epoch, heard: nil),
                .resetChannel(id),
            ]
        case .open(let id): ops = opening(id, sight, promoted: ledger?.kind == .failover, me.govern)
        case .resume(let replica, _):
            ops = [.guardTake(replica), .replicate(replica, copied: false), .guardRelease(replica)]
        case .rebuild(let replica, _, _):
            ops = [.goOnAlone, .guardTake(replica), .close(replica)]
            if breakage != .saveSkipped { ops.append(.save(replica)) }
            ops += [
                .wipe(replica, epoch: epoch), .pause(300), .copy(replica), .replicate(replica, copied: true),
                .guardRelease(replica),
            ]
        case .terminate:
            if let other = me.part?.server.other, other == me.govern.primary?.other,
                let facts = sight.seen.facts(other), facts.ledger != nil
            {
                let fence: [Op] = facts.superReadOnly ? [] : [.close(other)]
                ops = [.guardTake(other)] + fence + [.clear(other), .guardRelease(other)]
            }
            ops += [.dropLedger(me.part?.server ?? .a, close: me.part?.server == me.govern.primary?.other), .leave]
        case .abort:
            agents[agent].quietUntil = now + 3_000
            guard let part = me.part else { return false }
            let known = ServerID.allCases.compactMap { sight.seen.facts($0)?.promotion?.epoch }.max() ?? 0
            ops.append(.refuseIfPromoted(known: known))
            if part.server != me.govern.primary { ops.append(.startReplica(part.server)) }
            ops += [.dropLedger(part.server, close: part.server == me.govern.primary?.other), .leave]
        case .loosen(let id): ops = [.loosen(id)]
        case .tighten(let id): ops = [.tighten(id)]
        case .calm(let id): ops = [.calm(id)]
        case .fenceCommand(let id): ops = [.powerOff(id, epoch: epoch)]
        // The model's servers start closed.
        case .route, .startClosed: return false
        }
        agents[agent].ops = ops
        agents[agent].busy = true
        send(agent)
        return true
    }

    private func opening(_ id: ServerID, _ sight: Sight, promoted: Bool, _ govern: Govern) -> [Op] {
        let unlock: [Op] = [
            .unlock(id, promoted: promoted, first: true), .unlock(id, promoted: promoted, first: false),
        ]
        if promoted { return unlock }
        if breakage == .openWithoutLock { return unlock }
        if sight.seen.facts(id.other) != nil {
            return [.guardTake(id.other), .checkReopen(id)] + unlock + [.guardRelease(id.other)]
        }
        return [.checkMajority(id)] + unlock
    }

    // MARK: One effect after the other

    private func send(_ agent: Int) {
        guard let op = agents[agent].ops.first else {
            agents[agent].busy = false
            return
        }
        agents[agent].ops.removeFirst()
        let slow: Int64 = dice.chance(2) ? dice.within(200...3_000) : 0
        let flight = Flight(op: op, agent: agent, life: agents[agent].life, part: agents[agent].part)
        let place: Int
        if let last = free.popLast() {
            place = last
            flights[place] = flight
        } else {
            place = flights.count
            flights.append(flight)
        }
        agenda.add(now + delay() + slow, .deliver(place))
    }

    /// A statement that has been sent is carried out even if its sender has died or stands still, as long as the server
    /// has its session.
    func deliver(_ place: Int) {
        if waits(place) { return agenda.add(now + 100, .deliver(place)) }
        let flight = flights[place]
        free.append(place)
        let (op, agent, life) = (flight.op, flight.agent, flight.life)
        let sameLife = agents[agent].life == life
        let arrives = !lost() || dice.chance(50)
        let fine = arrives && effect(op, agent, flight.part, sameLife: sameLife)
        guard sameLife else { return }
        let heard = fine && !lost()
        // Without an answer the session is given up; with an error for one it stays.
        if fine, !heard, dice.chance(70) {
            switch op {
            case .guardTake, .close, .checkOther, .checkReopen, .replicate, .save, .wipe, .copy, .clear: break
            default: agents[agent].part = nil
            }
        }
        if case .pause(let time) = op {
            agenda.add(now + time, .reply(agent, life: life, true))
        } else {
            agenda.add(now + (heard ? delay() : dice.within(5...1_500)), .reply(agent, life: life, heard))
        }
    }

    /// The other server's operation lock is waited for at that server, for as long as `ServerSession.takeOver` does: what
    /// was decided before may be long past when it is had. A majority's leave is waited for by the agent.
    private func waits(_ place: Int) -> Bool {
        let flight = flights[place]
        guard agents[flight.agent].life == flight.life else { return false }
        let (taken, limit): (Bool, Int64)
        switch flight.op {
        case .guardTake(let id):
            let server = servers[index(id)]
            guard server.running, reaches(flight.agent, id) else { return false }
            taken = server.lock != nil || server.guest.map { $0.session != flight.part?.session } == true
            limit = 12_000
        case .close(let id):
            return closes(place, servers[index(id)])
        case .goOnAlone:
            guard let home = flight.part.map({ index($0.server) }), servers[home].running else { return false }
            taken = servers[home].semiSync && !rules.isMajority(quorum(home).async)
            limit = 30_000
        default: return false
        }
        let since = flight.since ?? now
        guard taken, now - since < limit else { return false }
        flights[place].since = since
        return true
    }

    /// Closing waits for commits that wait for an acknowledgement; their clients' sessions are ended after two seconds, and
    /// only then they are let go.
    private func closes(_ place: Int, _ server: SimServer) -> Bool {
        let flight = flights[place]
        guard server.running, reaches(flight.agent, server.id), server.guest?.session == flight.part?.session,
            !server.readOnly
        else {
            server.closing = false
            return false
        }
        let since = flight.since ?? now
        flights[place].since = since
        server.closing = !server.waiting.isEmpty && now - since < 2_000
        return server.closing
    }

    func proceed(_ agent: Int, _ fine: Bool) {
        guard agents[agent].busy else { return }
        if fine {
            agents[agent].failures = 0
            return send(agent)
        }
        release(agent)
        agents[agent].ops = []
        agents[agent].busy = false
        agents[agent].failures += 1
        if agents[agent].failures >= 3 {
            agents[agent].failures = 0
            agents[agent].quietUntil = now + 10_000
            agents[agent].part = nil
        }
    }

    private func release(_ agent: Int) {
        guard let guest = agents[agent].guest else { return }
        agents[agent].guest = nil
        let server = index(guest.server)
        if reaches(agent, guest.server), servers[server].running, servers[server].guest?.session == guest.session {
            servers[server].guest = nil
        }
    }
}
