import MySQLWire
import Watchdog

/// What commands do to the modelled servers.
extension ModelCluster {
    /// The next command of the plan that is under way.
    mutating func send(_ index: Int) {
        guard let step = agents[index].step else { return }
        guard let command = agents[index].commands.first else { return succeed(index, step) }
        sent += 1
        let isDone = carryOut(command, index)
        let isHeard = Int.random(in: 0..<100, using: &random) >= lostAnswers
        guard isDone, isHeard else { return fail(index, losing: isDone) }
        // A copy takes two: what is there goes before the new has come.
        if case .copyData(let id, let primary, _) = command, !agents[index].found.isWiped {
            return wipe(id, from: primary, index)
        }
        agents[index].commands.removeFirst()
        if agents[index].commands.isEmpty { succeed(index, step) }
    }

    private mutating func succeed(_ index: Int, _ step: Step) {
        unlock(index)
        agents[index].step = nil
        if case .terminate(_, keepClosed: false) = step { keptClosed = false }
        advance(index, .performed(.done, server: agents[index].server))
    }

    /// - Parameter losing: the answer was lost, and the session with it.
    private mutating func fail(_ index: Int, losing: Bool) {
        for command in agents[index].onFailure { _ = carryOut(command, index) }
        unlock(index)
        agents[index].step = nil
        if losing { close(index) }
        advance(index, .performed(.failed("refused"), server: agents[index].server))
    }

    /// - Returns: whether it went well.
    mutating func carryOut(_ command: Command, _ index: Int) -> Bool {
        if alteration?.pretends(command) == true { return true }
        let home = agents[index].server
        switch command.path(ledger: home) {
        case .ledger:
            guard let home else { return false }
            return atHome(command, index, home)
        case .other(let id):
            guard let session = agents[index].session, agents[index].guest == id, locks[id] == session,
                servers[id]?.up == true
            else { return false }
            return abroad(command, index, id)
        case .own: return alone(command, index)
        case .lockSession: return foreign(command)
        }
    }

    private mutating func foreign(_ command: Command) -> Bool {
        violations.append("\(command.name) does not belong to router-led mode")
        return false
    }

    // MARK: Without a session

    private mutating func alone(_ command: Command, _ index: Int) -> Bool {
        switch command {
        case .join(let id): return join(index, id)
        case .leave:
            close(index)
            return true
        case .lockServer(let id):
            guard let session = agents[index].session, let home = agents[index].server, servers[id]?.up == true,
                locks[id] == nil || locks[id] == session, locks[home] == session
            else { return false }
            locks[id] = session
            agents[index].guest = id
            return true
        case .unlockServer:
            unlock(index)
            return true
        case .requireFenced(let id):
            guard let old = servers[id], old.up, old.facts.superReadOnly else { return false }
            agents[index].found.fenced = (old.facts.executed, old.lives)
            return true
        case .requireRoom, .requireCopyable: return true
        default: return foreign(command)
        }
    }

    private mutating func join(_ index: Int, _ id: ServerID) -> Bool {
        if agents[index].server == id { return true }
        close(index)
        guard servers[id]?.up == true else { return false }
        agents[index].server = id
        agents[index].session = nextSession
        nextSession += 1
        return true
    }

    // MARK: On the server of the ledger

