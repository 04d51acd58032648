import Watchdog

/// Steps as the statements that the production code sends for them.
extension SimWorld {
    /// - Returns: whether something was begun, so that the next look should come at once.
    func begin(_ step: Step, _ agent: Int, _ observation: TimedObservation) -> Bool {
        guard !agents[agent].decidedBusy else { return false }
        if case .wait = step, story == nil { return true }
        let local = agents[agent]
        if story != nil, step != local.lastStep {
            if case .none(let why) = step { tell("\(local.name): \(why)") } else { tell("\(local.name): \(step)") }
        }
        agents[agent].lastStep = step
        let ledger = observation.seen.activeLedger
        let epoch = ledger?.master?.epoch ?? 0
        let durable = local.policy.durable
        func signal(_ signal: Signal, _ epoch: UInt64, unique: Bool = false) -> Op {
            .signal(signal, epoch: epoch, unique: unique, witness: durable.executed, sync: durable.sync)
        }
        var ops: [Op] = []
        switch step {
        case .none:
            if local.ledgerSession != nil { agents[agent].ledgerSession = nil }
            return false
        case .wait: return true
        case .scan, .lock, .master:
            if now < local.quietUntil { return false }
            switch step {
            case .scan(let id): ops = [.join(id), .allowWriting, signal(.scan(host: local.name), 0)]
            case .lock(let id): ops = [.join(id), .takeLock]
            case .master(let id):
                ops = [
                    .join(id),
                    signal(.mast(host: local.name), local.policy.nextEpochForMaster(observation.seen), unique: true),
                ]
            default: break
            }
        case .withdraw: ops = [.leave]
        case .follow(let id): ops = [.join(id), signal(.folo(host: local.name), epoch)]
        case .announce(let kind, let target):
            ops = [signal(.oper(kind), epoch), signal(.targ(socket: Self.sockets[index(target)]), epoch)]
        case .confirmMaster: ops = [signal(.maok(host: local.name), epoch)]
        case .confirmFollower: ops = [signal(.fook(host: local.name), epoch)]
        case .fence(let id): ops = [.guardTake(id), .close(id), .guardRelease(id)]
        case .drain: ops = [.pause(150)]
        case .stopReceiver(let id): ops = [.stopReceiver(id)]
        case .applyRelayLog(let id): ops = [.startApplier(id), .pause(200)]
        case .promoteWithoutSource(let id, _):
            ops = [
                .stopReplication(id, acceptLoss: observation.seen.facts(id)?.quorum?.lossAccepted == true),
                .record(id, epoch: epoch, heard: ledger?.rows.last?.id), .resetChannel(id),
            ]
        case .promote(let id, _):
            ops = [
                .checkOther(id), .stopReplication(id, acceptLoss: false), .record(id, epoch: epoch, heard: nil),
                .resetChannel(id),
            ]
        case .open(let id): ops = opening(id, observation, promoted: ledger?.kind == .failover, local.policy)
        case .resume(let replica, _):
            ops = [.guardTake(replica), .replicate(replica, copied: false), .guardRelease(replica)]
        case .rebuild(let replica, _, _):
            ops = [.disableSemiSyncByMajority, .guardTake(replica), .close(replica)]
            if breakage != .saveSkipped { ops.append(.save(replica)) }
            ops += [
                .wipe(replica, epoch: epoch), .pause(300), .copy(replica), .replicate(replica, copied: true),
                .guardRelease(replica),
            ]
        case .terminate:
            if let other = local.ledgerSession?.server.other, other == local.policy.primary?.other,
                let facts = observation.seen.facts(other), facts.ledger != nil
            {
                let fence: [Op] = facts.superReadOnly ? [] : [.close(other)]
                ops = [.guardTake(other)] + fence + [.clear(other), .guardRelease(other)]
            }
            ops += [
                .dropLedger(
                    local.ledgerSession?.server ?? .a, close: local.ledgerSession?.server == local.policy.primary?.other
                ), .leave,
            ]
        case .abort:
            agents[agent].quietUntil = now + 3_000
            guard let ledgerSession = local.ledgerSession else { return false }
            let known = ServerID.allCases.compactMap { observation.seen.facts($0)?.promotion?.epoch }.max() ?? 0
            ops.append(.refuseIfPromoted(known: known))
            if ledgerSession.server != local.policy.primary { ops.append(.startReplica(ledgerSession.server)) }
            ops += [
                .dropLedger(ledgerSession.server, close: ledgerSession.server == local.policy.primary?.other), .leave,
            ]
        case .disableSemiSync(let id): ops = [.disableSemiSync(id)]
        case .enableSemiSync(let id): ops = [.enableSemiSync(id)]
        case .disableSemiSyncOnReplica(let id): ops = [.disableSemiSyncOnReplica(id)]
        case .fenceCommand(let id): ops = [.powerOff(id, epoch: epoch)]
        // The model's servers start closed.
        case .route, .startClosed: return false
        }
        agents[agent].ops = ops
        agents[agent].busy = true
        send(agent)
        return true
    }

    private func opening(_ id: ServerID, _ observation: TimedObservation, promoted: Bool, _ policy: QuorumPolicy)
        -> [Op]
    {
        let unlock: [Op] = [
            .unlock(id, promoted: promoted, first: true), .unlock(id, promoted: promoted, first: false),
        ]
        if promoted { return unlock }
        if breakage == .openWithoutLock { return unlock }
        if observation.seen.facts(id.other) != nil {
            return [.guardTake(id.other), .checkReopen(id)] + unlock + [.guardRelease(id.other)]
        }
        return [.checkMajority(id)] + unlock
    }

    // MARK: One effect after the other

    private func send(_ agent: Int) {
        guard let op = agents[agent].ops.first else {
            agents[agent].busy = false
            agents[agent].failures = 0
            return
        }
        agents[agent].ops.removeFirst()
        let slow: Int64 = dice.chance(2) ? dice.within(200...3_000) : 0
        let flight = Flight(op: op, agent: agent, life: agents[agent].life, ledgerSession: agents[agent].ledgerSession)
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
        let fine = arrives && effect(op, agent, flight.ledgerSession, sameLife: sameLife)
        guard sameLife else { return }
        let heard = fine && !lost()
        // Without an answer the session is given up; with an error for one it stays.
        if fine, !heard, dice.chance(70) {
            switch op {
            case .guardTake, .close, .checkOther, .checkReopen, .replicate, .save, .wipe, .copy, .clear: break
            default: agents[agent].ledgerSession = nil
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
            taken = server.lock != nil || server.guest.map { $0.session != flight.ledgerSession?.session } == true
            limit = 12_000
        case .close(let id):
            return closes(place, servers[index(id)])
        case .disableSemiSyncByMajority:
            guard let home = flight.ledgerSession.map({ index($0.server) }), servers[home].running else { return false }
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
        guard server.running, reaches(flight.agent, server.id), server.guest?.session == flight.ledgerSession?.session,
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
        if fine { return send(agent) }
        release(agent)
        agents[agent].ops = []
        agents[agent].busy = false
        agents[agent].failures += 1
        if agents[agent].failures >= 3 {
            agents[agent].failures = 0
            agents[agent].quietUntil = now + 10_000
            agents[agent].ledgerSession = nil
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
