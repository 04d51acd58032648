import Watchdog

extension SimWorld {
    func stopRouter(_ agent: Int) {
        switch agents[agent].router.state {
        case .closed, .stopping: return
        case .leads, .turning: break
        }
        var old = agents[agent].router.leads
        // A turn that is called off may have opened the new path already.
        if case .turning(let id, nil) = agents[agent].router.state, dice.chance(30) { old = id }
        agents[agent].router.state = .stopping(old: old)
        agents[agent].router.process += 1
        tell("\(agents[agent].name) closes its router")
        agenda.add(
            now + (dice.chance(10) ? dice.within(500...QuorumRules.closeLimit) : dice.within(40...300)),
            .routerStopped(agent, agents[agent].router.process))
    }

    func turnRouter(_ agent: Int, to id: ServerID) {
        switch agents[agent].router.state {
        case .leads(id), .turning(to: id, old: _), .stopping: return
        case .leads, .turning, .closed: break
        }
        let old = agents[agent].router.leads
        agents[agent].router.state = .turning(to: id, old: old)
        agents[agent].router.process += 1
        tell("\(agents[agent].name) turns its router to \(id)")
        agenda.add(now + dice.within(30...300), .routerStopped(agent, agents[agent].router.process))
    }

    func routerStopped(_ agent: Int, _ process: Int) {
        guard agents[agent].router.process == process else { return }
        switch agents[agent].router.state {
        case .stopping:
            agents[agent].router.state = .closed
            agents[agent].controls = true
        case .turning(let id, _):
            agents[agent].router.state = .turning(to: id, old: nil)
            agents[agent].controls = true
            agenda.add(now + dice.within(50...400), .routerStarted(agent, process))
        case .leads, .closed: break
        }
    }

    func routerStarted(_ agent: Int, _ process: Int) {
        guard agents[agent].router.process == process, case .turning(let id, nil) = agents[agent].router.state else {
            return
        }
        agents[agent].router.state = .leads(id)
        tell("\(agents[agent].name)'s router leads to \(id)")
    }

    /// systemd, where the router is bound: an agent that is dead or hangs takes its router with it, and is started again.
    func supervise(_ agent: Int, _ life: Int) {
        guard agents[agent].life == life, !agents[agent].alive || agents[agent].frozen else { return }
        if agents[agent].alive { kill(agent) }
        stopRouter(agent)
    }

    // MARK: Clients

    func write(_ agent: Int) {
        if now < plan.healed + 1_000 { agenda.add(now + dice.within(150...400), .write(agent)) }
        guard let id = agents[agent].router.leads else { return }
        let server = index(id)
        guard servers[server].open, !servers[server].closing, servers[server].running, reaches(agent, id),
            nextMark < 3_000
        else { return }
        let tx = Tx(mark: nextMark, gtid: servers[server].nextGTID())
        nextMark += 1
        servers[server].binlog.append(tx)
        if servers[server].semiSync {
            servers[server].waiting.append((tx, agent, agents[agent].router.process))
        } else {
            servers[server].commit(tx)
            told(agent, agents[agent].router.process, server, tx)
        }
    }

    /// A client is told that its transaction is committed, if its connection is still there.
    func told(_ agent: Int, _ connection: Int, _ server: Int, _ tx: Tx) {
        guard let mark = tx.mark, agents[agent].router.process == connection,
            agents[agent].router.leads == servers[server].id, reaches(agent, servers[server].id)
        else { return }
        oracle.acknowledged.insert(mark)
        oracle.count += 1
        // Another transaction has this number too. That the server may not be opened where that is known, `open` sees to.
        if tx.gtid.isSubset(of: oracle.forgotten) { oracle.gone.insert(mark) }
        if let opened = oracle.opened, opened != server {
            oracle.violations.append(
                "\(servers[server].id) acknowledged \(tx.gtid) to \(agents[agent].name) after \(servers[opened].id) "
                    + "had been opened as primary")
        }
    }

    /// Two paths to two servers that take writes.
    func watchPaths() {
        guard servers[0].open, servers[1].open else { return }
        var paths: [Int?] = [nil, nil]
        for agent in agents.indices {
            guard let id = agents[agent].router.leads, reaches(agent, id), servers[index(id)].running else { continue }
            // A router that outlives its agent is not controlled by anybody, nor is it until the agent that was started
            // again could find out; then the semi-synchronous wait is the fence.
            let uncontrolled = !agents[agent].alive || agents[agent].frozen || !agents[agent].controls
            if !plan.bound, plan.semiSync, uncontrolled { continue }
            paths[index(id)] = agent
        }
        if let one = paths[0], let other = paths[1] {
            oracle.violations.append(
                "\(agents[one].name) can write to a and \(agents[other].name) to b at the same time")
        }
    }
}

/// What must hold, and what has been broken.
struct Oracle {
    /// Writes that a client was told of.
    var acknowledged = Marks()
    var count = 0
    /// Everything that lies in a verified dump.
    var saved = Marks()
    /// The server that was opened last.
    var opened: Int?
    var promotions: [UInt64] = []
    /// How many of them were switchovers.
    var planned = 0
    /// Promoted, and not yet open.
    var unopened: Int?
    var operations: UInt64 = 0
    /// Losses that an operator or the limit allowed.
    var declared = Marks()
    /// What a lying disk took with it and nobody else holds.
    var gone = Marks()
    /// The numbers of what a lying disk has forgotten.
    var forgotten = GTIDSet()
    /// An operator took the loss of a promotion.
    var accepted = false
    var errant = false
    /// What an operator has to decide before anything goes on.
    var held: String?
    var violations: [String] = []
}
