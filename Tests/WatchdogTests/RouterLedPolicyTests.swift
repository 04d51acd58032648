import SeededRandom
import Testing
import WatchdogSimulation

@testable import Watchdog

@Suite struct RouterLedPolicyTests {
    /// The primary has crashed and come back, every router has gone to the replica.
    private func crashed(agents: Int) -> ModelCluster {
        var model = ModelCluster(agents: agents)
        for index in model.agents.indices { model.agents[index].routed = .b }
        model.servers[.b]?.facts.executed = GTIDSet("\(Fixture.uuidA):1-10,\(Fixture.uuidB):1-3") ?? GTIDSet()
        return model
    }

    private func run(_ model: inout ModelCluster, seed: UInt64, loop: Int = 4000, killing: Int? = nil) {
        var random = SeededGenerator(seed: seed)
        var victim = killing
        for _ in 0..<loop {
            model.round(Int.random(in: model.agents.indices, using: &random))
            if let count = victim, model.sent >= count,
                let holder = model.agents.firstIndex(where: { agent in
                    agent.server.map { model.locks[$0] == agent.session } ?? false
                })
            {
                model.kill(holder)
                victim = nil
            }
            if model.agents.allSatisfy({ !$0.alive || $0.settled }), model.ledgers.isEmpty { return }
        }
    }

    private func converged(_ model: ModelCluster, primary: ServerID, _ context: String) {
        let replica = model.servers[primary.other]?.facts
        #expect(model.ledgers.isEmpty, "\(context): the ledger is left behind")
        #expect(model.servers[primary]?.facts.channels.isEmpty == true, "\(context)")
        #expect(replica?.channels.first?.health == .running, "\(context)")
        #expect(model.servers.values.allSatisfy { $0.open } || model.keptClosed, "\(context): a server is left closed")
        #expect(model.destroyed.isEmpty, "\(context): data was replaced that routers led to")
        for agent in model.agents where agent.alive {
            #expect(agent.routed == primary && agent.first == primary, "\(context): \(agent.name) is routed elsewhere")
        }
    }

    @Test func aFailoverWritesAllSevenSignalsInOrder() throws {
        for seed in 0..<200 as Range<UInt64> {
            var model = crashed(agents: 3)
            run(&model, seed: seed)
            converged(model, primary: .b, "seed \(seed)")
            let words = model.written.map { $0.signal.description.split(separator: " ").first.map(String.init) ?? "" }
            func first(_ word: String) throws -> Int {
                try #require(words.firstIndex(of: word), "seed \(seed): \(word)")
            }
            #expect(try first("SCAN") < first("MAST"))
            #expect(try first("MAST") < first("FOLO"))
            #expect(try first("FOLO") < first("OPER"))
            #expect(try first("OPER") < first("TARG"))
            #expect(try first("TARG") < first("FOOK"))
            #expect(try first("TARG") < first("MAOK"))
            #expect(words.count { $0 == "MAST" } == 1, "seed \(seed)")
            #expect(words.count { $0 == "FOOK" } == 2, "seed \(seed)")
        }
    }

    @Test func anyAgentFinishesWhatAKilledOneBegan() {
        for seed in 0..<40 as Range<UInt64> {
            for count in 1..<60 {
                var model = crashed(agents: 3)
                run(&model, seed: seed, killing: count)
                converged(model, primary: .b, "seed \(seed), operation master killed after command \(count)")
                let epochs = model.written.filter { if case .mast = $0.signal { true } else { false } }.map(\.epoch)
                #expect(epochs == epochs.sorted() && Set(epochs).count == epochs.count, "seed \(seed)")
            }
        }
    }

    @Test func brokenReplicationIsRebuiltByOneAgent() {
        for seed in 0..<200 as Range<UInt64> {
            var model = ModelCluster(agents: 3)
            model.servers[.b]?.facts.channels = [
                Fixture.channel(from: .a) {
                    $0.applierErrno = 1062
                    $0.applierRuns = false
                }
            ]
            run(&model, seed: seed)
            converged(model, primary: .a, "seed \(seed)")
            #expect(model.steps.count { $0.contains("rebuild b from a: applier error") } == 1, "seed \(seed)")
        }
    }

    @Test func aHealthyClusterIsLeftAlone() {
        var model = ModelCluster(agents: 3)
        run(&model, seed: 1, loop: 30)
        #expect(model.written.isEmpty)
        #expect(model.steps.allSatisfy { $0.hasSuffix("nothing to do") })
    }

    @Test func aDownServerIsReportedAndNothingElse() {
        var model = crashed(agents: 3)
        model.servers[.a]?.up = false
        run(&model, seed: 1, loop: 60)
        #expect(model.written.isEmpty)
    }

    @Test func routersThatDisagreeStopAFailoverThatCannotDrain() {
        var model = ModelCluster(agents: 3)
        model.agents[0].routed = .b
        model.servers[.b]?.facts.executed = GTIDSet("\(Fixture.uuidA):1-5") ?? GTIDSet()
        model.servers[.b]?.facts.channels = [
            Fixture.channel(from: .a) {
                $0.applierErrno = 1062
                $0.applierRuns = false
            }
        ]
        for round in 0..<60 {
            model.round(round % 3)
            if model.steps.contains(where: { $0.contains("abort the operation") }) { break }
        }
        #expect(model.steps.contains { $0.contains("abort the operation") })
        #expect(!model.steps.contains { $0.contains("promote") || $0.contains("rebuild") })
        #expect(model.servers[.a]?.open == true)
    }

