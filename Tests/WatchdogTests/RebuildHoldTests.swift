import MySQLWire
import Testing

@testable import Watchdog

/// What keeps a replica from being rebuilt: before an operation is begun, and in it.
@Suite struct RebuildHoldTests {
    private typealias Scene = QuorumPolicyTests.Scene

    /// A replica whose channel says nothing yet; only a rebuild would bring it back, for the primary has purged what it
    /// lacks.
    private static func replica(_ executed: String, _ change: (inout ServerFacts) -> Void = { _ in }) -> ServerFacts {
        QuorumPolicyTests.replica {
            $0.channels[0].receiver = .off
            $0.channels[0].applierRuns = false
            $0.executed = GTIDSet("\(Fixture.uuidA):\(executed)") ?? GTIDSet()
            change(&$0)
        }
    }

    private static func primary(leading: Bool, _ change: (inout ServerFacts) -> Void) -> ServerFacts {
        QuorumPolicyTests.primary {
            $0.purged = GTIDSet("\(Fixture.uuidA):1-8") ?? GTIDSet()
            if leading {
                $0.ledger = [
                    LedgerRow(id: 1, signal: .mast(host: "web1"), agent: "web1", epoch: 2, session: 9),
                    LedgerRow(id: 2, signal: .oper(.recover), agent: "web1", epoch: 2, session: 9),
                ]
            }
            change(&$0)
        }
    }

    private static func step(
        leading: Bool, _ replica: ServerFacts, _ change: (inout ServerFacts) -> Void = { _ in }
    ) -> Step {
        var durable = DurableState()
        durable.primary = Fixture.uuidA
        var scene = Scene({ $0.rebuildsPerDay = 3 }, durable: durable)
        scene.a = .up(primary(leading: leading, change))
        scene.b = .up(replica)
        var local = LocalStatus(agent: "web1")
        if leading { (local.server, local.session, local.holdsLock) = (.a, 9, true) }
        _ = scene.look(100, local)
        return scene.look(100, local).step
    }

    @Test func aReplicaThatLacksWhatWasPurgedIsRebuilt() {
        #expect(Self.step(leading: false, Self.replica("1-4")) == .scan(on: .a))
        guard case .rebuild(.b, .a, .purged) = Self.step(leading: true, Self.replica("1-4")) else {
            Issue.record("\(Self.step(leading: true, Self.replica("1-4")))")
            return
        }
    }

    /// Its channel has not been started, so nothing is broken yet; but it holds what its primary has lost.
    @Test func oneThatHoldsWhatThePrimaryLostIsNot() {
        let replica = Self.replica("1-4:11")
        #expect(Self.step(leading: false, replica).reason?.code == .lostByPrimary)
        guard case .abort(let why) = Self.step(leading: true, replica), why.code == .lostByPrimary else {
            Issue.record("\(Self.step(leading: true, replica))")
            return
        }
    }

    /// Its applier stops again right behind the copy, in the same operation.
    @Test func rebuildsAreCountedWithinAnOperationToo() {
        let broken = Self.replica("1-10") { $0.channels[0].applierErrno = 1062 }
        guard case .rebuild(.b, .a, .replicationBroken) = Self.step(leading: true, broken) else {
            Issue.record("\(Self.step(leading: true, broken))")
            return
        }
        let fourth = Self.step(leading: true, broken) { $0.quorum?.control.rebuildsToday = 3 }
        guard case .abort(let why) = fourth, why.code == .rebuiltTooOften else { return _ = Issue.record("\(fourth)") }
        #expect(
            Self.step(leading: false, broken) { $0.quorum?.control.rebuildsToday = 3 }.reason?.code == .rebuiltTooOften)
    }

    /// A deposed primary that nobody has met since is open: it is closed whatever the holds say, and held after that.
    @Test(arguments: ["1-4:11", "1-10"]) func oneThatTakesWritesIsClosedFirst(_ executed: String) {
        let open = Self.replica(executed) {
            ($0.readOnly, $0.superReadOnly) = (false, false)
            $0.channels[0].applierErrno = 1062
        }
        let many: (inout ServerFacts) -> Void = { $0.quorum?.control.rebuildsToday = 3 }
        #expect(Self.step(leading: false, open, many) == .scan(on: .a))
        #expect(Self.step(leading: true, open, many) == .fence(.b))
        var unreached = open
        unreached.channels[0].applierErrno = 0
        unreached.channels[0].receiver = .connecting
        #expect(Self.step(leading: false, unreached) == .scan(on: .a))
        #expect(Self.step(leading: true, unreached) == .fence(.b))
    }

    /// What brought it here is over with the rebuild, however many there were.
    @Test func aDeposedPrimaryIsRebuiltHoweverOftenTheOtherWas() {
        let step = Self.step(leading: true, Self.replica("1-4")) { $0.quorum?.control.rebuildsToday = 9 }
        guard case .rebuild(.b, .a, .purged) = step else { return _ = Issue.record("\(step)") }
    }

    /// Half a copy is made whole, whatever the count: it is of no use as it is.
    @Test func anUnfinishedCopyIsFinished() {
        let half = Self.replica("1-4") { $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x") }
        let step = Self.step(leading: true, half) { $0.quorum?.control.rebuildsToday = 9 }
        guard case .rebuild(.b, .a, .unfinishedCopy) = step else { return _ = Issue.record("\(step)") }
    }

    @Test func nothingIsRebuiltWhileTheAgentsArePaused() {
        let step = Self.step(leading: true, Self.replica("1-4")) { $0.quorum?.control.paused = true }
        guard case .abort(let why) = step, why.code == .paused else { return _ = Issue.record("\(step)") }
    }
}
