import Watchdog

/// Steps as the commands of their plans, each of which may be late, lost, or done while its sender is gone.
extension SimWorld {
    func begin(_ step: Step, _ agent: Int) {
        // The model's routers are moved by the loop alone, and its servers start closed.
        switch step {
        case .route, .startClosed: return advance(agent, .stepEnded(true))
        default: break
        }
        guard let context = context(agent) else { return advance(agent, .stepEnded(false)) }
        let plan = OperationPlan(step, context)
        agents[agent].commands = alteration?.applied(to: plan.commands) ?? plan.commands
        agents[agent].onFailure = alteration?.applied(to: plan.onFailure) ?? plan.onFailure
        agents[agent].isUndoing = false
        agents[agent].stepLists = (agents[agent].runningList, context.foreign)
        agents[agent].found = SimAgent.Found()
        if case .open(let id) = step { agents[agent].found.isMissed = isMissed(index(id), agents[agent].runningList) }
        send(agent)
    }

    private func context(_ agent: Int) -> OperationContext? {
        let loop = agents[agent].loop
        guard let seen = loop.observation?.seen else { return nil }
        var context = OperationContext(
            agent: agents[agent].name, addresses: Self.addresses, rules: loop.policy.rules, seen: seen,
            ledger: seen.activeLedger, nextEpoch: loop.nextEpochForMaster)
        loop.complete(&context)
        context.joined = agents[agent].ledgerSession?.server
        return context
    }

    // MARK: One command after the other

    private func send(_ agent: Int) {
        guard let command = agents[agent].commands.first else {
            if agents[agent].isUndoing { return fail(agent) }
            return advance(agent, .stepEnded(true))
        }
        agents[agent].commands.removeFirst()
        let slow: Int64 = dice.chance(2) ? dice.within(200...3_000) : 0
        var flight = Flight(
            command: command, agent: agent, life: agents[agent].life, ledgerSession: agents[agent].ledgerSession)
        flight.isMissed = agents[agent].found.isMissed
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
        let (command, agent, life) = (flight.command, flight.agent, flight.life)
        let sameLife = agents[agent].life == life
        oracle.wasMissed = flight.isMissed
        let arrives = !lost() || dice.chance(50)
        let fine = arrives && effect(command, agent, flight.ledgerSession, sameLife: sameLife)
        guard sameLife else { return }
        let heard = fine && !lost()
        if !heard { tell("\(agents[agent].name): \(command.name) \(fine ? "has no answer" : "fails")") }
        // Without an answer the session is given up; with an error for one it stays.
        if fine, !heard, dice.chance(70), goesOverLedger(command, flight.ledgerSession) {
            agents[agent].ledgerSession = nil
        }
        let work: Int64 =
            switch command {
            case .catchUp: 150
            case .awaitRelayLog: 200
            default: 0
            }
        if fine, work > 0 {
            agenda.add(now + work, .reply(agent, life: life, true))
        } else {
            agenda.add(now + (heard ? delay() : dice.within(5...1_500)), .reply(agent, life: life, heard))
        }
    }

    /// Whether a command's answer comes over the ledger session, or would have brought it.
    private func goesOverLedger(_ command: Command, _ session: (server: ServerID, session: Int)?) -> Bool {
        command.path(ledger: session?.server) == .ledger || command.name == .join
    }

    /// The other server's operation lock is waited for at that server, for as long as `ServerSession.takeOver` does: what
    /// was decided before may be long past when it is had. A majority's leave is waited for by the agent.
    private func waits(_ place: Int) -> Bool {
        let flight = flights[place]
        guard agents[flight.agent].life == flight.life else { return false }
        let (taken, limit): (Bool, Int64)
        switch flight.command {
        case .lockServer(let id):
            let server = servers[index(id)]
            guard server.running, reaches(flight.agent, id) else { return false }
            taken = server.lock != nil || server.guest.map { $0.session != flight.ledgerSession?.session } == true
            limit = 12_000
        case .fenceWrites(let id):
            return closes(place, servers[index(id)])
        case .copyData(let id, _, _):
            // The data that is there goes long before the last of the new has come.
            guard flight.since == nil else { return now - (flight.since ?? now) < 300 }
            flights[place].since = now
            return discard(index(id), flight.ledgerSession)
        case .disableSemiSyncWhenAgreed:
            guard let home = flight.ledgerSession.map({ index($0.server) }), servers[home].running else { return false }
            taken =
                servers[home].semiSync && !isMajority(home, agents[flight.agent].stepLists) { $0.async }
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
        guard agents[agent].loop.isBusy else { return }
        if fine || agents[agent].isUndoing { return send(agent) }
        agents[agent].isUndoing = true
        agents[agent].commands = agents[agent].onFailure
        send(agent)
    }

    private func fail(_ agent: Int) {
        release(agent)
        agents[agent].isUndoing = false
        advance(agent, .stepEnded(false))
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
