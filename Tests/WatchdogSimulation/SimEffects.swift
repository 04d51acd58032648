import Watchdog

/// What a statement does on a server. Each returns whether it succeeded; nothing here looks at what the agent believes.
extension SimWorld {
    func effect(
        _ command: Command, _ agent: Int, _ ledgerSession: (server: ServerID, session: Int)?, sameLife: Bool
    ) -> Bool {
        // A save that pretends still lets the plan go on (`rebuild`).
        if alteration?.pretends(command) == true, command.name != .saveData { return true }
        switch command {
        case .join(let id): return sameLife && join(agent, id)
        case .leave:
            if sameLife { agents[agent].ledgerSession = nil }
            return true
        case .disableSemiSyncIfAgreed(let id), .enableSemiSyncIfOpen(let id), .disableSemiSyncIfClosed(let id):
            return overLockSession(command, agent, id)
        case .persistClosedIfAllowed: return true
        case .runFenceCommand(let id, let epoch): return turnOff(id, agent, epoch, sameLife: sameLife)
        default: break
        }
        guard let ledgerSession else { return false }
        let home = index(ledgerSession.server)
        switch command {
        case .unlockServer:
            if sameLife { agents[agent].guest = nil }
            if servers[1 - home].guest?.session == ledgerSession.session { servers[1 - home].guest = nil }
            return true
        case .requireFenced(let id):
            let server = servers[index(id)]
            guard server.running, reaches(agent, id), server.superReadOnly, server.readOnly else { return false }
            if sameLife { agents[agent].found.source = server.executed }
            return true
        case .requireRoom, .requireCopyable, .noteRebuild: return true
        default: break
        }
        if case .other(let id) = command.path(ledger: ledgerSession.server) {
            return abroad(command, agent, home, index(id), ledgerSession.session, sameLife: sameLife)
        }
        // Everything else goes over the ledger session.
        guard servers[home].running, reaches(agent, ledgerSession.server),
            servers[home].sessions[ledgerSession.session] != nil
        else {
            return false
        }
        servers[home].sessions[ledgerSession.session]?.heard = now
        return overLedger(command, agent, home, ledgerSession.session, sameLife: sameLife)
    }

    /// A command that the model has no place for is found by the first history that meets it.
    private func unknown(_ command: Command) -> Bool {
        oracle.violations.append("the model does not know \(command.name)")
        return false
    }

    private func overLedger(_ command: Command, _ agent: Int, _ home: Int, _ session: Int, sameLife: Bool) -> Bool {
        let server = servers[home]
        switch command {
        case .endReadLocks, .endBackups, .liftDelay, .wakeEvents, .persistClosed, .liftOfflineMode, .awaitRelayLog:
            return true
        case .allowLedgerWrites:
            if sameLife { agents[agent].found.openedForLedger = server.superReadOnly }
            server.superReadOnly = false
            if server.ledger == nil { server.ledger = [] }
            return true
        case .forbidLedgerWrites:
            guard let opened = agents[agent].found.openedForLedger else { return true }
            if opened, server.readOnly, server.ledger?.isEmpty != false { server.superReadOnly = true }
            if sameLife { agents[agent].ledgerSession = nil }
            return true
        case .writeSignal(let entry): return write(entry, agent, home, session)
        case .takeOperationLock:
            if server.guest == nil, server.lock == nil { server.lock = session }
            return true
        case .requireOperationLock: return server.lock == session
        case .releaseOperationLock:
            if server.lock == session { server.lock = nil }
            return true
        case .lockServer(let id): return sameLife && take(id, agent, home, session)
        default: return atHome(command, agent, home, session, sameLife: sameLife)
        }
    }

    private func turnOff(_ id: ServerID, _ agent: Int, _ epoch: UInt64, sameLife: Bool) -> Bool {
        let done = dice.chance(75)
        if done, servers[index(id)].up {
            tell("the fence command turns \(id) off")
            servers[index(id)].crash()
        }
        if sameLife { agents[agent].fenced = (epoch, done) }
        return true
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
        // The lock of this agent's name may still be held, by its former session or by another host.
        guard !servers[server].sessions.all.contains(where: { agents[$0.seat.agent].place == agents[agent].place })
        else { return false }
        servers[server].sessions[nextSession] = SimServer.Seat(agent: agent, open: true, heard: now)
        agents[agent].ledgerSession = (id, nextSession)
        nextSession += 1
        return true
    }

