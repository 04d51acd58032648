import Watchdog

extension SimWorld {
    func strike(_ fault: Fault) {
        tell("fault: \(fault.kind), for \(fault.lasts) ms")
        switch fault.kind {
        case .crash(let id): if servers[index(id)].up { servers[index(id)].crash() }
        case .freeze(let id): servers[index(id)].frozen = servers[index(id)].up
        case .partition(let side): cut(side, true)
        case .oneWay(let from, let to): links.set(from, to, cut: true)
        case .killAgent(let agent):
            kill(agent)
            if plan.bound { agenda.add(now, .supervisor(agent, life: agents[agent].life)) }
        case .freezeAgent(let agent):
            guard agents[agent].alive, !agents[agent].frozen else { return }
            // Some stand still with an answer under way.
            if dice.chance(40) { agents[agent].freezesInLook = true } else { freeze(agent) }
        case .lossy(let percent): lossPercent = percent
        case .slowApplier:
            for server in servers.indices { servers[server].channel?.stalledUntil = now + fault.lasts }
        case .switchover:
            if let replica = servers.indices.first(where: { servers[$0].channel != nil && servers[$0].up }) {
                servers[replica].switchoverAsked = true
            }
        case .clockJump(let id): servers[index(id)].jump += 3_600_000
        case .acceptLoss: for server in servers.indices where servers[server].up { servers[server].lossAccepted = true }
        case .failover:
            for server in servers.indices where servers[server].up {
                servers[server].failoverAsked = true
                servers[server].lossAccepted = true
            }
        case .pause: for server in servers.indices { servers[server].paused = true }
        case .amnesia(let id, let count): if servers[index(id)].up { forget(index(id), count) }
        case .powerLoss(let id):
            if servers[index(id)].up { servers[index(id)].crash() }
            cut([index(id)], true)
        case .refuse(let id): servers[index(id)].refusing = true
        case .brokenApplier:
            for server in servers.indices where servers[server].up { servers[server].channel?.applierBroken = true }
        case .foreignRecord:
            // Whoever may write to a server may write there.
            for server in servers.indices where servers[server].running {
                servers[server].foreign = Promotion(epoch: 1_000, primary: SimServer.foreignUUID)
            }
        case .stubbornRouter(let agent):
            // Where nothing else fences, nobody can promise anything about such a router. A bound one goes with its agent.
            agents[agent].router.isStubborn = plan.semiSync || plan.bound
        case .fullDisk(let agent): agents[agent].diskIsFull = true
        case .reload(let agent): reload(agent)
        case .edit(let agent): edit(agent, plan.newList ?? plan.list)
        case .relayLost(let id):
            guard servers[index(id)].up else { return }
            servers[index(id)].crash()
            // What both lose is beyond every promise.
            guard !servers[1 - index(id)].forgetful else { return }
            servers[index(id)].hasLostRelay = true
            servers[index(id)].channel?.relay = []
            servers[index(id)].channel?.retrieved = GTIDSet()
        case .lostDisk(let agent):
            kill(agent)
            agents[agent].disk = DurableState()
            if plan.bound { agenda.add(now, .supervisor(agent, life: agents[agent].life)) }
        case .copiedHost(let agent):
            let copy = plan.agents
            agents[copy].disk = agents[agent].disk
            agents[copy].router.leads = agents[agent].router.leads
            agents[copy].router.process += 1
            revive(copy)
        case .errant:
            for server in servers.indices where servers[server].channel != nil && servers[server].running {
                let tx = Tx(mark: nil, gtid: servers[server].nextGTID())
                servers[server].binlog.append(tx)
                servers[server].commit(tx)
                oracle.errant = true
            }
        }
    }

    func mend(_ fault: Fault) {
        tell("mended: \(fault.kind)")
        switch fault.kind {
        case .powerLoss(let id):
            cut([index(id)], false)
            mend(Fault(kind: .crash(id), at: 0, lasts: 0))
        case .crash(let id), .amnesia(let id, _), .relayLost(let id):
            if !servers[index(id)].up {
                servers[index(id)].restart(semiSyncAtBoot: plan.semiSync && plan.semiSyncAtBoot)
            }
        case .freeze(let id):
            let server = index(id)
            servers[server].frozen = false
            // Where the whole machine stood still, its timers go on from where they were.
            if dice.chance(50) {
                for place in servers[server].seats.indices {
                    servers[server].seats[place].heard = now - dice.within(0...rules.sessionTimeout)
                }
            }
        case .partition(let side): cut(side, false)
        case .oneWay(let from, let to): links.set(from, to, cut: false)
        case .killAgent(let agent), .lostDisk(let agent): revive(agent)
        case .freezeAgent(let agent):
            agents[agent].freezesInLook = false
            if agents[agent].alive, agents[agent].frozen { thaw(agent) } else { revive(agent) }
        case .copiedHost:
            kill(plan.agents)
            endProcess(plan.agents)
        case .lossy: lossPercent = 0
        case .stubbornRouter(let agent): agents[agent].router.isStubborn = false
        case .fullDisk(let agent): agents[agent].diskIsFull = false
        case .slowApplier, .clockJump, .brokenApplier, .errant, .foreignRecord, .reload, .edit: break
        case .failover:
            for server in servers.indices {
                servers[server].failoverAsked = false
                servers[server].lossAccepted = false
            }
        case .pause: for server in servers.indices { servers[server].paused = false }
        case .refuse(let id): servers[index(id)].refusing = false
        case .switchover: for server in servers.indices { servers[server].switchoverAsked = false }
        case .acceptLoss: for server in servers.indices { servers[server].lossAccepted = false }
        }
    }

