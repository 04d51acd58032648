import Watchdog

/// A host's router and the commands that move it, as `RouterMachine` gives them. What a command does to the router happens
/// whether the agent that began it lives or not; what became of it is told to that agent alone.
extension SimWorld {
    enum RouterStage: BitwiseCopyable {
        case stopped
        /// A restart has ended the old process, and has started the new one.
        case oldGone, newUp
        /// The port is asked where it leads now.
        case verified
        /// The command was ended.
        case cancelled
        case failed
    }

    func moveRouter(_ agent: Int, _ commands: [RouterMachine.Command]) {
        for command in commands {
            switch command {
            case .report: break
            case .wake: wake(agent)
            case .cancel: cancel(agent)
            case .ask, .seeClosed:
                agents[agent].asks += 1
                agents[agent].isAsking = true
                agenda.add(
                    now + dice.within(1...5), .routerAsked(agent, life: agents[agent].life, agents[agent].asks))
            case .stop, .turn:
                agents[agent].isAsking = false
                agents[agent].router.work += 1
                agents[agent].router.command = command
                agents[agent].router.began = now
                begin(command, agent)
            }
        }
    }

    /// The command may do something yet before it is gone.
    private func cancel(_ agent: Int) {
        // It has ended already, and what became of it is on its way.
        guard agents[agent].routerOutcome == nil else { return }
        if agents[agent].isAsking {
            agents[agent].asks += 1
            return reply(agent, agents[agent].life, .silent, dice.within(0...5))
        }
        agents[agent].router.work += 1
        beginRouterWork(agent, .cancelled, dice.within(0...600))
    }

    private func begin(_ command: RouterMachine.Command, _ agent: Int) {
        let stubborn = agents[agent].router.isStubborn
        switch command {
        case .stop(let limit):
            tell("\(agents[agent].name) closes its router")
            let time = dice.chance(10) ? dice.within(500...limit) : dice.within(40...300)
            if !stubborn, dice.chance(2) {
                // It is killed at its limit, and has worked nevertheless, or does so later.
                agenda.add(now + limit + dice.within(-500...1_500), .routerGone(agent, agents[agent].router.process))
                return beginRouterWork(agent, .failed, limit)
            }
            beginRouterWork(agent, stubborn ? .failed : .stopped, time)
        case .turn(let id, _, _):
            tell("\(agents[agent].name) turns its router to \(id)")
            if agents[agent].router.leads == id {
                beginRouterWork(agent, .verified, dice.within(1...5))
            } else {
                beginRouterWork(agent, stubborn ? .failed : .oldGone, dice.within(30...300))
            }
        case .ask, .seeClosed, .cancel, .report, .wake: break
        }
    }

    /// - Parameter life: that of the process which has begun it, where it is not the one of now.
    private func beginRouterWork(_ agent: Int, _ stage: RouterStage, _ time: Int64, _ life: Int? = nil) {
        agenda.add(
            now + time,
            .routerWork(agent, life: life ?? agents[agent].life, agents[agent].router.work, stage))
    }

    func routerAsked(_ agent: Int, _ ask: Int) {
        guard agents[agent].asks == ask else { return }
        reply(agent, agents[agent].life, asked(agent), dice.within(0...3))
    }

    func routerWork(_ agent: Int, _ life: Int, _ work: Int, _ stage: RouterStage) {
        guard agents[agent].router.work == work, let command = agents[agent].router.command else { return }
        switch stage {
        case .failed: reply(agent, life, isTurn(command) ? .notTurned : .notStopped, 0)
        case .stopped:
            endProcess(agent)
            reply(agent, life, .stopped, 0)
        case .oldGone:
            endProcess(agent)
            beginRouterWork(agent, .newUp, dice.within(50...400), life)
        case .newUp:
            lead(agent, command)
            beginRouterWork(agent, .verified, delay(), life)
        case .verified: verify(agent, life, command)
        case .cancelled:
            if agents[agent].router.leads != nil, dice.chance(60) { endProcess(agent) }
            if agents[agent].router.leads == nil, dice.chance(30) { lead(agent, command) }
            reply(agent, life, .notTurned, 0)
        }
    }

    private func isTurn(_ command: RouterMachine.Command) -> Bool { if case .turn = command { true } else { false } }

    func endProcess(_ agent: Int) {
        agents[agent].router.leads = nil
        agents[agent].router.process += 1
        agents[agent].router.connections += 1
        agents[agent].controls = true
    }

    private func lead(_ agent: Int, _ command: RouterMachine.Command) {
        guard case .turn(let id, _, _) = command else { return }
        agents[agent].router.leads = id
        tell("\(agents[agent].name)'s router leads to \(id)")
    }

    /// What the router's port says.
    private func asked(_ agent: Int) -> RouterMachine.Outcome {
        guard let id = agents[agent].router.leads else { return .refused }
        let server = servers[index(id)]
        guard server.running, reaches(agent, id) else {
            // mysqlrouter closes the port of a route whose servers are all gone, and opens it again by itself.
            return dice.chance(50) ? .refused : .silent
        }
        return server.refusing ? .silent : .leads(to: server.uuid)
    }

    private func verify(_ agent: Int, _ life: Int, _ command: RouterMachine.Command) {
        guard case .turn(_, let uuid, let limit) = command else { return }
        if asked(agent) == .leads(to: uuid) { return reply(agent, life, .turned, delay()) }
        if now - agents[agent].router.began >= limit { return reply(agent, life, .notTurned, 0) }
        beginRouterWork(agent, .verified, 100, life)
    }

    private func reply(_ agent: Int, _ life: Int, _ outcome: RouterMachine.Outcome, _ time: Int64) {
        guard agents[agent].life == life else { return }
        agents[agent].routerOutcome = outcome
        agenda.add(now + time, .routerReply(agent, life: life))
    }

    func routerReplied(_ agent: Int) {
        guard let outcome = agents[agent].routerOutcome else { return }
        agents[agent].routerOutcome = nil
        moveRouter(agent, agents[agent].machine.ended(outcome, at: now - agents[agent].born))
    }

    /// systemd, where the router is bound: an agent that is dead or hangs takes its router with it, and is started again.
    func supervise(_ agent: Int, _ life: Int) {
        guard agents[agent].life == life, !agents[agent].alive || agents[agent].frozen else { return }
        if agents[agent].alive { kill(agent) }
        // What the agent had begun ends with it.
        agents[agent].router.work += 1
        let time = dice.chance(10) ? dice.within(500...QuorumRules.closeLimit) : dice.within(40...300)
        agenda.add(now + time, .routerGone(agent, agents[agent].router.process))
    }

    func routerGone(_ agent: Int, _ process: Int) {
        if agents[agent].router.process == process { endProcess(agent) }
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
            servers[server].waiting.append((tx, agent, agents[agent].router.connections))
        } else {
            servers[server].commit(tx)
            told(agent, agents[agent].router.connections, server, tx)
        }
    }

    /// A client is told that its transaction is committed, if its connection is still there.
    func told(_ agent: Int, _ connection: Int, _ server: Int, _ tx: Tx) {
        guard let mark = tx.mark, agents[agent].router.connections == connection,
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
            // One that cannot be stopped is fenced by that wait too, as long as its agent does not say that it is closed.
            if !plan.bound, agents[agent].router.isStubborn, !agents[agent].machine.isClosed { continue }
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
    /// What the command that is carried out now says of that (`Flight`).
    var wasMissed = false
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
