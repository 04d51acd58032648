import Watchdog

/// Something that goes wrong at a time, and is mended a while later.
struct Fault {
    enum Kind {
        case crash(ServerID)
        case freeze(ServerID)
        /// These nodes (servers 0 and 1, then hosts) on one side, everybody else on the other.
        case partition([Int])
        case oneWay(Int, Int)
        case killAgent(Int)
        case freezeAgent(Int)
        case lossy(Int)
        case slowApplier
        case switchover
        case clockJump(ServerID)
        case acceptLoss
        /// An operator asks for a failover, and takes the loss.
        case failover
        case pause
        /// The server loses its last transactions with the crash: its disk had not told the truth.
        case amnesia(ServerID, Int)
        /// The host goes, not only the process.
        case powerLoss(ServerID)
        /// Too many connections.
        case refuse(ServerID)
        case brokenApplier
        /// Somebody writes to the replica.
        case errant
        /// A row of another cluster stands in the history.
        case foreignRecord
        /// A host's router can be neither stopped nor restarted.
        case stubbornRouter(Int)
        /// A host's disk takes nothing any more.
        case fullDisk(Int)
        /// The agent's loop begins anew with its configuration read again.
        case reload(Int)
    }
    var kind: Kind
    var at: Int64
    var lasts: Int64
}

/// What a history is made of.
struct Plan {
    var agents = 3
    var semiSync = true
    var maxLost: UInt64 = 0
    var bound = false
    var coldStart = false
    var fenceCommand = false
    var semiSyncAtBoot = false
    /// An account that read_only does not keep out writes to half-made copies.
    var intruder = false
    var faults: [Fault] = []
    /// When the last fault is mended.
    var healed: Int64 = 0

    /// A few faults close together, the way in which they do harm.
    ///
    /// - Parameter style: the kind of trouble that most histories are to have.
    static func random(_ dice: inout Dice, toward style: Style?) -> Plan {
        var plan = Plan()
        let favourite = dice.chance(70) ? style : nil
        plan.agents = dice.chance(80) ? 3 : dice.chance(50) ? 4 : 5
        plan.semiSync = dice.chance(60)
        plan.maxLost = dice.chance(60) ? 1_000 : dice.chance(30) ? 3 : 0
        plan.bound = dice.chance(50)
        plan.fenceCommand = dice.chance(10)
        plan.coldStart = dice.chance(8)
        plan.semiSyncAtBoot = dice.chance(30)
        plan.intruder = dice.chance(15)
        favourite?.settings(&plan)
        plan.faults = faults(&dice, plan.agents, favourite ?? Style(&dice))
        plan.healed = plan.faults.map { $0.at + $0.lasts }.max() ?? 0
        return plan
    }

    /// Kinds of trouble.
    enum Style: String, CaseIterable {
        case anything, goneAndMore, sides, oneAfterTheOther, behind, everything, late
        /// The primary stands still and goes on when it has just been replaced.
        case wakes
        /// The primary and some agents are cut off while it stands still.
        case standsStill
        /// The primary goes when its replica has just come back from a long absence.
        case alone
        /// The primary comes back at once, without what it had.
        case forgets
        /// Who opens the primary again stands still meanwhile, and another one is made primary.
        case lateOpen
        /// The primary stands still, and a router can be neither stopped nor restarted meanwhile.
        case stubborn

        init(_ dice: inout Dice) {
            switch dice.pick(100) {
            case 0..<40: self = .anything
            case 40..<60: self = .goneAndMore
            case 60..<72: self = .sides
            case 72..<80: self = .oneAfterTheOther
            case 80..<86: self = .behind
            case 86..<90: self = .everything
            case 90..<92: self = .wakes
            case 92..<94: self = .standsStill
            case 94..<96: self = .alone
            case 96: self = .forgets
            case 97: self = .lateOpen
            case 98: self = .stubborn
            default: self = .late
            }
        }

        /// Where the trouble does harm.
        func settings(_ plan: inout Plan) {
            switch self {
            case .sides, .standsStill: plan.bound = true
            case .alone: plan.semiSync = true
            case .forgets: (plan.semiSync, plan.maxLost) = (false, 0)
            case .lateOpen, .stubborn: (plan.semiSync, plan.bound) = (true, false)
            default: break
            }
        }
    }

