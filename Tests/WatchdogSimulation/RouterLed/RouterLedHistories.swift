import SeededRandom
import Watchdog

/// Random histories of router-led mode: servers crash and come back, agents die and wake, routers wander, answers are lost,
/// clients write all the while. Whatever happens, no acknowledged transaction is lost unsaved; and when the faults end, the
/// cluster is whole again, or the agents say what an operator has to decide.
public enum RouterLedHistories {
    /// Histories of the seeds; ends early after so many findings.
    public static func run(
        _ seeds: Range<UInt64>, altering alteration: Alteration? = nil, findings limit: Int = 3
    ) -> Histories.Result {
        var result = Histories.Result()
        for seed in seeds {
            let model = play(seed, alteration)
            result.histories += 1
            result.acknowledged += Int(clamping: model.acknowledged.count)
            result.promotions += model.promotions
            result.rebuilds += model.rebuilds
            guard let violation = model.violations.first ?? end(model, &result) else { continue }
            result.findings.append(
                Histories.Finding(
                    seed: seed, violation: violation, story: model.story + model.state()))
            if result.findings.count >= limit { return result }
        }
        return result
    }

    /// What is wrong at the end of a history.
    private static func end(_ model: ModelCluster, _ result: inout Histories.Result) -> String? {
        if model.isWhole { return nil }
        // Where clients wrote to both servers and their rows conflict, somebody has to decide: every try says so.
        // One whose answer was lost says so instead.
        let last = model.aborts.last { if case .because(.stepFailed) = $0 { false } else { true } }
        let says = if case .because(.routers)? = last { true } else { false }
        if says {
            result.held += 1
            return nil
        }
        return "not whole long after the last fault: \(model.steps.last ?? "")"
    }

    /// The commands that the plans of these histories have.
    public static func commands(of seeds: Range<UInt64>) -> Set<String> {
        seeds.reduce(into: []) { names, seed in names.formUnion(play(seed, nil).used.map(\.rawValue)) }
    }

    package static func play(_ seed: UInt64, _ alteration: Alteration?) -> ModelCluster {
        var dice = Dice(seed: seed &* 17 &+ 3)
        let count = 2 + dice.pick(3)
        var model = ModelCluster(agents: count)
        model.random = SeededGenerator(seed: seed &+ 1)
        model.alteration = alteration
        model.conflicts = dice.chance(50) ? 30 : 0
        model.lostAnswers = dice.chance(70) ? 2 : 0
        model.lag = [0, 40, 90][dice.pick(3)]
        model.splitLooks = dice.chance(70) ? 50 : 0
        model.stubbornRouters = dice.chance(30) ? 10 : 0
        model.outlives = dice.chance(60) ? 50 : 0
        model.acknowledged = GTIDSet("\(ModelCluster.uuidA):1-10") ?? GTIDSet()
        for _ in 0..<800 {
            fault(&model, &dice)
            model.check()
        }
        for id in ServerID.allCases where model.servers[id]?.up == false { model.restart(id) }
        for index in 0..<count { model.wake(index) }
        (model.stubbornRouters, model.outlives) = (0, 0)
        for round in 0..<4_000 {
            model.moveRouters()
            model.round(dice.pick(count))
            model.check()
            // A router that could not be turned is tried again after a minute.
            if round > 20, model.agents.allSatisfy(\.settled), model.ledgers.values.allSatisfy(\.isEmpty), model.isWhole
            {
                break
            }
        }
        return model
    }

    private static func fault(_ model: inout ModelCluster, _ dice: inout Dice) {
        model.moveRouters()
        let agent = dice.pick(model.agents.count)
        switch dice.pick(100) {
        case 0: model.crash(dice.chance(50) ? .a : .b)
        case 1...4: for id in ServerID.allCases where model.servers[id]?.up == false { model.restart(id) }
        case 5: model.kill(agent)
        case 6...8: model.wake(agent)
        case 9:
            // A router loses its path for a moment and finds the other server.
            let other = model.agents[agent].routed.other
            if model.servers[other]?.up == true { model.agents[agent].routed = other }
        case 10...30: model.clientWrite(agent)
        default: model.round(agent)
        }
    }
}

extension ModelCluster {
    /// The last steps, each once for as long as an agent stays with it.
    var story: [String] {
        var last: [Substring: String] = [:]
        let changes = steps.filter { line in
            let agent = line.prefix { $0 != ":" }
            defer { last[agent] = line }
            return last[agent] != line
        }
        return Array(changes.suffix(60))
    }

    /// Everything as it stands, for whoever reads the story.
    func state() -> [String] {
        ServerID.allCases.compactMap { id in
            servers[id].map {
                "\(id): up \($0.up), read_only \($0.facts.readOnly) \($0.facts.superReadOnly), executed \($0.facts.executed), "
                    + "channels \($0.facts.channels.map(\.health)), half \($0.facts.rebuilding != nil), lock \(locks[id] ?? 0), "
                    + "ledger \(ledgers[id].map { "\($0.count) rows" } ?? "none")"
            }
        }
            + agents.map {
                "\($0.name): alive \($0.alive), settled \($0.settled), session \($0.session ?? 0), router on \($0.routed), "
                    + "epoch \($0.epoch), diagnosis \($0.machine.diagnosis?.summary ?? "none")"
            } + aborts.suffix(5).map { "called off: \($0)" }
    }

    /// One primary, a running replica, no ledger, every router on the primary; and both servers take writes, unless a
    /// router may still lead to the replica.
    package var isWhole: Bool {
        ledgers.isEmpty && (keptClosed || servers.values.allSatisfy(\.open))
            && agents.allSatisfy { Diagnoser(Self.configuration($0.name)).diagnose(observation($0)).state == .ok }
    }

    /// What holds after every command.
    mutating func check() {
        let held = ServerID.allCases.compactMap { servers[$0]?.facts.executed }.reduce(saved) { $0.union($1) }
        let lost = acknowledged.subtracting(held)
        if !lost.isEmpty { violations.append("acknowledged and nowhere: \(lost)") }
        for (_, rows) in ledgers {
            let masters = rows.filter { if case .mast = $0.signal { true } else { false } }.map(\.epoch)
            if Set(masters).count != masters.count { violations.append("two masters of one epoch") }
        }
    }
}
