import MySQLWire
import Testing

@testable import Watchdog

/// A planned change closes the primary only for a replica that is close behind.
@Suite("How far a replica is behind") struct ApplyLagTests {
    private static func set(_ last: Int) -> GTIDSet { GTIDSet("\(Fixture.uuidA):1-\(last)") ?? GTIDSet() }

    @Test func timeCountsAndNotTheNumberOfTransactions() {
        var lag = ApplyLag()
        lag.note(primary: Self.set(5_000), replica: Self.set(10), at: 1_000)
        #expect(lag.milliseconds(at: 1_000) == 0)
        // One transaction that takes long is as bad as many.
        lag.note(primary: Self.set(5_001), replica: Self.set(4_999), at: 3_000)
        #expect(lag.milliseconds(at: 3_000) == 2_000)
        lag.note(primary: Self.set(5_001), replica: Self.set(5_000), at: 4_000)
        #expect(lag.milliseconds(at: 4_500) == 500)
        lag.note(primary: Self.set(5_001), replica: Self.set(5_001), at: 5_000)
        #expect(lag.milliseconds(at: 60_000) == 0)
    }

    /// What one primary had is not waited for under another one, which may have lost it.
    @Test func itBeginsAnewWhereThePrimaryLacksWhatWasWaitedFor() {
        var lag = ApplyLag()
        lag.note(primary: Self.set(20), replica: Self.set(10), at: 1_000)
        lag.note(primary: Self.set(15), replica: Self.set(10), at: 9_000)
        #expect(lag.milliseconds(at: 9_000) == 0)
        lag.note(primary: Self.set(15), replica: Self.set(10), at: 10_000)
        #expect(lag.milliseconds(at: 10_000) == 1_000)
    }

    /// web1 is asked for a switchover to b, which applies slowly.
    private struct Switchover {
        var scene = QuorumLeadTests.scene()

        mutating func look(
            _ primary: Int, _ replica: Int, leads: Bool = false, delay: Int = 0, isClosed: Bool = false,
            after: Int64 = 1_000
        ) -> Step {
            scene.a = .up(
                QuorumPolicyTests.primary {
                    $0.executed = ApplyLagTests.set(primary)
                    ($0.readOnly, $0.superReadOnly) = (isClosed, isClosed)
                })
            scene.b = .up(
                QuorumPolicyTests.replica {
                    $0.executed = ApplyLagTests.set(replica)
                    $0.channels[0].delay = delay
                    if leads { $0.ledger = QuorumLeadTests.rows(.failover, on: .b) }
                    $0.quorum?.switchoverAsked = true
                })
            if leads { scene.policy.durable.promise = .init(epoch: 3, on: .b) }
            return scene.look(after, leads ? QuorumLeadTests.leader(on: .b) : LocalStatus(agent: "web1")).step
        }
    }

    /// Nobody turns away before: a router that has, has no lease.
    @Test func aSwitchoverIsNotBegunForAReplicaThatIsLate() {
        var switchover = Switchover()
        #expect(switchover.look(20, 10) == .scan(on: .b))
        #expect(switchover.look(30, 10, after: 2_000) == .scan(on: .b))
        #expect(switchover.look(40, 10) == .none(.switchoverBlocked(.late(.b, milliseconds: 3_000), also: nil)))
        #expect(switchover.look(50, 20) == .scan(on: .b))
        _ = switchover.look(50, 20, after: 30_000)
        #expect(switchover.look(50, 20, delay: 600) == .scan(on: .b), "the operation takes the delay off")
    }

    @Test func thePrimaryIsNotClosedForOneThatHasBecomeLate() {
        var switchover = Switchover()
        _ = switchover.look(20, 10)
        #expect(switchover.look(30, 10, leads: true, after: 2_000) == .fence(.a))
        #expect(switchover.look(30, 10, leads: true, delay: 600, after: 100) == .drain(from: .a, to: .b))
        let end = switchover.look(31, 10, leads: true, after: 1)
        guard case .abort(let why) = end, why.code == .catchUpTimeout else {
            Issue.record("\(end)")
            return
        }
        // One that is closed is not left so for nothing.
        #expect(switchover.look(31, 10, leads: true, isClosed: true, after: 1) == .drain(from: .a, to: .b))
    }
}