    private func write(_ entry: LedgerEntry, _ agent: Int, _ home: Int, _ session: Int) -> Bool {
        let (signal, epoch) = (entry.signal, entry.epoch)
        var unique = false
        if case .mast = signal { unique = true }
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
                age: now + jump, witnessed: entry.witness.executed, sync: entry.witness.sync))
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

    private func atHome(_ command: Command, _ agent: Int, _ home: Int, _ session: Int, sameLife: Bool) -> Bool {
        let server = servers[home]
        guard server.lock == session else { return false }
        switch command {
        case .stopReceiver:
            server.channel?.receiverWanted = false
            server.channel?.connected = false
        case .startApplier: server.channel?.applierWanted = true
        case .catchUp(_, let old):
            guard servers[index(old)].running, reaches(agent, old) else { return false }
            resume(server)
        case .allowRecord: (server.readOnly, server.superReadOnly) = (true, false)
        case .stopReplication: halt(server)
        case .resumeReplication: resume(server)
        case .requireDrained:
            guard let source = agents[agent].found.source, source.isSubset(of: server.executed),
                server.channel?.relay.isEmpty != false
            else {
                resume(server)
                return false
            }
            if sameLife { agents[agent].found.isStopped = true }
        case .requireApplied(_, let epoch, let accepted):
            let isRecorded = server.promotion.map { $0.primary == server.uuid && $0.epoch >= epoch } ?? false
            // What was accepted when the promotion was recorded is not taken back by a second try.
            if !isRecorded { oracle.accepted = accepted }
            guard server.channel?.relay.isEmpty != false || accepted || isRecorded
            else {
                resume(server)
                return false
            }
            if sameLife { agents[agent].found.isStopped = true }
        case .disableSemiSync: letGo(home)
        case .recordPromotion(_, let epoch, _, let heard):
            // Its own commit would wait for an acknowledgement.
            guard !server.semiSync, !server.superReadOnly, agents[agent].found.isStopped || !sameLife else {
                return false
            }
            return record(home, epoch, heard)
        case .resetChannel: return reset(server)
        case .requireNotPromoted(let known):
            return server.promotion.map { $0.primary != server.uuid || $0.epoch <= known } ?? true
        case .enableSemiSync: server.semiSync = plan.semiSync
        case .requireMajority: return isMajority(home, agents[agent].stepLists) { $0.seesPrimary }
        case .liftSuperReadOnly: server.superReadOnly = false
        case .liftReadOnly: return open(home)
        case .clearLedger: server.ledger = nil
        case .closeServer: return close(server)
        case .disableSemiSyncWhenAgreed:
            disableSemiSync(home, agents[agent].stepLists)
            return !server.semiSync
        default: return unknown(command)
        }
        return true
    }

    /// The server waits for commits that wait for an acknowledgement before it closes, and the agent not for ever.
    private func close(_ server: SimServer) -> Bool {
        guard server.waiting.isEmpty else { return false }
        // Setting super_read_only sets read_only too.
        (server.superReadOnly, server.readOnly) = (true, true)
        return true
    }

    private func halt(_ server: SimServer) {
        server.channel?.receiverWanted = false
        server.channel?.connected = false
        server.channel?.applierWanted = false
    }

    /// RESET REPLICA ALL is refused while replication runs.
    private func reset(_ server: SimServer) -> Bool {
        if let channel = server.channel, channel.receiverWanted || channel.applierWanted { return false }
        server.channel = nil
        return true
    }

    private func resume(_ server: SimServer) {
        server.channel?.receiverWanted = true
        server.channel?.applierWanted = true
    }

    /// Semi-synchronous replication ends: what waited for an acknowledgement is committed, and its clients are told.
    private func letGo(_ server: Int) {
        servers[server].semiSync = false
        let waiting = servers[server].waiting
        servers[server].waiting = []
        for entry in waiting {
            servers[server].commit(entry.tx)
            told(entry.host, entry.connection, server, entry.tx)
        }
    }

    private func record(_ home: Int, _ epoch: UInt64, _ heard: UInt64?) -> Bool {
        if let promotion = servers[home].promotion, promotion.primary == servers[home].uuid, promotion.epoch >= epoch {
            return true
        }
        if let heard, servers[home].ledger?.contains(where: { $0.follows(in: epoch, after: heard) }) == true {
            return false
        }
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
        if heard == nil { oracle.planned += 1 }
        oracle.unopened = home
        let tx = Tx(mark: nil, gtid: servers[home].nextGTID(), promotion: promotion)
        servers[home].binlog.append(tx)
        servers[home].commit(tx)
        tell("promotion of \(servers[home].id), epoch \(epoch), on record")
        return true
    }

    private func open(_ home: Int) -> Bool {
        let isFailover = servers[home].ledger?.contains { $0.signal == .oper(.failover) } == true
        servers[home].readOnly = false
        tell("\(servers[home].id) is open")
        if servers[home].rebuilding != nil { oracle.violations.append("a half-made copy was opened") }
        if !isFailover, servers[1 - home].open,
            servers[1 - home].promotion?.epoch ?? 0 > servers[home].promotion?.epoch ?? 0
        {
            oracle.violations.append(
                "\(servers[home].id) was opened again beside \(servers[1 - home].id), which was promoted since")
        }
        oracle.opened = home
        // An operation that was called off with the promotion on record already ends with opening it "again".
        let promoted = isFailover || oracle.unopened == home
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
        } else if !promoted, servers[home].forgetful, !oracle.wasMissed {
            // Nobody had seen what it lost when it was told to open; the other server may have it still.
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
    func isMissed(_ server: Int, _ list: [Int]) -> Bool {
        let know = agents.filter {
            list.contains($0.place) && $0.loop.policy.durable.primary == servers[server].uuid
                && !$0.loop.policy.durable.executed.union($0.loop.policy.copied.set).isSubset(
                    of: servers[server].executed)
        }
        return know.count >= list.count / 2 + 1
    }

    // MARK: On the other server

    private func abroad(
        _ command: Command, _ agent: Int, _ home: Int, _ away: Int, _ session: Int, sameLife: Bool
    ) -> Bool {
        let server = servers[away]
        let id = server.id
        guard server.running, reaches(agent, id) else { return false }
        guard server.guest?.session == session else {
            server.closing = false
            return false
        }
        server.guest?.heard = now
        switch command {
        case .fenceWrites:
            if sameLife { agents[agent].found.wasOpen = !server.readOnly }
            fence(away)
        case .closeServer: return close(server)
        case .clearStaleLedger:
            guard server.waiting.isEmpty else { return false }
            (server.readOnly, server.superReadOnly, server.ledger) = (true, false, nil)
        case .stopReplication: halt(server)
        case .resetChannel: return reset(server)
        case .disableSemiSync: letGo(away)
        case .requireNoFailover(_, let since):
            return server.readOnly && quorum(away, agent).votes.isEmpty
                && Ledger.failoverAttempt(server.ledger, on: id) == nil
                && (server.promotion?.primary != server.uuid || server.promotion?.epoch ?? 0 <= since)
        case .requireNothingErrant:
            return server.superReadOnly && server.readOnly && servers[home].running
                && reaches(agent, servers[home].id) && errant(away).isEmpty
        case .nameSource:
            guard server.channel == nil else { return true }
            server.channel = SimServer.Channel(source: servers[home].id)
            halt(server)
        case .startReplication: resume(server)
        case .removeMarker: (server.rebuilding, server.readOnly) = (nil, true)
        case .reopenUnmarked: return true
        case .requireBroken: return server.channel?.applierBroken == true
        case .requireRebuildable, .saveData, .markForRebuild, .copyData:
            return rebuild(command, agent, home, away, sameLife: sameLife)
        default: return unknown(command)
        }
        return true
    }

    /// Clients' sessions are ended first; what waits for an acknowledgement commits and nobody is told.
    private func fence(_ away: Int) {
        let server = servers[away]
        (server.superReadOnly, server.readOnly, server.closing) = (true, true, false)
        for host in agents.indices where agents[host].router.leads == server.id { agents[host].router.connections += 1 }
        server.semiSync = false
        for entry in server.waiting { server.commit(entry.tx) }
        server.waiting = []
    }

    private func rebuild(_ command: Command, _ agent: Int, _ home: Int, _ away: Int, sameLife: Bool) -> Bool {
        let (server, source) = (servers[away], servers[home])
        guard source.running, reaches(agent, source.id) else { return false }
        switch command {
        case .requireRebuildable:
            let promoted = server.promotion.map { $0.primary == server.uuid ? $0.epoch : 0 } ?? 0
            let known = source.promotion.map { $0.primary == source.uuid ? $0.epoch : 0 } ?? 0
            let lost = server.executed.lost(by: source.executed, of: source.uuid)
            guard source.rebuilding == nil, source.channel == nil, promoted <= known,
                server.rebuilding != nil || lost.isEmpty
            else { return false }
            if sameLife { agents[agent].found.isRebuildable = true }
        case .saveData(_, _, let epoch):
            guard agents[agent].found.isRebuildable, !lost() else { return false }
            var marker = RebuildMarker(source: source.uuid, epoch: epoch, saved: "x")
            let written = HalfCopy.written(
                executed: server.executed, purged: server.purged, uuid: server.uuid, source: source.executed,
                saved: server.saved)
            if let former = server.rebuilding, !agents[agent].found.wasOpen, written.isEmpty {
                marker = former
            } else if alteration?.pretends(command) != true {
                oracle.saved.formUnion(server.data)
            }
            if sameLife {
                agents[agent].found.marker = marker
                agents[agent].found.known = server.executed
                if marker != server.rebuilding { agents[agent].found.saved = server.executed }
            }
        case .markForRebuild:
            guard let marker = agents[agent].found.marker else { return false }
            (server.readOnly, server.superReadOnly, server.rebuilding) = (true, false, marker)
            if let saved = agents[agent].found.saved { server.saved = saved }
            tempt(away)
        case .copyData:
            // It begins in a moment in which no commit is under way.
            guard source.waiting.isEmpty else { return false }
            server.data = source.data
            // A transaction of its own meanwhile: the set cannot be claimed.
            guard server.executed.isEmpty else { return false }
            server.executed = source.executed
            (server.purged, server.isCopied) = (source.executed, true)
            server.binlog = source.binlog.filter { $0.gtid.isSubset(of: source.executed) }
            server.promotion = source.promotion
            server.foreign = source.foreign
            server.ledger = nil
            tempt(away)
        default: return unknown(command)
        }
        return true
    }

    /// What is there goes, before the last of what replaces it has come.
    /// - Returns: whether it could be begun.
    func discard(_ away: Int, _ session: (server: ServerID, session: Int)?) -> Bool {
        let (server, source) = (servers[away], servers[1 - away])
        guard server.running, server.guest?.session == session?.session, session != nil else { return false }
        guard server.guest.map({ server.executed.isSubset(of: agents[$0.agent].found.known ?? GTIDSet()) }) == true
        else { return false }
        var held = oracle.saved
        held.formUnion(oracle.gone)
        let kept = server.data.missing(in: held, source.data)
        if !kept.isEmpty { oracle.violations.append("\(server.id) was wiped although it alone holds \(kept)") }
        if server.readOnly == false { oracle.violations.append("\(server.id) was wiped while it took writes") }
        if server.rebuilding == nil { oracle.violations.append("\(server.id) was wiped and nothing says so there") }
        server.data = Marks()
        server.executed = GTIDSet()
        (server.purged, server.saved, server.isCopied) = (GTIDSet(), nil, false)
        server.nextOwn = 0
        server.binlog = []
        server.promotion = nil
        server.foreign = nil
        tempt(away)
        return true
    }

    // MARK: Over a lock session

    /// Without its replica, if a majority has that on disk.
    private func disableSemiSync(_ server: Int, _ lists: (own: [Int], foreign: [AgentList])) {
        guard servers[server].semiSync, isMajority(server, lists, { $0.async }) else { return }
        tell("\(servers[server].id) goes on alone")
        letGo(server)
    }

    private func overLockSession(_ command: Command, _ agent: Int, _ id: ServerID) -> Bool {
        let server = index(id)
        guard agents[agent].pong[server] != nil, servers[server].running, reaches(agent, id),
            hasSeat(agent, server)
        else { return false }
        switch command {
        case .disableSemiSyncIfAgreed:
            disableSemiSync(server, (agents[agent].runningList, agents[agent].loop.policy.durable.foreign))
        case .enableSemiSyncIfOpen: if !servers[server].readOnly { servers[server].semiSync = true }
        case .disableSemiSyncIfClosed: if servers[server].superReadOnly { servers[server].semiSync = false }
        default: return unknown(command)
        }
        return true
    }
}
