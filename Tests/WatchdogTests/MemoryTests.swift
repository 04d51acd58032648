import MySQLWire
import Testing

@testable import Watchdog

/// An agent that finds no state file: what it had promised, or others had decided, may be known to a silent server alone.
@Suite("An agent without memory") struct MemoryTests {
    private typealias Scene = QuorumPolicyTests.Scene

    private static let silent = ServerView.downSoft("silent")

    private static func waits(_ orders: Orders) -> Bool {
        if case .none(let reason) = orders.step { reason.code == .withoutMemory } else { false }
    }

    @Test func itGivesNothingWhileAServerIsSilent() {
        for gone in ServerID.allCases {
            var scene = Scene(knows: false)
            if gone == .a { scene.a = Self.silent } else { scene.b = Self.silent }
            for _ in 0..<20 {
                let orders = scene.look(1_000)
                #expect(orders.locks == Orders.Locks() && Self.waits(orders))
                if gone == .b {
                    #expect(orders.router == .close || scene.now <= scene.policy.rules.unseenLease + 1_000)
                }
            }
            #expect(!scene.policy.durable.isInformed)
            scene.a = .up(QuorumPolicyTests.primary())
            scene.b = .up(QuorumPolicyTests.replica())
            let orders = scene.look(1_000)
            #expect(orders.locks.seesPrimary == .a && orders.router == .point(to: .a))
            #expect(scene.policy.durable.isInformed)
        }
    }

    /// The replica says that nobody leads a failover: no more is needed for a router.
    @Test func itsRouterFollowsTheReplicasWord() {
        var scene = Scene(knows: false)
        scene.a = Self.silent
        #expect(scene.look().router == .keep)
    }

    @Test func whatItHasSeenOfOneServerIsNotKept() {
        var scene = Scene(knows: false)
        scene.a = .up(QuorumPolicyTests.primary { $0.promotion = Promotion(epoch: 4, primary: Fixture.uuidA) })
        scene.b = Self.silent
        _ = scene.look()
        #expect(scene.policy.durable.primary == Fixture.uuidA)
        // Another machine had that address.
        scene.a = Self.silent
        scene.b = .up(
            QuorumPolicyTests.primary {
                ($0.uuid, $0.promotion) = (Fixture.uuidB, Promotion(epoch: 2, primary: Fixture.uuidB))
            })
        _ = scene.look()
        #expect(scene.policy.durable.primary == Fixture.uuidB && scene.policy.durable.epoch == 2)
    }

    @Test func anOperatorsWordIsEnough() {
        var scene = Scene(knows: false)
        scene.b = Self.silent
        _ = scene.look()
        scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.trustAsked = true })
        #expect(scene.look().locks.seesPrimary == .a)
        scene.a = .up(QuorumPolicyTests.primary())
        #expect(scene.look().locks.seesPrimary == .a && scene.policy.durable.isInformed)
    }

    /// Rows of its own say what it has promised.
    @Test func itRemembersAPromiseByItsRows() {
        for signal in [Signal.folo(host: "web1"), .mast(host: "web1")] {
            var scene = Scene(knows: false)
            let rows = [
                LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 2, session: 8),
                LedgerRow(id: 2, signal: signal, agent: "web1", epoch: 2, session: 9, alive: false),
            ]
            scene.b = .up(QuorumPolicyTests.replica(votes: [1], receiver: .off) { $0.ledger = rows })
            let orders = scene.look()
            #expect(scene.policy.durable.promise == DurableState.Promise(epoch: 2, on: .b))
            #expect(orders.locks.seesPrimary == nil && orders.router != .point(to: .a))
            // It is over.
            scene.b = .up(QuorumPolicyTests.replica())
            _ = scene.look()
            #expect(scene.policy.durable.promise == nil)
        }
        // Others' rows, and those of an operation that a promotion has ended, are none of its promises.
        var scene = Scene(knows: false)
        scene.b = .up(
            QuorumPolicyTests.replica {
                $0.ledger = [LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 2, session: 8)]
            })
        _ = scene.look()
        #expect(scene.policy.durable.promise == nil)
    }

    /// Of two servers that have nothing in common nobody knows which one is a stranger.
    @Test func itDoesNotTellAStrangerFromAMember() {
        func scene(trusted: Bool) -> Scene {
            var scene = Scene(knows: false)
            scene.a = .up(
                QuorumPolicyTests.primary {
                    $0.schemas = ["shop"]
                    $0.quorum?.trustAsked = trusted
                })
            scene.b = .up(
                QuorumPolicyTests.replica {
                    ($0.channels, $0.schemas) = ([], ["blog"])
                    $0.executed = GTIDSet("\(Fixture.uuidB):1-3") ?? GTIDSet()
                })
            return scene
        }
        var unknown = scene(trusted: false)
        let orders = unknown.look()
        #expect(orders.locks == Orders.Locks() && !unknown.policy.durable.isInformed)
        guard case .none(let why) = orders.step, why.code == .stranger else {
            Issue.record("\(orders.step)")
            return
        }
        var told = scene(trusted: true)
        _ = told.look()
        #expect(told.policy.durable.isInformed && told.policy.durable.uuids[.b] == nil)
    }

    @Test func theFileSaysSo() throws {
        var durable = DurableState()
        for isInformed in [false, true] {
            durable.isInformed = isInformed
            let text = DurableStateFile.text(durable)
            #expect(DurableStateFile.parse(text)?.isInformed == isInformed)
        }
        // One that was written before there was such a line began to vote at once.
        let former = DurableStateFile.text(durable).replacing("informed=1\n", with: "")
        #expect(try #require(DurableStateFile.parse(former)).isInformed)
    }
}
