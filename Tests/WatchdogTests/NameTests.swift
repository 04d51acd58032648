import MySQLWire
import Testing

@testable import Watchdog

/// Another host's agent goes by this one's name: on the two sides of a partition each could make a majority.
@Suite("Two agents of one name") struct NameTests {
    private typealias Scene = QuorumPolicyTests.Scene

    /// One look; where the name is held elsewhere this agent has no session.
    private static func look(
        _ scene: inout Scene, elsewhere: Set<ServerID> = [], silent: Set<ServerID> = [], after: Int64 = 1_000
    ) -> Orders {
        scene.now += after
        var seen = Observation(a: scene.a, b: scene.b, router: .leadsTo(uuid: Fixture.uuidA))
        for id in ServerID.allCases {
            if silent.contains(id) {
                seen[id] = .downSoft("silent")
            } else if elsewhere.contains(id), case .up(var facts) = seen[id] {
                facts.quorum?.nameHeldElsewhere = true
                seen[id] = .up(facts)
            }
        }
        func pong(_ id: ServerID) -> Int64? { elsewhere.contains(id) || silent.contains(id) ? nil : scene.now }
        return scene.policy.decide(
            TimedObservation(seen: seen, askedAt: scene.now, now: scene.now, pongA: pong(.a), pongB: pong(.b)),
            LocalStatus(agent: "web1"))
    }

    private static func isHeldBack(_ orders: Orders) -> Bool {
        orders.locks.seesPrimary == nil && orders.locks.vote == nil && orders.locks.async == nil
            && orders.step.reason?.code == .nameTwice
    }

    /// On either server, from the first sight on: the partition may come at any moment.
    @Test func whoMeetsItsOwnNameGivesNothing() {
        for id in ServerID.allCases {
            var scene = Scene()
            var orders = Self.look(&scene, elsewhere: [id])
            #expect(Self.isHeldBack(orders) && !orders.locks.isDouble && !scene.policy.durable.isDouble)
            // Not yet: this agent's own former session goes by then, where it came from another address.
            orders = Self.look(&scene)
            #expect(orders.locks.seesPrimary == .a && orders.router == .point(to: .a))
            _ = Self.look(&scene, elsewhere: [id])
            _ = Self.look(&scene, elsewhere: [id], after: 4_900)
            #expect(!scene.policy.durable.isDouble)
            orders = Self.look(&scene, elsewhere: [id], after: 100)
            #expect(Self.isHeldBack(orders) && orders.locks.isDouble && scene.policy.durable.isDouble)
        }
    }

    /// A server that does not answer any more holds the other one still.
    @Test func whatASilentServerSaidLastStays() {
        var scene = Scene()
        _ = Self.look(&scene, elsewhere: [.b])
        #expect(Self.isHeldBack(Self.look(&scene, silent: [.b])))
        #expect(Self.look(&scene, silent: [.b], after: 5_000).locks.isDouble)
    }

    /// Each of the two had the name on one server, and the partition has put each on the side of the other's.
    @Test func aServerAloneDoesNotEndTheDoubt() {
        for id in ServerID.allCases {
            var scene = Scene()
            _ = Self.look(&scene)
            _ = Self.look(&scene, elsewhere: [id])
            #expect(Self.isHeldBack(Self.look(&scene, silent: [id.other])))
            #expect(Self.isHeldBack(Self.look(&scene, silent: [id.other], after: 3_000)))
            #expect(Self.look(&scene, silent: [id.other], after: 2_000).locks.isDouble)
        }
    }

    @Test func itsRouterIsClosedAndNotOpened() {
        var scene = Scene()
        var closed = false
        for _ in 0..<12 { closed = Self.look(&scene, elsewhere: [.a]).router == .close || closed }
        #expect(closed && Self.look(&scene, elsewhere: [.a]).router == .close)
        // After a restart too, although a router that outlives its agent is left open otherwise.
        scene = Scene(durable: scene.policy.durable)
        #expect(scene.policy.durable.isDouble)
        #expect(Self.look(&scene, elsewhere: [.a]).router == .close)
    }

