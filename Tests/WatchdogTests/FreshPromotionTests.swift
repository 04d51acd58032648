import MySQLWire
import Testing

@testable import Watchdog

/// A follower and the record of the promotion that it follows: the announcement and the record come a few milliseconds
/// one after the other, and most agents meet both in one look.
@Suite("A follower meets the promotion") struct FreshPromotionTests {
    /// web2 leads a failover to b, this agent has promised; the next look finds b promoted and not open yet.
    private func orders(lookedAgoWithout age: Int64, promoted uuid: String = Fixture.uuidB) -> Orders {
        var durable = DurableState()
        durable.primary = Fixture.uuidA
        durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
        durable.promise = DurableState.Promise(epoch: 7, on: .b)
        var scene = QuorumPolicyTests.Scene(durable: durable)
        let mast = LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 7, session: 9)
        scene.a = .downHard("refused")
        let failoverAttempt = QuorumPolicyTests.replica(votes: [0, 1, 2], receiver: .connecting) { $0.ledger = [mast] }
        scene.b = .up(failoverAttempt)
        for _ in 0..<3 { _ = scene.look() }
        scene.b = .up(
            QuorumPolicyTests.replica(votes: [0, 1, 2]) {
                $0.ledger = [
                    mast, LedgerRow(id: 2, signal: .oper(.failover), agent: "web2", epoch: 7, session: 9),
                    LedgerRow(id: 3, signal: .targ(socket: "10.0.0.2:3306"), agent: "web2", epoch: 7, session: 9),
                ]
                $0.channels = []
                $0.promotion = Promotion(epoch: 7, primary: uuid)
            })
        return scene.look(age)
    }

    @Test func itsRouterGoesThereAtOnce() {
        let orders = orders(lookedAgoWithout: 60)
        #expect(orders.router == .point(to: .b) && orders.locks.seesPrimary == .b && orders.locks.vote == nil)
    }

    /// Whoever slept may have missed that the promoted server was replaced in turn.
    @Test func aRecordThatMayBeOldOpensNoRouter() {
        #expect(orders(lookedAgoWithout: 2_001).router == .close)
    }

    /// A process that has just died resets what is on its way in, and refuses a moment later.
    @Test func aPrimaryThatDoesNotLetAnybodyInIsLookedAtAgainAtOnce() {
        var scene = QuorumPolicyTests.Scene()
        #expect(!scene.look().urgent)
        scene.a = .downSoft("reset")
        #expect(scene.look().urgent)
        scene.a = .refusing("too many connections")
        #expect(!scene.look().urgent)
    }
}
