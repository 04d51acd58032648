import Watchdog

/// What a statement does on a server. Each returns whether it succeeded; nothing here looks at what the agent believes.
extension SimWorld {
    func effect(_ op: Op, _ agent: Int, _ ledgerSession: (server: ServerID, session: Int)?, sameLife: Bool) -> Bool {
        switch op {
        case .join(let id): return sameLife && join(agent, id)
        case .leave:
            if sameLife { agents[agent].ledgerSession = nil }
            return true
        case .pause: return true
        case .disableSemiSync(let id), .enableSemiSync(let id), .disableSemiSyncOnReplica(let id):
            return overPost(op, agent, id)
        case .powerOff(let id, let epoch):
            let done = dice.chance(75)
            if done, servers[index(id)].up {
                tell("the fence command turns \(id) off")
                servers[index(id)].crash()
            }
            if sameLife { agents[agent].fenced = (epoch, done) }
            return true
        default: break
        }
        guard let ledgerSession else { return false }
        let home = index(ledgerSession.server)
        switch op {
        case .guardRelease:
            if sameLife { agents[agent].guest = nil }
            if servers[1 - home].guest?.session == ledgerSession.session { servers[1 - home].guest = nil }
            return true
        // Over the session that holds the lock on the other server.
        case .close, .checkOther, .checkReopen, .replicate, .save, .wipe, .copy, .clear:
            return abroad(op, agent, home, ledgerSession.session)
        default: break
        }
        if case .unlock(_, let promoted, let first) = op, breakage == .openWithoutLock {
            guard servers[home].running, reaches(agent, ledgerSession.server) else { return false }
            servers[home].superReadOnly = false
            return first || open(home, promoted)
        }
        // Everything else goes over the ledger session.
        guard servers[home].running, reaches(agent, ledgerSession.server),
            servers[home].sessions[ledgerSession.session] != nil
        else {
            return false
        }
        servers[home].sessions[ledgerSession.session]?.heard = now
        switch op {
        case .allowWriting:
            servers[home].superReadOnly = false
            if servers[home].ledger == nil { servers[home].ledger = [] }
            return true
        case .signal(let signal, let epoch, let unique, let witness, let sync):
            return write(signal, epoch, unique, witness, sync, agent, home, ledgerSession.session)
        case .takeLock:
            if servers[home].guest != nil { return true }
            if servers[home].lock == nil || servers[home].lock == ledgerSession.session {
                servers[home].lock = ledgerSession.session
            }
            return true
        case .guardTake(let id): return sameLife && take(id, agent, home, ledgerSession.session)
        default: return athome(op, agent, home, ledgerSession.session)
        }
    }

    private func join(_ agent: Int, _ id: ServerID) -> Bool {
        let server = index(id)
        if let ledgerSession = agents[agent].ledgerSession, ledgerSession.server == id,
            servers[server].sessions[ledgerSession.session] != nil
        {
            return true
        }
        agents[agent].ledgerSession = nil
        guard servers[server].running, reaches(agent, id) else { return false }
        // The lock of this agent's name may still be held by its former session.
        guard !servers[server].sessions.all.contains(where: { $0.seat.agent == agent }) else { return false }
        servers[server].sessions[nextSession] = SimServer.Seat(agent: agent, open: true, heard: now)
        agents[agent].ledgerSession = (id, nextSession)
        nextSession += 1
        return true
    }