    /// One that came later takes a place while the first one was cut off for a moment: the first one is left in peace.
    @Test func theOneThatWasThereFirstKeepsItsRouter() {
        var scene = Scene()
        for _ in 0...31 { _ = Self.look(&scene) }
        for _ in 0..<14 {
            let orders = Self.look(&scene, elsewhere: [.b])
            #expect(Self.isHeldBack(orders) && orders.router == .point(to: .a) && !orders.locks.isDouble)
        }
        #expect(Self.look(&scene).locks.seesPrimary == .a)
        // Not for ever: the other one may have been there for as long.
        for _ in 0..<16 { _ = Self.look(&scene, elsewhere: [.b]) }
        #expect(scene.policy.durable.isDouble)
    }

    @Test func heldForAMomentIsNotSettled() {
        var scene = Scene()
        for _ in 0..<29 { _ = Self.look(&scene) }
        _ = Self.look(&scene, silent: [.b])
        for _ in 0..<29 { _ = Self.look(&scene) }
        for _ in 0..<6 { _ = Self.look(&scene, elsewhere: [.b]) }
        #expect(scene.policy.durable.isDouble)
    }

    @Test func itCountsAgainWhenItIsAloneOnBothServers() {
        var durable = DurableState()
        durable.isDouble = true
        var scene = Scene(durable: durable)
        for _ in 0..<40 { #expect(Self.look(&scene, silent: [.a]).locks.isDouble) }
        for _ in 0..<20 { #expect(Self.look(&scene).locks.isDouble) }
        _ = Self.look(&scene, elsewhere: [.b])
        for _ in 0..<20 { #expect(Self.look(&scene).locks.isDouble) }
        // Longer than an answer may be late.
        for _ in 0..<6 { #expect(Self.look(&scene, silent: [.a]).locks.isDouble) }
        for _ in 0..<15 { #expect(Self.look(&scene).locks.isDouble) }
        for _ in 0..<5 { #expect(Self.look(&scene, silent: [.a]).locks.isDouble) }
        for _ in 0..<10 { #expect(Self.look(&scene).locks.isDouble) }
        let orders = Self.look(&scene)
        #expect(!orders.locks.isDouble && orders.locks.seesPrimary == .a && !scene.policy.durable.isDouble)
        // It is new to the name.
        for _ in 0..<6 { _ = Self.look(&scene, elsewhere: [.b]) }
        #expect(scene.policy.durable.isDouble)
    }

    @Test func itIsCriticalOnEveryHost() {
        var scene = Scene()
        func diagnosis() -> Diagnosis {
            scene.policy.diagnosis(
                TimedObservation(
                    seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now, now: scene.now
                ))
        }
        _ = Self.look(&scene)
        #expect(diagnosis().exitStatus == 0)
        // Said by the agent that it concerns.
        scene.b = .up(QuorumPolicyTests.replica { $0.quorum?.doubles = ["web2"] })
        #expect(diagnosis().exitStatus == 2 && diagnosis().reason == .nameTwice)
        #expect(diagnosis().summary.contains("there are two agents named web2"))
        scene.b = .up(QuorumPolicyTests.replica())
        for _ in 0..<7 { _ = Self.look(&scene, elsewhere: [.b]) }
        #expect(diagnosis().exitStatus == 2 && diagnosis().reason == .nameTwice)
        #expect(diagnosis().summary.contains("goes by the name web1 as well"))
    }

    @Test func itIsKeptOnDisk() {
        var state = DurableStateTests.informed
        state.isDouble = true
        #expect(state.differsInPromises(from: DurableStateTests.informed))
        #expect(DurableStateFile.parse(DurableStateFile.text(state)) == state)
        #expect(DurableStateFile.parse(DurableStateFile.text(DurableStateTests.informed))?.isDouble == false)
    }
}
