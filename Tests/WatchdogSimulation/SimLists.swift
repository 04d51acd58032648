import MySQLWire
import Watchdog

/// Agents whose lists differ while somebody edits them host by host: a host goes by its new list from its next start on.
extension SimWorld {
    /// The agent of a host begins with the list that it is given, or is taken away.
    func edit(_ agent: Int, _ list: [Int]) {
        let old = agents[agent]
        guard list.contains(agent) else {
            tell("web\(agent + 1) is taken away")
            kill(agent)
            endProcess(agent)
            old.isMember = false
            return
        }
        // Whoever edits the file waits for a process that does not answer.
        if old.alive, old.frozen || old.loop.isBusy {
            return agenda.add(now + dice.within(100...800), .edit(agent))
        }
        let isNew = !old.isMember
        old.list = list
        old.isMember = true
        tell("web\(agent + 1) goes by \(list.map { "web\($0 + 1)" })")
        if isNew {
            agenda.add(now, .write(agent))
            return revive(agent)
        }
        guard old.alive else { return }
        if dice.chance(50) { return reload(agent) }
        kill(agent)
        if plan.bound { agenda.add(now, .supervisor(agent, life: agents[agent].life)) }
        agenda.add(now + dice.within(100...3_000), .restart(agent, life: agents[agent].life))
    }

    /// What an agent of this host goes by.
    func ownRules(_ agent: Int, _ list: [Int]) -> QuorumRules {
        var own = rules
        own.agents = list.map { "web\($0 + 1)" }
        own.own = list.firstIndex(of: agent) ?? 0
        return own
    }

    static func agentList(_ list: [Int]) -> AgentList {
        let names = list.map { "web\($0 + 1)" }
        return AgentList(digest: names.joined(), names: names)
    }

    /// Which agents hold what on a server, as the agent sees it that asks: of its own list, and of those that it knows.
    func quorum(_ server: Int, _ agent: Int) -> QuorumFacts {
        var quorum = QuorumFacts()
        let list = agents[agent].runningList
        for (place, index) in list.enumerated() where isOpen(server, index, list) {
            let seat = servers[server].seats[index]
            quorum.here.insert(place)
            if seat.seesPrimary { quorum.seesPrimary.insert(place) }
            if seat.unreachable { quorum.unreachable.insert(place) }
            if seat.dead { quorum.dead.insert(place) }
            if seat.async { quorum.async.insert(place) }
        }
        if plan.newList != nil { addLists(&quorum, server, agent) }
        quorum.switchoverAsked = servers[server].switchoverAsked
        quorum.failoverAsked = servers[server].failoverAsked
        quorum.lossAccepted = servers[server].lossAccepted
        quorum.control.paused = servers[server].paused
        quorum.started = servers[server].started
        quorum.receiverMark = servers[server].channel?.mark ?? 0
        return quorum
    }

    private func isOpen(_ server: Int, _ place: Int, _ list: [Int]) -> Bool {
        let seat = servers[server].seats[place]
        return seat.open && seat.list == list
    }

    private func addLists(_ quorum: inout QuorumFacts, _ server: Int, _ agent: Int) {
        let own = agents[agent].runningList
        let foreign = agents[agent].loop.policy.durable.foreign
        for list in foreign {
            quorum.listCounts[list.digest] = ListCount(
                votes: count(server, list, foreign, own) { $0.unreachable || $0.dead },
                async: count(server, list, foreign, own) { $0.async },
                sees: count(server, list, foreign, own) { $0.seesPrimary })
        }
        if let last = agents[agent].listsAsked[server], now - last < 5_000 { return }
        agents[agent].listsAsked[server] = now
        var lists: [AgentList] = []
        for seat in servers[server].seats where seat.open && seat.list != own {
            let list = Self.agentList(seat.list)
            if !lists.contains(list) { lists.append(list) }
        }
        quorum.lists = lists
    }

    /// `QuorumLocks.count`: members by whichever of these lists they go.
    private func count(
        _ server: Int, _ list: AgentList, _ foreign: [AgentList], _ own: [Int], _ holds: (SimServer.Seat) -> Bool
    ) -> Int {
        let digests = Set(foreign.map(\.digest) + [Self.agentList(own).digest])
        return list.names.count { name in
            guard let place = agents.firstIndex(where: { $0.name == name }) else { return false }
            let seat = servers[server].seats[place]
            return seat.open && digests.contains(Self.agentList(seat.list).digest) && holds(seat)
        }
    }

    /// `QuorumLocks.majority`: what a statement asks that was made with these lists.
    func isMajority(_ server: Int, _ lists: (own: [Int], foreign: [AgentList]), _ holds: (SimServer.Seat) -> Bool)
        -> Bool
    {
        let own = lists.own.count { isOpen(server, $0, lists.own) && holds(servers[server].seats[$0]) }
        return own >= lists.own.count / 2 + 1
            && lists.foreign.allSatisfy { count(server, $0, lists.foreign, lists.own, holds) >= $0.names.count / 2 + 1 }
    }
}