    private func write(
        _ signal: Signal, _ epoch: UInt64, _ unique: Bool, _ witness: GTIDSet, _ sync: Bool, _ agent: Int, _ home: Int,
        _ session: Int
    ) -> Bool {
        guard !servers[home].superReadOnly, let rows = servers[home].ledger else { return false }
        // Of an operation that is over nothing is written any more.
        switch signal {
        case .scan: break
        case .mast: guard rows.contains(where: { $0.session == UInt64(session) }) else { return false }
        default:
            let led = rows.contains { row in
                if case .mast = row.signal { row.epoch == epoch } else { false }
            }
            guard led else { return false }
        }
        if unique {
            guard servers[home].lock == session || breakage == .electionWithoutLock else { return false }
            let masts = servers[home].ledger?.filter { if case .mast = $0.signal { true } else { false } } ?? []
            guard !masts.contains(where: { $0.epoch == epoch }) else { return false }
            if masts.contains(where: { servers[home].sessions[Int($0.session)] != nil && $0.session != UInt64(session) }
            ) {
                oracle.violations.append("\(agents[agent].name) became operation master beside another that lives")
            }
            if epoch <= servers[home].promotion?.epoch ?? 0 {
                oracle.violations.append("\(agents[agent].name) leads in epoch \(epoch), which is over")
            }
        }
        let jump = servers[home].jump
        servers[home].ledger?.append(
            LedgerRow(
                id: nextRow, signal: signal, agent: agents[agent].name, epoch: epoch, session: UInt64(session),
                age: now + jump, witnessed: witness, sync: sync))
        nextRow += 1
        tell("\(agents[agent].name) writes \(signal) (epoch \(epoch)) on \(servers[home].id)")
        return true
    }

    /// The operation lock on the other server too; and, seen from outside, that the one at home is held still.
    private func take(_ id: ServerID, _ agent: Int, _ home: Int, _ session: Int) -> Bool {
        let server = index(id)
        guard servers[server].running, reaches(agent, id), servers[server].lock == nil,
            servers[server].guest == nil || servers[server].guest?.session == session, servers[home].lock == session
        else { return false }
        servers[server].guest = (session, agent, now)
        agents[agent].guest = (id, session)
        return true
    }

    // MARK: On the server of the ledger

    private func athome(_ op: Op, _ agent: Int, _ home: Int, _ session: Int) -> Bool {
        guard servers[home].lock == session || breakage == .electionWithoutLock else {
            return false
        }
        switch op {
        case .stopReceiver:
            servers[home].channel?.receiverWanted = false
            servers[home].channel?.connected = false
            servers[home].semiSync = false
            return true
        case .startApplier:
            servers[home].channel?.applierWanted = true
            return true
        case .stopReplication(_, let acceptLoss):
            servers[home].readOnly = true
            servers[home].superReadOnly = false
            servers[home].channel?.receiverWanted = false
            servers[home].channel?.connected = false
            servers[home].channel?.applierWanted = false
            let dropped = breakage == .relayLogDropped
            guard let channel = servers[home].channel else { return true }
            oracle.accepted = acceptLoss
            let recorded = servers[home].promotion?.primary == servers[home].uuid
            if !channel.relay.isEmpty, !acceptLoss, !dropped, !recorded {
                servers[home].channel?.receiverWanted = true
                servers[home].channel?.applierWanted = true
                return false
            }
            return true
        case .record(_, let epoch, let heard): return record(home, epoch, heard)
        case .resetChannel:
            servers[home].channel = nil
            return true
        case .checkMajority: return breakage == .minorityLeads || rules.isMajority(quorum(home).seesPrimary)
        case .unlock(_, let promoted, let first):
            if first {
                if !promoted { servers[home].semiSync = plan.semiSync }
                servers[home].superReadOnly = false
                return true
            }
            return open(home, promoted)
        case .dropLedger(_, let close):
            servers[home].ledger = nil
            guard close else { return true }
            // The server waits for commits that wait for an acknowledgement before it closes, and the agent not for ever.
            guard servers[home].waiting.isEmpty else { return false }
            // Setting super_read_only sets read_only too.
            (servers[home].superReadOnly, servers[home].readOnly) = (true, true)
            return true
        case .disableSemiSyncByMajority:
            disableSemiSync(home)
            return !servers[home].semiSync
        case .refuseIfPromoted(let known):
            return servers[home].promotion.map { $0.primary != servers[home].uuid || $0.epoch <= known } ?? true
        case .startReplica:
            servers[home].channel?.receiverWanted = true
            servers[home].channel?.applierWanted = true
            return true
        default: return false
        }
    }