    private static func faults(_ dice: inout Dice, _ agents: Int, _ style: Style) -> [Fault] {
        var faults: [Fault] = []
        let at = dice.within(1_200...2_500)
        func add(_ kind: Fault.Kind, _ from: Int64, _ lasts: Int64) {
            faults.append(Fault(kind: kind, at: from, lasts: lasts))
        }
        func end() -> Int64 { dice.chance(30) ? dice.within(200...2_000) : dice.within(2_000...14_000) }
        switch style {
        case .anything:
            // Whatever comes.
            var next = at
            for _ in 0..<1 + dice.pick(3) {
                add(kind(&dice, agents), next, end())
                next += dice.chance(60) ? dice.within(0...1_200) : dice.within(1_200...7_000)
            }
        case .goneAndMore:
            // The primary goes, and something more while it is replaced.
            add(gone(&dice), at, dice.within(500...12_000))
            add(kind(&dice, agents), at + dice.within(0...6_000), end())
        case .sides:
            // Two sides, both with agents, for long enough that both make up their minds.
            var side = [dice.pick(2)]
            for host in 0..<agents where dice.chance(45) { side.append(2 + host) }
            add(.partition(side), at, dice.within(6_000...17_000))
            if dice.chance(60) { add(kind(&dice, agents), at + dice.within(-800...9_000), end()) }
        case .oneAfterTheOther:
            // One primary after the other.
            add(.crash(.a), at, dice.within(800...3_000))
            add(.crash(.b), at + dice.within(4_000...9_000), dice.within(1_000...6_000))
        case .behind:
            // A replica that is behind.
            add(.slowApplier, at - 800, dice.within(1_500...8_000))
            add(gone(&dice), at, end())
        case .everything:
            // Everything goes down and comes up again in some order.
            for id in ServerID.allCases {
                add(
                    dice.chance(70) ? .crash(id) : .powerLoss(id), at + dice.within(0...1_500), dice.within(500...8_000)
                )
            }
            for agent in 0..<agents where dice.chance(50) {
                add(.killAgent(agent), at + dice.within(0...1_500), dice.within(500...8_000))
            }
        case .wakes:
            let lasts = dice.within(4_200...7_500)
            add(.freeze(.a), at, lasts)
            if dice.chance(60) {
                var side = [0]
                for host in 0..<agents where dice.chance(65) { side.append(2 + host) }
                add(.partition(side), at + lasts + dice.within(-700...400), dice.within(7_000...13_000))
            }
        case .standsStill:
            add(.partition([0, 2 + dice.pick(agents)]), at, dice.within(17_000...21_000))
            let begins = at + dice.within(-300...2_000)
            add(.freeze(.a), begins, at + dice.within(12_500...17_000) - begins)
        case .alone:
            let lasts = dice.within(6_000...10_000)
            add(dice.chance(50) ? .crash(.b) : .partition([1]), at, lasts)
            add(gone(&dice), at + lasts + dice.within(-600...600), end())
        case .forgets: add(.amnesia(.a, 2 + dice.pick(8)), at, dice.within(200...4_000))
        case .lateOpen:
            let short = dice.within(200...900)
            add(.crash(.a), at, short)
            add(.freezeAgent(dice.pick(agents)), at + short + dice.within(100...1_300), dice.within(10_500...14_000))
            add(.crash(.a), at + short + dice.within(2_500...4_500), dice.within(1_500...4_000))
        case .stubborn:
            let lasts = dice.within(4_500...9_000)
            add(.freeze(.a), at, lasts)
            add(.stubbornRouter(dice.pick(agents)), at - dice.within(0...500), lasts + dice.within(500...3_000))
        case .late:
            // Agents that go on late with what they had begun.
            add(gone(&dice), at, dice.within(1_000...9_000))
            add(.freezeAgent(dice.pick(agents)), at + dice.within(100...4_000), dice.within(1_500...16_000))
            if dice.chance(50) { add(kind(&dice, agents), at + dice.within(1_000...8_000), end()) }
        }
        return faults
    }