    /// A copy has begun, or its source's set was claimed: somebody may write meanwhile.
    func tempt(_ server: Int) {
        guard plan.intruder, dice.chance(40) else { return }
        agenda.add(now + dice.within(1...700), .intrude(server))
    }

    /// No router leads there and nobody is told: all that is asked is that it is saved before it goes.
    func intrude(_ id: Int) {
        let server = servers[id]
        guard server.running, server.rebuilding != nil, !server.superReadOnly, nextMark < 3_000 else { return }
        let tx = Tx(mark: nextMark, gtid: server.nextGTID())
        nextMark += 1
        // Behind the claim of the source's set it is a replica's own transaction, as any that an account above read_only
        // writes: reported, and saved when the replica is rebuilt.
        if server.isCopied { oracle.errant = true }
        server.binlog.append(tx)
        server.commit(tx)
        tell("somebody writes \(nextMark - 1) (\(tx.gtid)) to the half-made copy \(server.id)")
    }

    private func cut(_ side: [Int], _ down: Bool) {
        for one in side {
            for other in 0..<(2 + agents.count) where !side.contains(other) {
                links.set(one, other, cut: down)
                links.set(other, one, cut: down)
            }
        }
    }

    /// A crash that takes the last transactions with it. What nobody else holds is no agent's loss.
    private func forget(_ server: Int, _ count: Int) {
        let primary = servers[server].channel == nil
        servers[server].crash()
        // A replica that loses what it has acknowledged, or both servers at once, is beyond every promise.
        guard primary, servers[1 - server].running, !servers[1 - server].hasLostRelay else { return }
        let count = servers[server].binlog.reversed().prefix(count).prefix { $0.mark != nil }.count
        let lost = servers[server].binlog.suffix(count)
        let left = servers[server].binlog.dropLast(count)
        servers[server].binlog = []
        servers[server].executed = GTIDSet()
        servers[server].data = Marks()
        servers[server].promotion = nil
        servers[server].foreign = nil
        servers[server].nextOwn = 0
        for tx in left {
            servers[server].binlog.append(tx)
            servers[server].commit(tx)
        }
        var elsewhere = servers[1 - server].data
        for tx in servers[1 - server].channel?.relay ?? [] { if let mark = tx.mark { elsewhere.insert(mark) } }
        for tx in lost + (servers[server].channel?.relay ?? []) {
            if let mark = tx.mark, !elsewhere.contains(mark) { oracle.gone.insert(mark) }
        }
        for tx in lost { oracle.forgotten = oracle.forgotten.union(tx.gtid) }
        servers[server].channel?.relay = []
        servers[server].channel?.retrieved = GTIDSet()
        servers[server].forgetful = true
    }

    func freeze(_ agent: Int) {
        agents[agent].freezesInLook = false
        agents[agent].frozen = true
        if plan.bound { agenda.add(now + rules.supervisor, .supervisor(agent, life: agents[agent].life)) }
    }

    func kill(_ agent: Int) {
        guard agents[agent].alive else { return }
        agents[agent].alive = false
        agents[agent].frozen = false
        agents[agent].life += 1
        agents[agent].postponed = []
        agents[agent].ledgerSession = nil
        agents[agent].guest = nil
        agents[agent].pong = [nil, nil]
    }

    /// Between two steps: the sessions end, a close that is under way is waited for, and the new loop is given the lease.
    func reload(_ agent: Int) {
        let old = agents[agent]
        guard old.alive, !old.frozen, !old.loop.isBusy else { return }
        let handed = old.loop.handover
        let (lease, controls) = (old.machine.handedLease(at: clock(agent)).map { $0 + old.born }, old.controls)
        let calledOff = old.machine.rest(at: clock(agent))
        kill(agent)
        // A turn that was called off may go on for a moment; a stop goes on as well.
        if !calledOff.isEmpty { agents[agent].router.work += dice.pick(2) }
        revive(agent, handed: handed)
        agents[agent].controls = controls
        agents[agent].machine.lease(until: lease.map { $0 - now })
    }