    private func record(_ home: Int, _ epoch: UInt64, _ heard: UInt64?) -> Bool {
        if let promotion = servers[home].promotion, promotion.primary == servers[home].uuid, promotion.epoch >= epoch {
            return true
        }
        if let heard, servers[home].ledger?.contains(where: { $0.follows(in: epoch, after: heard) }) == true {
            return false
        }
        servers[home].semiSync = false
        let known = (servers[home].ledger ?? []).filter { $0.epoch == epoch }.reduce(GTIDSet()) {
            $0.union($1.witnessed)
        }
        let missing = known.subtracting(servers[home].executed)
        if missing.count > rules.maxLost, !oracle.accepted {
            oracle.violations.append("\(servers[home].id) is promoted without \(missing), which its agents knew of")
        }
        let promotion = Promotion(epoch: epoch, primary: servers[home].uuid)
        if let last = oracle.promotions.last, last >= epoch {
            oracle.violations.append("a promotion of epoch \(epoch) after one of epoch \(last)")
        }
        oracle.promotions.append(epoch)
        oracle.unopened = home
        let tx = Tx(mark: nil, gtid: servers[home].nextGTID(), promotion: promotion)
        servers[home].binlog.append(tx)
        servers[home].commit(tx)
        tell("promotion of \(servers[home].id), epoch \(epoch), on record")
        return true
    }

    private func open(_ home: Int, _ promoted: Bool) -> Bool {
        servers[home].readOnly = false
        tell("\(servers[home].id) is open")
        if servers[home].rebuilding != nil { oracle.violations.append("a half-made copy was opened") }
        if !promoted, servers[1 - home].open,
            servers[1 - home].promotion?.epoch ?? 0 > servers[home].promotion?.epoch ?? 0
        {
            oracle.violations.append(
                "\(servers[home].id) was opened again beside \(servers[1 - home].id), which was promoted since")
        }
        oracle.opened = home
        // An operation that was called off with the promotion on record already ends with opening it "again".
        let promoted = promoted || oracle.unopened == home
        oracle.unopened = nil
        var declared = oracle.declared
        declared.formUnion(oracle.gone)
        let lost = oracle.acknowledged.missing(in: servers[home].data, declared)
        guard !lost.isEmpty else { return true }
        if promoted, oracle.accepted {
            for mark in lost {
                oracle.declared.insert(mark)
                // Where the old primary's disk has lied too, nobody will ever save it.
                if !servers[1 - home].data.contains(mark) { oracle.gone.insert(mark) }
            }
        } else if !promoted, servers[home].forgetful, !isMissed(home) {
            // Nobody had seen what it lost; the other server may have it still.
            for mark in lost { oracle.gone.insert(mark) }
        } else if plan.semiSync || !promoted {
            oracle.violations.append("\(servers[home].id) was opened without the acknowledged writes \(lost)")
        } else if plan.maxLost == 0 {
            oracle.violations.append("\(servers[home].id) was promoted without asking, and lacks \(lost)")
        } else {
            for mark in lost { oracle.declared.insert(mark) }
        }
        return true
    }

    /// Whether a majority of the agents knows of transactions that this server lacks.
    private func isMissed(_ server: Int) -> Bool {
        let know = agents.filter {
            $0.policy.durable.primary == servers[server].uuid
                && !$0.policy.durable.executed.union($0.policy.copied.set).isSubset(of: servers[server].executed)
        }
        return know.count >= rules.majority
    }

    // MARK: On the other server

