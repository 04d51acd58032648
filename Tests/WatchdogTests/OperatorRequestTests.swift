import Testing

@testable import Watchdog

/// Whatever has happened: the agents bring service back by themselves, or some command makes them.
@Suite struct OperatorRequestTests {
    private typealias Scene = QuorumPolicyTests.Scene

    /// A world, as the agents' votes and locks have settled in it.
    private struct World {
        var name: String
        var a: ServerView
        var b: ServerView
    }

    private static func closed(_ change: (inout ServerFacts) -> Void = { _ in }) -> ServerView {
        .up(
            QuorumPolicyTests.primary {
                ($0.readOnly, $0.superReadOnly) = (true, true)
                $0.quorum?.semiSync.clients = 0
                change(&$0)
            })
    }

    private static let worlds: [World] = {
        var worlds: [World] = []
        for paused in [false, true] {
            let pause = paused ? "paused, " : ""
            func replica(_ votes: [Int] = [], _ change: (inout ServerFacts) -> Void = { _ in }) -> ServerView {
                .up(
                    QuorumPolicyTests.replica(votes: votes, receiver: votes.isEmpty ? .on : .connecting) {
                        $0.quorum?.control.paused = paused
                        change(&$0)
                    })
            }
            worlds += [
                World(
                    name: pause + "the primary was restarted", a: closed { $0.quorum?.control.paused = paused },
                    b: replica()),
                World(name: pause + "the primary is gone", a: .downHard("refused"), b: replica([0, 1, 2])),
                World(name: pause + "the primary is silent", a: .downSoft("no answer"), b: replica([0, 1, 2])),
                World(
                    name: pause + "the primary is silent to the hosts alone", a: .downSoft("no answer"), b: replica()),
                World(
                    name: pause + "the primary came back without what it had",
                    a: closed {
                        $0.executed = GTIDSet()
                        $0.quorum?.control.paused = paused
                    }, b: replica([0, 1, 2])),
                World(
                    name: pause + "replication is stopped",
                    a: .up(QuorumPolicyTests.primary { $0.quorum?.control.paused = paused }),
                    b: replica {
                        $0.channels[0].receiver = .off
                        $0.channels[0].applierRuns = false
                    }),
            ]
        }
        return worlds
    }()

    private func want(_ world: World, _ change: (inout ServerFacts, inout ServerFacts) -> Void = { _, _ in })
        -> NeededOperation?
    {
        var scene = Scene()
        _ = scene.look()
        (scene.a, scene.b) = (world.a, world.b)
        if case .up(var b) = scene.b {
            var a = scene.a.facts ?? b
            change(&a, &b)
            if scene.a.facts != nil { scene.a = .up(a) }
            scene.b = .up(b)
        }
        scene.routerClosed = true
        for _ in 0..<8 {
            // What one of them comes to, all do.
            guard scene.look(1_000).locks.vote != nil, case .up(var b) = scene.b else { continue }
            if b.quorum?.votes.isEmpty != false { b.quorum?.unreachable = AgentSet([0, 1, 2]) }
            scene.b = .up(b)
        }
        let observation = TimedObservation(
            seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now, now: scene.now,
            pongB: scene.now, routerClosed: true)
        return scene.policy.neededOperation(Assessment(observation, scene.policy)).needed
    }

    /// As the command sees it, which remembers what lies on disk and looks twice.
    private func situation(_ world: World) -> OperatorRequest.Situation {
        var agent = Scene()
        _ = agent.look()
        var scene = Scene(durable: agent.policy.durable)
        (scene.a, scene.b) = (world.a, world.b)
        for _ in 0..<2 { _ = scene.look(150) }
        let observation = TimedObservation(
            seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now, now: scene.now)
        let (diagnosis, conditions) = scene.policy.explanation(observation)
        return .init(diagnosis: diagnosis, seen: observation.seen, conditions: conditions)
    }

    @Test func someRoadLeadsBackToService() {
        for world in Self.worlds {
            if want(world) != nil { continue }
            let now = situation(world)
            let leads = OperatorRequest.allCases.contains { request in
                switch (request, request.path(now)) {
                case (.resume, .note): true
                case (.resume, .askThenNote): want(world) { a, _ in a.quorum?.resumeAsked = true } != nil
                case (.failover, .ask): want(world) { _, b in b.quorum?.failoverAsked = true } != nil
                case (.switchover, .ask): want(world) { _, b in b.quorum?.switchoverAsked = true } != nil
                default: false
                }
            }
            #expect(leads, "\(world.name): every command is refused, or leads nowhere")
        }
    }

    @Test func aRequestThatCannotBeMetYetDoesNotStopTheRepair() {
        for world in Self.worlds where world.name == "replication is stopped" {
            #expect(want(world) { _, b in b.quorum?.switchoverAsked = true } == .recover(.a))
        }
    }

    @Test func whatNoWaitingHelpsAgainstIsRefusedAtOnce() {
        for world in Self.worlds where world.name.hasPrefix("paused") {
            guard world.a.facts?.executed.isEmpty == false else { continue }
            guard case .refused(let why) = OperatorRequest.switchover.path(situation(world)) else {
                Issue.record("\(world.name): a switchover is waited for")
                continue
            }
            #expect(why.contains("resume"), "\(world.name)")
        }
    }

    @Test func aServerThatLetsNobodyInIsNoTarget() {
        func path(_ isOffline: Bool) -> OperatorRequest.Path {
            var scene = Scene()
            _ = scene.look()
            scene.b = .up(QuorumPolicyTests.replica { $0.isOffline = isOffline })
            _ = scene.look()
            let observation = TimedObservation(
                seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now, now: scene.now)
            let (diagnosis, conditions) = scene.policy.explanation(observation)
            return OperatorRequest.switchover.path(
                .init(diagnosis: diagnosis, seen: observation.seen, conditions: conditions))
        }
        #expect(path(false) == .ask(on: .b))
        guard case .refused(let why) = path(true) else {
            Issue.record("it is asked for")
            return
        }
        #expect(why.hasPrefix("b is in offline_mode"))
    }

    /// What else is to be known of the two servers says `status`.
    @Test func aFailoverThatIsRefusedSaysWhyAndNothingElse() {
        var scene = Scene()
        scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.semiSync.active = false })
        for _ in 0..<2 { _ = scene.look() }
        let observation = TimedObservation(
            seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now, now: scene.now)
        let (diagnosis, conditions) = scene.policy.explanation(observation)
        #expect(!diagnosis.unmet.isEmpty)
        let path = OperatorRequest.failover.path(
            .init(diagnosis: diagnosis, seen: observation.seen, conditions: conditions))
        #expect(
            path
                == .refused(
                    "a is not lost: it answers, and no majority of the agents has lost it. For a planned change: switchover"
                ))
    }

    @Test func tablesAreMadeInQuietTimesOnly() {
        var scene = Scene()
        _ = scene.look()
        func wanted() -> ServerID? {
            scene.policy.tablesWanted(
                TimedObservation(
                    seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: 200, now: 200))
        }
        #expect(wanted() == .a)
        scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.recorded = true })
        #expect(wanted() == .a)
        scene.b = .up(QuorumPolicyTests.replica { $0.quorum?.recorded = true })
        #expect(wanted() == nil)
        scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.semiSync.clients = 0 })
        #expect(wanted() == nil)
        scene.a = .up(QuorumPolicyTests.primary())
        scene.b = .up(
            QuorumPolicyTests.replica { $0.ledger = [LedgerRow(id: 1, signal: .scan(host: "w"), agent: "w")] })
        #expect(wanted() == nil)
    }
}