    @Test func aLonelyRouterGoesBackToAPrimaryThatOthersUse() {
        for seed in 0..<100 as Range<UInt64> {
            var model = ModelCluster(agents: 3)
            model.agents[1].routed = .b
            run(&model, seed: seed)
            converged(model, primary: .a, "seed \(seed)")
            #expect(!model.written.contains { $0.signal == .oper(.failover) }, "seed \(seed)")
        }
    }

    @Test func theReplicaStaysClosedWhileARouterMayLeadToIt() throws {
        var model = crashed(agents: 3)
        // web3 follows, but its router is still on the old primary, and it dies before it turns.
        model.agents[2].routed = .a
        var random = SeededGenerator(seed: 4)
        while !model.written.contains(where: { $0.signal == .folo(host: "web3") }) {
            model.round(Int.random(in: 0..<3, using: &random))
        }
        model.kill(2)
        run(&model, seed: 9)
        #expect(model.ledgers.isEmpty && model.keptClosed)
        #expect(model.servers[.a]?.open == false && model.servers[.b]?.open == true)
    }

    @Test func anAgentThatSleptThroughAPromotionTurnsItsOwnRouter() {
        var model = crashed(agents: 3)
        model.agents[2].alive = false
        model.agents[2].routed = .a
        run(&model, seed: 5)
        model.agents[2].alive = true
        let before = model.written.count
        run(&model, seed: 6)
        converged(model, primary: .b, "after waking")
        #expect(model.written.count == before, "it began an operation")
    }

    @Test func nobodyTurnsARouterBeforeThePromotionIsOnRecord() {
        for seed in 0..<50 as Range<UInt64> {
            var model = crashed(agents: 3)
            model.agents[1].routed = .a
            model.servers[.a]?.facts.executed = GTIDSet("\(Fixture.uuidA):1-90") ?? GTIDSet()
            model.servers[.b]?.facts.channels = [Fixture.channel(from: .a) { $0.receiver = .connecting }]
            run(&model, seed: seed, loop: 60)
            // It cannot drain while the receiver does not reach the old primary, however long that takes.
            #expect(model.agents[1].routed == .a, "seed \(seed)")
            #expect(!model.steps.contains { $0.contains("promote") && !$0.contains("wait") }, "seed \(seed)")
            model.servers[.b]?.facts.channels = [Fixture.channel(from: .a)]
            run(&model, seed: seed)
            converged(model, primary: .b, "seed \(seed)")
        }
    }

    @Test func aReplicaWithoutAChannelIsNotTakenForPromoted() {
        var model = crashed(agents: 2)
        model.servers[.a]?.facts.executed = GTIDSet("\(Fixture.uuidA):1-1000") ?? GTIDSet()
        model.servers[.a]?.facts.promotion = Promotion(epoch: 1, primary: Fixture.uuidA)
        model.servers[.b]?.facts.channels = []
        for index in model.agents.indices { model.agents[index].epoch = 1 }
        run(&model, seed: 1, loop: 60)
        #expect(model.written.isEmpty, "\(model.steps.last ?? "")")
    }

    @Test func aPrimaryThatLostItsOwnTailIsNotCopiedOverTheReplica() {
        var model = ModelCluster(agents: 2)
        model.servers[.a]?.facts.executed = GTIDSet("\(Fixture.uuidA):1-5") ?? GTIDSet()
        model.servers[.b]?.facts.channels = [
            Fixture.channel(from: .a) {
                $0.receiver = .off
                $0.receiverErrno = 13114
            }
        ]
        run(&model, seed: 1, loop: 60)
        #expect(model.written.isEmpty, "\(model.steps.last ?? "")")
    }

    /// A stray ledger on the server that was primary must not hide the one on the new primary.
    @Test func aStrayLedgerOnTheOtherServerDoesNotBlock() {
        var model = crashed(agents: 2)
        model.ledgers[.a] = [LedgerRow(id: 0, signal: .mast(host: "web9"), agent: "web9", epoch: 4, session: 999)]
        run(&model, seed: 2)
        converged(model, primary: .b, "with a stray ledger on a")
    }

    /// The first candidate sees no need any more: it makes room for those who do.
    @Test func aBlindFirstCandidateMakesRoom() {
        var model = crashed(agents: 3)
        while model.written.count < 1 { model.round(0) }
        model.agents[0].routed = .a
        run(&model, seed: 2)
        converged(model, primary: .b, "after the first withdrew")
    }

    @Test func leftoversOfTheDeadDoNotBlock() {
        var model = crashed(agents: 2)
        model.ledgers[.b] = [LedgerRow(id: 0, signal: .scan(host: "web9"), agent: "web9", session: 999)]
        run(&model, seed: 3)
        converged(model, primary: .b, "with a dead SCAN")

        var idle = ModelCluster(agents: 2)
        idle.ledgers[.b] = [LedgerRow(id: 0, signal: .scan(host: "web9"), agent: "web9", session: 999)]
        run(&idle, seed: 3)
        #expect(idle.ledgers.isEmpty)
    }
}
