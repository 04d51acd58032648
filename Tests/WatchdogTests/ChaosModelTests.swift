import SeededRandom
import Testing

@testable import Watchdog

/// Random histories of the modelled cluster: servers crash and come back, agents die and wake, routers wander, clients
/// write all the while. Whatever happens, no acknowledged transaction is lost unsaved; and when the faults end, the
/// cluster is whole again or the agents say why they leave it alone.
@Suite struct ChaosModelTests {
    private func history(seed: UInt64, conflicts: Int) -> ModelCluster {
        var random = SeededGenerator(seed: seed)
        var model = ModelCluster(agents: 3)
        model.random = SeededGenerator(seed: seed &+ 1)
        model.conflicts = conflicts
        model.acknowledged = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
        for _ in 0..<400 {
            model.moveRouters()
            switch Int.random(in: 0..<100, using: &random) {
            case 0: model.crash(Bool.random(using: &random) ? .a : .b)
            case 1...4: for id in ServerID.allCases where model.servers[id]?.up == false { model.restart(id) }
            case 5: model.kill(Int.random(in: 0..<3, using: &random))
            case 6...8: model.wake(Int.random(in: 0..<3, using: &random))
            case 9:
                // A router loses its path for a moment and finds the other server.
                let index = Int.random(in: 0..<3, using: &random)
                let other = model.agents[index].routed.other
                if model.servers[other]?.up == true { model.agents[index].routed = other }
            case 10...30: model.clientWrite(Int.random(in: 0..<3, using: &random))
            default: model.round(Int.random(in: 0..<3, using: &random))
            }
            check(&model)
        }
        for id in ServerID.allCases where model.servers[id]?.up == false { model.restart(id) }
        for index in 0..<3 { model.wake(index) }
        for round in 0..<1200 {
            model.moveRouters()
            model.round(Int.random(in: 0..<3, using: &random))
            check(&model)
            if round > 20, model.agents.allSatisfy(\.settled), model.ledgers.values.allSatisfy({ $0.isEmpty }) { break }
        }
        return model
    }

    private func check(_ model: inout ModelCluster) {
        let held = ServerID.allCases.compactMap { model.servers[$0]?.facts.executed }.reduce(model.saved) {
            $0.union($1)
        }
        let lost = model.acknowledged.subtracting(held)
        if !lost.isEmpty { model.violations.append("acknowledged and nowhere: \(lost)") }
        for (_, rows) in model.ledgers {
            let masters = rows.filter { if case .mast = $0.signal { true } else { false } }.map(\.epoch)
            if Set(masters).count != masters.count { model.violations.append("two masters of one epoch") }
        }
    }

    /// Whole: one primary, a running replica, no ledger, every router on the primary. Otherwise every agent must have
    /// come to rest with an explanation.
    private func outcome(_ model: ModelCluster) -> (whole: Bool, rests: Bool) {
        let states = model.agents.map { agent in
            Diagnoser(Fixture.configuration(agent: agent.name)).diagnose(model.observation(agent)).state
        }
        return (states.allSatisfy { $0 == .ok } && model.ledgers.isEmpty, model.agents.allSatisfy(\.settled))
    }

    @Test(arguments: [0, 30]) func nothingAcknowledgedIsLost(conflicts: Int) {
        var whole = 0
        var left: [String: Int] = [:]
        for seed in 0..<150 as Range<UInt64> {
            let model = history(seed: seed, conflicts: conflicts)
            #expect(model.violations.isEmpty, "seed \(seed): \(model.violations.first ?? "")")
            let end = outcome(model)
            if end.whole {
                whole += 1
            } else {
                let agent = model.agents[0]
                let why = Diagnoser(Fixture.configuration()).diagnose(model.observation(agent))
                left[why.state.rawValue + (end.rests ? "" : ", restless"), default: 0] += 1
                if !end.rests, left[why.state.rawValue + ", restless"] == 1 {
                    print("seed \(seed): \(why.summary)\n" + model.steps.suffix(12).joined(separator: "\n"))
                }
            }
        }
        print("conflicts \(conflicts) %: \(whole) of 150 whole, left alone: \(left)")
        #expect(whole > 140)
    }
}