    private mutating func atHome(_ command: Command, _ index: Int, _ home: ServerID) -> Bool {
        guard let session = agents[index].session, let server = servers[home], server.up else { return false }
        switch command {
        case .allowLedgerWrites:
            agents[index].found.openedForLedger = server.facts.superReadOnly
            servers[home]?.facts.superReadOnly = false
        case .forbidLedgerWrites:
            let isEmpty = ledgers[home]?.isEmpty != false
            if agents[index].found.openedForLedger, isEmpty { servers[home]?.facts.superReadOnly = true }
            close(index)
        case .writeSignal(let entry): return write(entry, index, home, session)
        case .takeOperationLock: if locks[home] == nil { locks[home] = session }
        case .requireOperationLock: return locks[home] == session
        case .releaseOperationLock: if locks[home] == session { locks[home] = nil }
        case .clearLedger: ledgers[home] = nil
        case .catchUp(let id, let old):
            guard servers[old]?.up == true else { return false }
            if case .stopped? = server.facts.channels.first?.health { start(id) }
            replicate(waits: true)
        case .stopReplication(let id): stop(id)
        case .requireDrained(let id, let undrained):
            guard let fenced = agents[index].found.fenced else { return false }
            let missing = fenced.executed.subtracting(server.facts.executed)
            guard missing.isSubset(of: GTIDSet(undrained) ?? GTIDSet()) else {
                start(id)
                return false
            }
        case .wakeEvents: break
        case .recordPromotion(_, let epoch, _, _):
            if server.facts.promotion.map({ $0.epoch >= epoch && $0.primary == server.facts.uuid }) == true {
                return true
            }
            servers[home]?.facts.promotion = Promotion(epoch: epoch, primary: server.facts.uuid)
            promoted(home, index)
        case .resetChannel(let id): servers[id]?.facts.channels = []
        case .liftSuperReadOnly(let id): servers[id]?.facts.superReadOnly = false
        case .liftReadOnly(let id): open(id)
        case .closeServer(let id): close(id)
        default: return foreign(command)
        }
        return true
    }

    /// Nothing that the old primary has is left behind, but for what the policy says. One that was started again meanwhile
    /// may be open: what is written there then is saved by its rebuild.
    private mutating func promoted(_ id: ServerID, _ index: Int) {
        promotions += 1
        guard let new = servers[id]?.facts, let old = servers[id.other],
            case .promote(_, let undrained)? = agents[index].step,
            agents[index].found.fenced.map({ $0.life == old.lives }) ?? true
        else { return }
        let missing = old.facts.executed.subtracting(new.executed).subtracting(GTIDSet(undrained) ?? GTIDSet())
        if !missing.isEmpty { violations.append("\(id) was promoted without \(missing)") }
        if old.open { violations.append("\(id) was promoted while \(id.other) takes writes") }
    }

    private mutating func write(_ entry: LedgerEntry, _ index: Int, _ home: ServerID, _ session: UInt64) -> Bool {
        guard servers[home]?.facts.superReadOnly == false else { return false }
        let rows = ledgers[home]
        switch entry.signal {
        case .scan: break
        case .mast:
            let isTaken = rows?.contains {
                if case .mast = $0.signal { $0.epoch == entry.epoch } else { false }
            }
            guard isTaken == false else { return false }
        // The table went with the operation.
        default: guard rows != nil else { return false }
        }
        ledgers[home, default: []].append(
            LedgerRow(
                id: nextRow, signal: entry.signal, agent: agents[index].name, epoch: entry.epoch, seen: entry.routed,
                session: session, age: now))
        nextRow += 1
        written.append((entry.signal, agents[index].name, entry.epoch))
        return true
    }

    private mutating func close(_ id: ServerID) {
        servers[id]?.facts.superReadOnly = true
        servers[id]?.facts.readOnly = true
    }

    /// MySQL switches super_read_only off with read_only.
    private mutating func open(_ id: ServerID) {
        servers[id]?.facts.superReadOnly = false
        servers[id]?.facts.readOnly = false
    }

    private mutating func stop(_ id: ServerID) {
        guard var channel = servers[id]?.facts.channels.first else { return }
        (channel.receiver, channel.applierRuns) = (.off, false)
        servers[id]?.facts.channels = [channel]
    }

    /// What stopped the applier may stop it again.
    private mutating func start(_ id: ServerID) {
        guard var channel = servers[id]?.facts.channels.first else { return }
        (channel.receiver, channel.applierRuns, channel.applierErrno) = (.on, true, 0)
        servers[id]?.facts.channels = [channel]
        replicate()
    }

    // MARK: On the other server

