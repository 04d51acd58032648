import MySQLWire
import Testing

@testable import Watchdog

/// When this host's router may be open, and on whose word.
@Suite("Quorum mode, the router's lease") struct QuorumLeaseTests {
    private typealias Scene = QuorumPolicyTests.Scene

    private static func durable(promise: Bool = false) -> DurableState {
        var durable = DurableState()
        (durable.primary, durable.sync) = (Fixture.uuidA, true)
        durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
        if promise { durable.promise = DurableState.Promise(epoch: 3, on: .b) }
        return durable
    }

    /// A router that outlives its agent was open all the while; but who has promised has turned away.
    @Test func anAgentThatWasJustStartedKeepsItsRouterUnlessItHasPromised() {
        func router(promise: Bool, bound: Bool = false) -> Orders.Router {
            var scene = Scene({ $0.bound = bound }, durable: Self.durable(promise: promise))
            scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.seesPrimary = AgentSet([1]) })
            scene.b = .downSoft("silent")
            return scene.look().router
        }
        #expect(router(promise: false) == .keep)
        #expect(router(promise: true) == .close)
        // A bound one was closed with the agent.
        #expect(router(promise: false, bound: true) == .close)
    }

    /// The replica's word keeps a router open while the primary does not answer, as long as it is a replica.
    @Test func anOpenReplicaKeepsNoRouterOpen() {
        func router(_ change: (inout ServerFacts) -> Void) -> Orders.Router {
            var scene = Scene({ $0.bound = true }, durable: Self.durable())
            _ = scene.look()
            scene.a = .downSoft("silent")
            var orders = Orders()
            for _ in 0..<4 {
                scene.b = .up(QuorumPolicyTests.replica(change))
                orders = scene.look(800)
            }
            return orders.router
        }
        #expect(router { _ in } == .keep)
        #expect(router { $0.superReadOnly = false } == .keep)
        #expect(router { ($0.readOnly, $0.superReadOnly) = (false, false) } == .close)
        #expect(router { $0.quorum?.unreachable = AgentSet([0]) } == .close)
        #expect(router { $0.promotion = Promotion(epoch: 9, primary: Fixture.uuidB) } == .close)
        let master = LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 3, session: 8)
        #expect(router { $0.ledger = [master] } == .close)
    }

    /// One agent that has lost the primary and leads an attempt does not close the routers of a majority that sees it.
    @Test func anAttemptOfOthersKeepsNobodysLeaseFromBeingRenewed() {
        func routers(_ rows: [LedgerRow]?, sees: [Int] = [0, 1]) -> Set<Orders.Router> {
            var scene = Scene({ $0.bound = true }, durable: Self.durable())
            _ = scene.look()
            scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.seesPrimary = AgentSet(sees) })
            scene.b = .up(QuorumPolicyTests.replica { $0.ledger = rows })
            return Set((0..<10).map { _ in scene.look(800).router })
        }
        let master = LedgerRow(id: 1, signal: .mast(host: "web3"), agent: "web3", epoch: 3, session: 8)
        #expect(routers([master]) == [.point(to: .a)])
        #expect(routers([master], sees: [0]).contains(.close))
    }

    /// Whoever follows a failover turns its router to the new primary before that is open.
    @Test func aFollowersRouterGoesToTheTargetAtOnce() {
        func router(_ rows: [LedgerRow], promise: Bool = true, _ a: ServerView = .downHard("refused")) -> Orders.Router
        {
            var scene = Scene(durable: Self.durable(promise: promise))
            scene.a = a
            scene.b = .up(QuorumPolicyTests.replica(votes: [0, 1], receiver: .off) { $0.ledger = rows })
            return scene.look().router
        }
        let rows = QuorumLeadTests.rows(.failover, on: .b)
        #expect(router(rows) == .point(to: .b))
        #expect(router(rows, promise: false) != .point(to: .b))
        #expect(router(QuorumLeadTests.rows(nil, on: .b)) != .point(to: .b))
        #expect(router(QuorumLeadTests.rows(.recover, on: .b)) != .point(to: .b))
        let elsewhere = rows.map { row in
            var row = row
            if case .targ = row.signal { row.signal = .targ(socket: "10.0.0.9:3306") }
            return row
        }
        #expect(router(elsewhere) != .point(to: .b))
        // While the primary is open and well its clients are left in peace.
        #expect(router(rows, .up(QuorumPolicyTests.primary())) != .point(to: .b))
        let closed = QuorumPolicyTests.primary { ($0.readOnly, $0.superReadOnly) = (true, true) }
        #expect(router(rows, .up(closed)) == .point(to: .b))
    }

    @Test func aLeaseIsNeverShortenedAndHoldsForItsServerOnly() {
        var lease = RouterLease()
        #expect(!lease.isHeld(on: .a, at: 0))
        lease.grant(on: .a, until: 100)
        lease.grant(on: .a, until: 50)
        #expect(lease.isHeld(on: .a, at: 99) && !lease.isHeld(on: .a, at: 100) && !lease.isHeld(on: .b, at: 0))
        lease.grant(on: .b, until: 60)
        #expect(lease.isHeld(on: .b, at: 59) && !lease.isHeld(on: .b, at: 60) && !lease.isHeld(on: .a, at: 0))
    }

    /// A server that stood still answers an old question, with locks that it has not ended yet.
    @Test func aMajorityCountsFromTheAnswer() {
        var scene = QuorumPolicyTests.Scene({ $0.bound = true })
        _ = scene.look()
        func router(asked: Int64, now: Int64, _ a: ServerView) -> Orders.Router {
            scene.policy.decide(
                TimedObservation(
                    seen: Observation(a: a, b: .downSoft("cut off"), router: .noAnswer("")), askedAt: asked, now: now,
                    pongA: now, routerClosed: true), LocalStatus(agent: "web1")
            ).router
        }
        // The lease is over, and nobody answers.
        #expect(router(asked: 10_000, now: 10_000, .downSoft("it stands still")) == .close)
        let primary = ServerView.up(QuorumPolicyTests.primary())
        #expect(router(asked: 10_000, now: 12_000, primary) == .close)
        #expect(router(asked: 15_999, now: 15_999, primary) == .close)
        #expect(router(asked: 16_000, now: 16_000, primary) == .point(to: .a))
    }
}