    private func abroad(_ op: Op, _ agent: Int, _ home: Int, _ session: Int) -> Bool {
        let away = 1 - home
        let id = servers[away].id
        guard servers[away].running, reaches(agent, id) else { return false }
        if case .checkOther = op {
            return servers[away].superReadOnly && servers[away].executed.isSubset(of: servers[home].executed)
        }
        guard servers[away].guest?.session == session else {
            servers[away].closing = false
            return false
        }
        servers[away].guest?.heard = now
        switch op {
        case .close:
            // Clients' sessions are ended first; what waits for an acknowledgement commits and nobody is told.
            (servers[away].superReadOnly, servers[away].readOnly, servers[away].closing) = (true, true, false)
            for host in agents.indices where agents[host].router.leads == id { agents[host].router.process += 1 }
            restartMoves(id)
            servers[away].semiSync = false
            for entry in servers[away].waiting { servers[away].commit(entry.tx) }
            servers[away].waiting = []
            return true
        case .checkReopen:
            let facts = servers[away]
            return facts.readOnly && quorum(away).votes.isEmpty
                && Ledger.failoverAttempt(facts.ledger, on: id) == nil
                && (facts.promotion?.primary != facts.uuid
                    || facts.promotion?.epoch ?? 0 <= servers[home].promotion?.epoch ?? 0)
        case .replicate(_, let copied):
            guard copied || servers[away].superReadOnly && errant(away).isEmpty else { return false }
            servers[away].semiSync = false
            if servers[away].channel == nil {
                servers[away].channel = SimServer.Channel(source: servers[home].id)
            }
            servers[away].channel?.receiverWanted = true
            servers[away].channel?.applierWanted = true
            servers[away].rebuilding = nil
            return true
        case .clear:
            guard servers[away].waiting.isEmpty else { return false }
            servers[away].ledger = nil
            servers[away].superReadOnly = true
            servers[away].readOnly = true
            return true
        case .save:
            guard !lost() else { return false }
            oracle.saved.formUnion(servers[away].data)
            return true
        case .wipe(_, let epoch):
            if let promotion = servers[away].promotion, promotion.primary == servers[away].uuid,
                promotion.epoch > servers[home].promotion?.epoch ?? 0
            {
                return false
            }
            var held = oracle.saved
            held.formUnion(oracle.gone)
            let kept = servers[away].data.missing(in: held, servers[home].data)
            if !kept.isEmpty { oracle.violations.append("\(id) was wiped although it alone holds \(kept)") }
            if servers[away].readOnly == false { oracle.violations.append("\(id) was wiped while it took writes") }
            servers[away].rebuilding = RebuildMarker(source: servers[home].uuid, epoch: epoch, saved: "x")
            servers[away].channel = nil
            servers[away].data = Marks()
            servers[away].executed = GTIDSet()
            servers[away].nextOwn = 0
            servers[away].binlog = []
            servers[away].promotion = nil
            servers[away].foreign = nil
            return true
        case .copy:
            // It begins in a moment in which no commit is under way.
            guard servers[home].running, reaches(agent, servers[home].id), servers[home].waiting.isEmpty else {
                return false
            }
            servers[away].data = servers[home].data
            servers[away].executed = servers[home].executed
            servers[away].binlog = servers[home].binlog.filter { $0.gtid.isSubset(of: servers[home].executed) }
            servers[away].promotion = servers[home].promotion
            servers[away].foreign = servers[home].foreign
            servers[away].ledger = nil
            return true
        default: return false
        }
    }

    /// A router's connections to a server were ended, not its process: what was under way is not.
    private func restartMoves(_ id: ServerID) {
        for host in agents.indices {
            switch agents[host].router.state {
            case .stopping where agents[host].router.leads == id, .turning where agents[host].router.leads == id:
                agenda.add(now + dice.within(30...300), .routerStopped(host, agents[host].router.process))
            default: break
            }
        }
    }

    // MARK: Over a lock session

    /// Without its replica, if a majority has that on disk.
    private func disableSemiSync(_ server: Int) {
        guard servers[server].semiSync, rules.isMajority(quorum(server).async) || breakage == .asyncUnrecorded else {
            return
        }
        servers[server].semiSync = false
        tell("\(servers[server].id) goes on alone")
        let waiting = servers[server].waiting
        servers[server].waiting = []
        for entry in waiting {
            servers[server].commit(entry.tx)
            told(entry.host, entry.connection, server, entry.tx)
        }
    }

    private func overPost(_ op: Op, _ agent: Int, _ id: ServerID) -> Bool {
        let server = index(id)
        guard agents[agent].pong[server] != nil, servers[server].running, reaches(agent, id),
            servers[server].seats[agent].open
        else { return false }
        switch op {
        case .disableSemiSync: disableSemiSync(server)
        case .enableSemiSync: if !servers[server].readOnly { servers[server].semiSync = true }
        case .disableSemiSyncOnReplica: if servers[server].superReadOnly { servers[server].semiSync = false }
        default: return false
        }
        return true
    }
}
