@testable import Watchdog

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
    var semiSyncAtBoot = false
    var faults: [Fault] = []
    /// When the last fault is mended.
    var healed: Int64 = 0

    /// A few faults close together, the way in which they do harm.
    static func random(_ dice: inout Dice) -> Plan {
        var plan = Plan()
        plan.agents = dice.chance(80) ? 3 : dice.chance(50) ? 4 : 5
        plan.semiSync = dice.chance(65)
        plan.maxLost = dice.chance(50) ? 1_000 : 0
        plan.bound = dice.chance(50)
        plan.coldStart = dice.chance(8)
        plan.semiSyncAtBoot = dice.chance(30)
        var at = dice.within(1_500...3_500)
        let count = 1 + dice.pick(4)
        for _ in 0..<count {
            let lasts = dice.chance(30) ? dice.within(200...2_000) : dice.within(2_000...16_000)
            plan.faults.append(Fault(kind: kind(&dice, plan.agents), at: at, lasts: lasts))
            at += dice.chance(50) ? dice.within(0...800) : dice.within(800...9_000)
        }
        plan.healed = plan.faults.map { $0.at + $0.lasts }.max() ?? 0
        return plan
    }

    private static func kind(_ dice: inout Dice, _ agents: Int) -> Fault.Kind {
        let server: ServerID = dice.chance(75) ? .a : .b
        switch dice.pick(100) {
        case 0..<20: return .crash(server)
        case 20..<35: return .freeze(server)
        case 35..<60:
            var side = [server == .a ? 0 : 1]
            for host in 0..<agents where dice.chance(40) { side.append(2 + host) }
            return .partition(side)
        case 60..<66: return .oneWay(dice.pick(2 + agents), dice.pick(2 + agents))
        case 66..<76: return .killAgent(dice.pick(agents))
        case 76..<85: return .freezeAgent(dice.pick(agents))
        case 85..<89: return .lossy(10 + dice.pick(40))
        case 89..<93: return .slowApplier
        case 93..<97: return .switchover
        default: return .clockJump(server)
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
        case .oneWay(let from, let to): cutLinks.insert(from * 16 + to)
        case .killAgent(let agent):
            kill(agent)
            if plan.bound { agenda.add(now, .supervisor(agent, life: agents[agent].life)) }
        case .freezeAgent(let agent):
            guard agents[agent].alive, !agents[agent].frozen else { return }
            agents[agent].frozen = true
            if plan.bound {
                agenda.add(now + rules.supervisor, .supervisor(agent, life: agents[agent].life))
            }
        case .lossy(let percent): lossPercent = percent
        case .slowApplier:
            for server in servers.indices { servers[server].channel?.stalledUntil = now + fault.lasts }
        case .switchover:
            if let replica = servers.indices.first(where: { servers[$0].channel != nil && servers[$0].up }) {
                servers[replica].switchoverAsked = true
            }
        case .clockJump(let id): servers[index(id)].jump += 3_600_000
        case .acceptLoss: for server in servers.indices { servers[server].lossAccepted = true }
        }
    }

    func mend(_ fault: Fault) {
        tell("mended: \(fault.kind)")
        switch fault.kind {
        case .crash(let id):
            if !servers[index(id)].up {
                servers[index(id)].restart(semiSyncAtBoot: plan.semiSync && plan.semiSyncAtBoot)
            }
        case .freeze(let id): servers[index(id)].frozen = false
        case .partition(let side): cut(side, false)
        case .oneWay(let from, let to): cutLinks.remove(from * 16 + to)
        case .killAgent(let agent): revive(agent)
        case .freezeAgent(let agent):
            if agents[agent].alive, agents[agent].frozen { thaw(agent) } else { revive(agent) }
        case .lossy: lossPercent = 0
        case .slowApplier, .clockJump: break
        case .switchover: for server in servers.indices { servers[server].switchoverAsked = false }
        case .acceptLoss: for server in servers.indices { servers[server].lossAccepted = false }
        }
    }

    private func cut(_ side: [Int], _ down: Bool) {
        for one in side {
            for other in 0..<(2 + agents.count) where !side.contains(other) {
                for link in [one * 16 + other, other * 16 + one] {
                    if down { cutLinks.insert(link) } else { cutLinks.remove(link) }
                }
            }
        }
    }

    func kill(_ agent: Int) {
        guard agents[agent].alive else { return }
        agents[agent].alive = false
        agents[agent].frozen = false
        agents[agent].life += 1
        agents[agent].postponed = []
        agents[agent].leaseUntil = nil
        release(agent)
        agents[agent].part = nil
        agents[agent].pong = [nil, nil]
    }

    /// A new process with what the old one had on disk.
    private func revive(_ agent: Int) {
        guard !agents[agent].alive else { return }
        let old = agents[agent]
        var govern = Govern(rules: old.govern.rules, configuration: Self.configuration, kept: old.disk)
        govern.broken = old.govern.broken
        var new = SimAgent(index: agent, govern: govern)
        new.life = old.life
        new.disk = old.disk
        new.written = old.disk
        new.router = old.router
        new.born = now
        agents[agent] = new
        agenda.add(now + dice.within(1...200), .look(agent, life: new.life))
    }

    /// Everything that came while it stood still happens now.
    private func thaw(_ agent: Int) {
        agents[agent].frozen = false
        let events = agents[agent].postponed
        agents[agent].postponed = []
        for event in events { agenda.add(now + 1, event) }
    }

    // MARK: The end

    /// One primary, replication running, every router on it, no operation under way, nothing acknowledged missing.
    func isWhole() -> Bool { complaint().isEmpty }

    func complaint() -> String {
        let open = servers.filter { $0.open }
        guard open.count == 1, let primary = open.first else { return "\(open.count) servers are open" }
        let replica = servers[1 - index(primary.id)]
        guard replica.superReadOnly, let channel = replica.channel, channel.connected, channel.applierWanted,
            replica.rebuilding == nil
        else { return "the replica does not run" }
        if servers.contains(where: { $0.ledger != nil }) { return "an operation is under way" }
        for agent in agents where agent.router.state != .leads(primary.id) {
            return "\(agent.name)'s router leads elsewhere"
        }
        if !replica.executed.isSubset(of: primary.executed) { return "the replica holds what the primary lacks" }
        guard replica.executed == primary.executed else { return "the replica is behind" }
        if plan.semiSync, !primary.semiSync { return "the primary does not wait for its replica" }
        let lost = oracle.acknowledged.missing(in: primary.data, oracle.saved)
        return lost.isEmpty ? "" : "acknowledged and nowhere: \(lost)"
    }
}