    private mutating func abroad(_ command: Command, _ index: Int, _ id: ServerID) -> Bool {
        guard let server = servers[id] else { return false }
        switch command {
        case .fenceWrites:
            if !server.facts.readOnly { agents[index].found.wasOpen = true }
            close(id)
        case .clearStaleLedger:
            servers[id]?.facts.readOnly = true
            servers[id]?.facts.superReadOnly = false
            ledgers[id] = nil
        case .closeServer: close(id)
        case .liftSuperReadOnly: servers[id]?.facts.superReadOnly = false
        case .liftReadOnly: open(id)
        case .stopReplication: stop(id)
        case .resetChannel: servers[id]?.facts.channels = []
        case .nameSource(_, let primary):
            if server.facts.channels.isEmpty {
                servers[id]?.facts.channels = [
                    Self.channel(from: primary) { ($0.receiver, $0.applierRuns) = (.off, false) }
                ]
            }
        case .startReplication: start(id)
        case .reopenUnmarked:
            let replicates = agents[index].ledger?.kind == .recover
            guard !agents[index].found.isMarked, server.facts.rebuilding == nil,
                !replicates || !server.facts.channels.isEmpty
            else { return true }
            open(id)
        case .requireBroken: return server.facts.channels.first?.dataDiffer == true
        case .requireRebuildable(_, let primary), .saveData(_, let primary, _), .copyData(_, let primary, _):
            return rebuild(command, index, id, from: primary)
        case .markForRebuild:
            guard let marker = agents[index].found.marker else { return false }
            agents[index].found.isMarked = true
            servers[id]?.facts.readOnly = true
            servers[id]?.facts.superReadOnly = false
            servers[id]?.facts.rebuilding = marker
            records[id] = agents[index].found.saved ?? records[id]
        case .removeMarker(_, let primary):
            let source = servers[primary]?.facts.executed ?? GTIDSet()
            let own = server.facts.executed.subtracting(source)
            if !own.isEmpty { violations.append("\(id) is called a copy although it holds \(own)") }
            servers[id]?.facts.rebuilding = nil
            records[id] = nil
            rebuilds += 1
        default: return foreign(command)
        }
        return true
    }

    private mutating func rebuild(_ command: Command, _ index: Int, _ id: ServerID, from primary: ServerID) -> Bool {
        guard let state = servers[id]?.facts, let source = servers[primary], source.up else { return false }
        switch command {
        case .requireRebuildable:
            guard source.facts.rebuilding == nil, source.facts.channels.isEmpty,
                state.rebuilding != nil
                    || state.executed.lost(by: source.facts.executed, of: source.facts.uuid).isEmpty
            else { return false }
            (agents[index].found.replica, agents[index].found.source) = (state, source.facts)
        case .saveData(_, _, let epoch):
            guard let replica = agents[index].found.replica, let source = agents[index].found.source else {
                return false
            }
            agents[index].found.known = replica.executed
            if let marker = replica.rebuilding {
                let written = HalfCopy.written(
                    executed: replica.executed, purged: replica.purged, uuid: replica.uuid, source: source.executed,
                    saved: records[id])
                if written.isEmpty, !agents[index].found.wasOpen {
                    (agents[index].found.marker, agents[index].found.saved) = (marker, records[id])
                    return true
                }
            }
            saved = saved.union(state.executed)
            agents[index].found.marker = RebuildMarker(source: source.uuid, epoch: epoch, saved: "x")
            agents[index].found.saved = replica.executed
        // The second half of a copy.
        case .copyData where agents[index].found.isWiped:
            servers[id]?.facts.executed = source.facts.executed
            servers[id]?.facts.purged = source.facts.executed
            servers[id]?.facts.promotion = source.facts.promotion
        case .copyData:
            guard let known = agents[index].found.known else { return false }
            return state.executed.isSubset(of: known)
        default: return foreign(command)
        }
        return true
    }

    private mutating func wipe(_ id: ServerID, from primary: ServerID, _ index: Int) {
        guard let state = servers[id]?.facts, let source = servers[primary]?.facts else { return }
        if !state.executed.isSubset(of: saved.union(source.executed)) {
            violations.append("\(id) is wiped although it holds what is not saved")
        }
        if state.rebuilding == nil { violations.append("\(id) is wiped without a mark") }
        if agents[index].found.wasOpen, agents.contains(where: { $0.alive && $0.routed == id }) {
            destroyed.append("\(id)")
        }
        agents[index].found.isWiped = true
        servers[id]?.facts.executed = GTIDSet()
        servers[id]?.facts.purged = GTIDSet()
        records[id] = nil
    }
}
