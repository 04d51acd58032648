import MySQLWire
import Testing

@testable import Watchdog

@Suite("The loop of router-led mode as a machine")
struct RouterLedMachineTests {
    /// One agent whose looks are answered at once; what its steps come to says each test.
    struct Host {
        var machine = RouterLedMachine(Fixture.configuration())
        var now: Int64 = 0
        var seen: Observation
        var status = LocalStatus(agent: "web1")
        var results: [RouterLedMachine.Result] = []
        var server: ServerID?

        mutating func round() -> [RouterLedMachine.Command] {
            now += 1_000
            var commands = machine.handle(.begin, at: now)
            var next = 0
            while next < commands.count {
                switch commands[next] {
                case .look: commands += machine.handle(.looked(seen), at: now)
                case .describe: commands += machine.handle(.described(status), at: now)
                case .perform:
                    let result = results.isEmpty ? .done : results.removeFirst()
                    commands += machine.handle(.performed(result, server: server), at: now)
                default: break
                }
                next += 1
            }
            return commands
        }
    }

    /// b replicates from a; the router leads to one of them, or nowhere.
    static func seen(
        router: ServerID?, promotion: Promotion? = nil, _ change: (inout ServerFacts) -> Void = { _ in }
    ) -> Observation {
        let a = Fixture.facts(.a) { $0.promotion = promotion }
        let b = Fixture.facts(.b) {
            $0.channels = [Fixture.channel(from: .a)]
            $0.promotion = promotion
            change(&$0)
        }
        let uuid = router.map { $0 == .a ? Fixture.uuidA : Fixture.uuidB }
        return Observation(
            a: .up(a), b: .up(b), router: uuid.map { .leadsTo(uuid: $0) } ?? .noAnswer("refused"),
            destinations: [Fixture.configuration().servers.a, Fixture.configuration().servers.b])
    }

    @Test("a quiet round: look, what the session holds, nothing to do")
    func aQuietRound() {
        var host = Host(seen: Self.seen(router: .a))
        #expect(host.round() == [.look, .describe, .leave, .report, .end(.settled)])
        #expect(host.machine.diagnosis?.state == .ok)
    }

    @Test("a promotion that the router has followed is kept before anything is chosen")
    func aFollowedPromotionIsRemembered() {
        let promotion = Promotion(epoch: 4, primary: Fixture.uuidA)
        var host = Host(seen: Self.seen(router: .a, promotion: promotion))
        #expect(host.round().prefix(3) == [.look, .note(epoch: 4), .describe])
        // One that leads elsewhere has not followed, nor has one of another server's promotion.
        host.seen = Self.seen(router: .b, promotion: promotion)
        #expect(!host.round().contains(.note(epoch: 4)))
        host.seen = Self.seen(router: .a, promotion: Promotion(epoch: 4, primary: Fixture.uuidB))
        #expect(!host.round().contains(.note(epoch: 4)))
    }

    @Test("a step is done at once, and with a pause where it was the last one too")
    func aStepThatIsRepeated() throws {
        var host = Host(seen: Self.seen(router: .b))
        let first = host.round()
        guard case .perform(let step)? = first.dropFirst(3).first else {
            Issue.record("no step: \(first)")
            return
        }
        #expect(first == [.look, .describe, .report, .perform(step), .end(.acted)])
        #expect(host.round() == [.look, .describe, .report, .pause(300), .perform(step), .end(.acted)])
    }

    @Test("after three failures in a row, or one that would fail again, the agent gives its part up")
    func failures() {
        var host = Host(seen: Self.seen(router: .b))
        host.results = [.failed("1"), .failed("2"), .failed("3")]
        #expect(host.round().last == .end(.failed(gaveUp: false)))
        #expect(host.round().last == .end(.failed(gaveUp: false)))
        #expect(host.round().suffix(2) == [.leave, .end(.failed(gaveUp: true))])
        // Others may have a better path.
        #expect(host.round() == [.look, .describe, .report, .end(.waiting)])
        host.now += 30_000
        host.results = [.hopeless("no room")]
        #expect(host.round().suffix(2) == [.leave, .end(.failed(gaveUp: true))])
    }

    @Test("who gives a repair up puts the replica back before it leaves")
    func aRepairThatIsGivenUpIsCalledOff() {
        let rows = ["MAST web1", "OPER repl", "TARG 10.0.0.1:3306"].enumerated().compactMap { index, text in
            Signal(text).map {
                LedgerRow(id: UInt64(index + 1), signal: $0, agent: "web1", epoch: 3, session: 1, alive: true, age: 0)
            }
        }
        var host = Host(seen: Self.seen(router: .a))
        var facts = Fixture.facts(.a) { $0.ledger = rows }
        facts.operationLocked = true
        host.seen.a = .up(facts)
        host.status = LocalStatus(agent: "web1", server: .a, session: 1, holdsLock: true)
        host.server = .a
        host.results = [.hopeless("no room")]
        let commands = host.round()
        #expect(
            commands.suffix(3) == [
                .perform(.abort(.because(.stepFailed("no room")))), .leave, .end(.failed(gaveUp: true)),
            ])
    }

    @Test("what comes at the wrong time is nothing")
    func theWrongTime() {
        var machine = RouterLedMachine(Fixture.configuration())
        #expect(machine.handle(.performed(.done, server: nil), at: 0).isEmpty)
        #expect(machine.handle(.described(LocalStatus(agent: "web1")), at: 0).isEmpty)
        #expect(machine.handle(.begin, at: 0) == [.look])
        #expect(machine.handle(.begin, at: 1).isEmpty)
    }
}