    private static func gone(_ dice: inout Dice) -> Fault.Kind {
        switch dice.pick(10) {
        case 0..<5: .crash(.a)
        case 5..<7: .freeze(.a)
        case 7: .amnesia(.a, 1 + dice.pick(6))
        default: .powerLoss(.a)
        }
    }

    private static func kind(_ dice: inout Dice, _ agents: Int) -> Fault.Kind {
        let server: ServerID = dice.chance(70) ? .a : .b
        switch dice.pick(100) {
        case 0..<14: return .crash(server)
        case 14..<18: return .powerLoss(server)
        case 18..<21: return .amnesia(server, 1 + dice.pick(6))
        case 21..<33: return .freeze(server)
        case 33..<53:
            var side = [server == .a ? 0 : 1]
            for host in 0..<agents where dice.chance(40) { side.append(2 + host) }
            return .partition(side)
        case 53..<57: return .oneWay(dice.pick(2 + agents), dice.pick(2 + agents))
        case 57: return .stubbornRouter(dice.pick(agents))
        case 58: return .fullDisk(dice.pick(agents))
        case 59: return .reload(dice.pick(agents))
        case 60..<69: return .killAgent(dice.pick(agents))
        case 69..<78: return .freezeAgent(dice.pick(agents))
        case 78..<82: return .lossy(10 + dice.pick(40))
        case 82..<85: return .slowApplier
        case 85..<89: return .switchover
        case 89..<91: return .clockJump(server)
        case 91: return .acceptLoss
        case 92: return .failover
        case 93..<95: return .pause
        case 95..<97: return .refuse(server)
        case 97: return .brokenApplier
        case 98: return .foreignRecord
        default: return .errant
        }
    }
}

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
            // Where nothing else fences, nobody can promise anything about such a router.
            agents[agent].router.isStubborn = plan.semiSync && !plan.bound
        case .fullDisk(let agent): agents[agent].diskIsFull = true
        case .reload(let agent): reload(agent)
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
        case .crash(let id), .amnesia(let id, _):
            if !servers[index(id)].up {
                servers[index(id)].restart(semiSyncAtBoot: plan.semiSync && plan.semiSyncAtBoot)
            }
        case .freeze(let id):
            let server = index(id)
            servers[server].frozen = false
            // Where the whole machine stood still, its timers go on from where they were.
            if dice.chance(50) {
                for agent in agents.indices {
                    servers[server].seats[agent].heard = now - dice.within(0...rules.sessionTimeout)
                }
            }
        case .partition(let side): cut(side, false)
        case .oneWay(let from, let to): links.set(from, to, cut: false)
        case .killAgent(let agent): revive(agent)
        case .freezeAgent(let agent):
            agents[agent].freezesInLook = false
            if agents[agent].alive, agents[agent].frozen { thaw(agent) } else { revive(agent) }
        case .lossy: lossPercent = 0
        case .stubbornRouter(let agent): agents[agent].router.isStubborn = false
        case .fullDisk(let agent): agents[agent].diskIsFull = false
        case .slowApplier, .clockJump, .brokenApplier, .errant, .foreignRecord, .reload: break
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
        guard primary, servers[1 - server].running else { return }
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
    private func reload(_ agent: Int) {
        let old = agents[agent]
        guard old.alive, !old.frozen, !old.loop.isBusy else { return }
        let (lease, controls) = (old.machine.handedLease(at: clock(agent)).map { $0 + old.born }, old.controls)
        let calledOff = old.machine.rest(at: clock(agent))
        kill(agent)
        // A turn that was called off may go on for a moment; a stop goes on as well.
        if !calledOff.isEmpty { agents[agent].router.work += dice.pick(2) }
        revive(agent)
        agents[agent].controls = controls
        agents[agent].machine.lease(until: lease.map { $0 - now })
    }

    /// A new process with what the old one had on disk.
    private func revive(_ agent: Int) {
        guard !agents[agent].alive else { return }
        let old = agents[agent]
        let new = SimAgent(index: agent, loop: Self.loop(old.loop.policy.rules, old.disk))
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
        for agent in agents {
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
            .held(.lostByPrimary), .switchoverBlocked(.noMajority, _):
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
                "\(agent.name): alive \(agent.alive), busy \(agent.loop.isBusy), resting \(agent.isResting), "
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
        for agent in agents where agent.router.leads != primary.id {
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