    /// A new process with what the old one had on disk.
    func revive(_ agent: Int, handed: PerServer<QuorumPolicy.Handover> = .init()) {
        let old = agents[agent]
        guard !old.alive, old.isMember || agent >= plan.agents else { return }
        let new = SimAgent(
            index: agent, place: old.place, list: old.list,
            loop: Self.loop(ownRules(old.place, old.list), old.disk, handed: handed))
        new.isMember = old.isMember
        new.stepLists = old.stepLists
        new.life = old.life
        new.disk = old.disk
        new.diskIsFull = old.diskIsFull
        new.router = old.router
        new.controls = false
        new.born = now
        agents[agent] = new
        moveRouter(agent, new.machine.start())
        agenda.add(now + dice.within(1...200), .look(agent, life: new.life, 0))
    }

    /// Everything that came while it stood still happens now.
    private func thaw(_ agent: Int) {
        agents[agent].frozen = false
        agents[agent].controls = false
        let events = agents[agent].postponed
        agents[agent].postponed = []
        for event in events { agenda.add(now + 1, event) }
    }

    // MARK: The end

    /// One primary, replication running, every router on it, no operation under way, nothing acknowledged missing.
    func isWhole() -> Bool { complaint().isEmpty }

    /// What keeps every agent from acting until an operator decides, in their own words.
    func hold() -> String? {
        var found: String?
        for agent in agents where agent.isMember {
            guard agent.alive, case .none(let why) = agent.lastStep,
                Self.needsOperator(why) || servers.contains(where: { $0.forgetful }) && Self.lostData(why)
            else { return nil }
            found = "\(why)"
        }
        return found
    }

    /// Where a disk has lied, what is seen to be missing on one server may be nowhere else.
    private static func lostData(_ reason: Reason) -> Bool {
        switch reason {
        case .held(.incompletePrimary), .held(.votesAgainst), .held(.openReplica), .held(.closedUnseen),
            .held(.lostByPrimary), .held(.refusedBySource), .switchoverBlocked(.noMajority, _):
            true
        case .switchoverBlocked(_, let also?): lostData(also)
        default: false
        }
    }

    private static func needsOperator(_ reason: Reason) -> Bool {
        reason.code == .lossNotAccepted || reason.code == .applierBroken
    }

    /// Everything as it stands, for whoever reads the story.
    func state() -> [String] {
        servers.map { server in
            "\(server.id): up \(server.up), frozen \(server.frozen), read_only \(server.readOnly) \(server.superReadOnly), "
                + "executed \(server.executed), lock \(server.lock ?? 0), guest \(server.guest?.session ?? 0), "
                + "sessions \(server.sessions.all.map { "\($0.session) of web\($0.seat.agent + 1)" }), "
                + "ledger \(server.ledger?.count ?? -1), channel \(server.channel.map { "\($0)".prefix(120) } ?? "none")"
        }
            + agents.map { agent in
                "\(agent.name) (\(agent.runningList)): alive \(agent.alive), busy \(agent.loop.isBusy), resting \(agent.isResting), "
                    + "part \(agent.ledgerSession?.session ?? 0), posts \(agent.pong.map { $0 != nil }), "
                    + "router \(agent.router.leads.map { "\($0)" } ?? "closed") (\(agent.machine.view)), kept \(agent.loop.policy.durable), last \(agent.lastStep)"
            }
    }

    func complaint() -> String {
        let open = servers.filter { $0.open }
        guard open.count == 1, let primary = open.first else { return "\(open.count) servers are open" }
        let replica = servers[1 - index(primary.id)]
        guard replica.superReadOnly, let channel = replica.channel, channel.connected, channel.applierWanted,
            !channel.applierBroken, !channel.receiverBroken,
            replica.rebuilding == nil
        else { return "the replica does not run" }
        if servers.contains(where: { $0.ledger?.isEmpty == false }) { return "an operation is under way" }
        for agent in agents where agent.isMember && agent.router.leads != primary.id {
            return "\(agent.name)'s router leads elsewhere"
        }
        if oracle.errant { return "" }
        if !replica.executed.isSubset(of: primary.executed) { return "the replica holds what the primary lacks" }
        guard replica.executed == primary.executed else { return "the replica is behind" }
        if plan.semiSync, !primary.semiSync { return "the primary does not wait for its replica" }
        // A dump is good enough only for what was allowed to be lost.
        let lost = oracle.acknowledged.missing(in: primary.data, oracle.gone).filter {
            !oracle.saved.contains($0) || !oracle.declared.contains($0)
        }
        return lost.isEmpty ? "" : "acknowledged and nowhere: \(lost)"
    }
}
