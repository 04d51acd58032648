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
        var scene = Scene({ ($0.rebuildsPerDay, $0.rebuildsPerCause) = (3, 1) }, durable: durable)
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

    /// Half a copy is of no use as it is: it is made whole, unless its copies fail again and again.
    @Test func anUnfinishedCopyIsFinishedUnlessItFailsAgainAndAgain() {
        let half = Self.replica("1-4") { $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x") }
        func step(leading: Bool, failed: Int) -> Step {
            Self.step(leading: leading, half) {
                $0.quorum?.control.rebuildsToday = 9
                $0.quorum?.control.rebuildCauses = ["b.unfinished-copy": failed]
            }
        }
        guard case .rebuild(.b, .a, .unfinishedCopy) = step(leading: true, failed: 1) else {
            return _ = Issue.record("\(step(leading: true, failed: 1))")
        }
        #expect(step(leading: false, failed: 1) == .scan(on: .a))
        guard case .abort(let why) = step(leading: true, failed: 2) else {
            return _ = Issue.record("\(step(leading: true, failed: 2))")
        }
        #expect(why.code == .copyFails && "\(why)".contains("3 copies within a day"), "\(why)")
        #expect(step(leading: false, failed: 2).reason?.code == .copyFails)
    }

    /// The cause remains, whatever it is: the same error, what somebody writes on the replica, binary logs that go too soon.
    @Test func theSecondOfOneCauseIsLeftToAnOperator() {
        let broken = Self.replica("1-10") { $0.channels[0].applierErrno = 1062 }
        let cases: [(ServerFacts, String, String)] = [
            (broken, "b.replication-broken.1062.0", "b.replication-broken.1032.0"),
            (Self.replica("1-4"), "b.purged-transactions.0", "b.purged-transactions.7"),
        ]
        for (replica, same, other) in cases {
            func step(_ causes: [String: Int]) -> Step {
                Self.step(leading: true, replica) { $0.quorum?.control.rebuildCauses = causes }
            }
            guard case .abort(let why) = step([same: 1]) else { return _ = Issue.record("\(step([same: 1]))") }
            #expect(why.code == .rebuiltTooOften && "\(why)".contains("rebuilt once within a day"), "\(why)")
            guard case .rebuild = step([other: 1]) else { return _ = Issue.record("\(step([other: 1]))") }
        }
    }

    @Test func nothingIsRebuiltWhileTheAgentsArePaused() {
        let step = Self.step(leading: true, Self.replica("1-4")) { $0.quorum?.control.paused = true }
        guard case .abort(let why) = step, why.code == .paused else { return _ = Issue.record("\(step)") }
    }

    /// What passes, and what says nothing of the data, is started again: at once, and then at pauses that grow to a minute.
    @Test(arguments: [1205, 3750]) func anApplierThatStopsAgainAndAgainIsStartedAtPausesThatGrow(_ errno: Int) {
        var durable = DurableState()
        durable.primary = Fixture.uuidA
        var scene = Scene({ _ in }, durable: durable)
        var starts: [Int64] = []
        var isStopped = false
        for _ in 0..<2_000 {
            scene.b = .up(
                Self.replica("1-10") {
                    ($0.channels[0].receiver, $0.channels[0].applierErrno) = (.on, errno)
                    $0.channels[0].stoppedAt = "\(starts.count)"
                })
            let step = scene.look(100).step
            if case .scan(on: .a) = step {
                starts.append(scene.now)
                isStopped = true
            } else if isStopped {
                #expect(step.reason?.code == .applierStops, "\(step)")
            }
        }
        let pauses = zip(starts, starts.dropFirst()).map { $1 - $0 }
        #expect(pauses.prefix(6) == [2_100, 4_100, 8_100, 16_100, 32_100, 60_100], "\(pauses)")
    }

    /// An operator's command has not seen it stop before.
    @Test func whatStopsTheApplierIsNamed() {
        var durable = DurableState()
        (durable.primary, durable.uuids) = (Fixture.uuidA, [.a: Fixture.uuidA, .b: Fixture.uuidB])
        let scene = Scene({ _ in }, durable: durable)
        let replica = Self.replica("1-10") {
            $0.channels[0].receiver = .on
            $0.channels[0].applierErrno = 3750
        }
        let diagnosis = scene.policy.diagnosis(
            TimedObservation(
                seen: Observation(a: scene.a, b: .up(replica), router: .noAnswer("")), askedAt: 0, now: 0, pongB: 0))
        #expect(diagnosis.code == .applierStops && diagnosis.summary.contains("applier error 3750"), "\(diagnosis)")
    }
}
