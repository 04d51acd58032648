import MySQLWire
import Testing

@testable import Watchdog

/// An unrelated server has been given the address of one that was known.
@Suite("A stranger at a known address") struct StrangerTests {
    static let uuid = "cccccccc-0000-0000-0000-000000000003"

    static func stranger(_ change: (inout ServerFacts) -> Void = { _ in }) -> ServerFacts {
        Fixture.facts(.b) {
            ($0.uuid, $0.serverID) = (uuid, 3)
            $0.executed = GTIDSet("\(uuid):1-5") ?? GTIDSet()
            $0.schemas = ["accounting"]
            $0.quorum = QuorumFacts()
            change(&$0)
        }
    }

    /// b was the replica; what is there now?
    private func scene(_ b: ServerFacts) -> (Orders, QuorumPolicyTests.Scene) {
        var durable = DurableState()
        (durable.epoch, durable.primary) = (0, Fixture.uuidA)
        durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
        var scene = QuorumPolicyTests.Scene(durable: durable)
        _ = scene.look()
        scene.b = .up(b)
        _ = scene.look()
        return (scene.look(), scene)
    }

    @Test func itIsNamedAndNothingIsDoneToIt() {
        let (orders, scene) = scene(Self.stranger())
        guard case .none(let why) = orders.step else { Issue.record("\(orders.step)"); return }
        #expect(why.code == .stranger)
        #expect("\(why)".contains("never part of this cluster") && "\(why)".contains("accounting"))
        // The primary goes on, and the stranger is not remembered as a member.
        #expect(orders.router == .point(to: .a) && orders.locks.seesPrimary == .a)
        #expect(scene.policy.durable.uuids[.b] == Fixture.uuidB)
    }

    /// A member that was restored elsewhere or initialised anew.
    @Test(arguments: ["restored", "empty", "known"]) func aMemberIsBroughtBack(_ how: String) {
        let (orders, _) = scene(
            Self.stranger {
                switch how {
                case "restored": $0.executed = GTIDSet("\(Fixture.uuidA):1-4") ?? GTIDSet()
                case "empty": $0.schemas = []
                default: ($0.uuid, $0.schemas) = (Fixture.uuidB, nil)
                }
            })
        #expect(orders.step == .scan(on: .a))
    }

    @Test func passesByCronLeaveItAloneToo() {
        var seen = Fixture.healthy()
        seen.a = .up(
            Fixture.facts(.a) {
                $0.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
                $0.promotion = Promotion(epoch: 1, primary: Fixture.uuidA)
            })
        seen.b = .up(Self.stranger())
        let diagnosis = Diagnoser(Fixture.configuration()).diagnose(seen)
        #expect(diagnosis.state == .ambiguous && diagnosis.summary.contains("never part of this cluster"))
        seen.b = .up(Self.stranger { $0.schemas = [] })
        #expect(Diagnoser(Fixture.configuration()).diagnose(seen).state == .recover)
    }
}
