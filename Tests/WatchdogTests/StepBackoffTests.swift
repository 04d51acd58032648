import Testing

@testable import Watchdog

/// When an agent leaves it to others to begin, and when it gives its part up.
@Suite struct StepBackoffTests {
    private let calledOff = Step.abort(.because(.notNeeded))

    @Test func whoCalledAnOperationOffBeginsNoneForAWhile() {
        var backoff = StepBackoff.quorum
        #expect(!backoff.holdsBack(.scan(on: .a), at: 0))
        backoff.succeeded(calledOff, at: 1_000)
        for step in [Step.scan(on: .a), .lock(on: .a), .master(on: .a)] {
            #expect(backoff.holdsBack(step, at: 3_999) && !backoff.holdsBack(step, at: 4_000), "\(step)")
        }
        // What others lead is followed all the same.
        #expect(!backoff.holdsBack(.follow(on: .a), at: 1_001))
        #expect(!backoff.holdsBack(.fence(.a), at: 1_001))
    }

    @Test func threeFailuresInARowEndAnAgentsPart() {
        var backoff = StepBackoff.quorum
        let first = [0, 1].map { backoff.failed(at: $0) }
        backoff.succeeded(.follow(on: .a), at: 2)
        let second = [3, 4].map { backoff.failed(at: $0) }
        #expect(first + second == [false, false, false, false] && !backoff.holdsBack(.scan(on: .b), at: 5))
        let third = backoff.failed(at: 5)
        #expect(third)
        #expect(backoff.holdsBack(.scan(on: .b), at: 10_004) && !backoff.holdsBack(.scan(on: .b), at: 10_005))
        // It begins to count anew.
        let anew = backoff.failed(at: 20_000)
        #expect(!anew)
    }

    @Test func whatFailsTheNextTimeTooIsNotTriedAgain() {
        var backoff = StepBackoff.routerLed
        let givesUp = backoff.failed(hopeless: true, at: 0)
        #expect(givesUp)
        #expect(backoff.holdsBack(.lock(on: .a), at: 29_999) && !backoff.holdsBack(.lock(on: .a), at: 30_000))
    }
}

@Suite struct RouterLedPatienceTests {
    private let local = LocalStatus(agent: "web1", server: .a, session: 1, holdsLock: true)
    private let waits = Step.wait(.until(.others))

    @Test func aRouterThatFailedThriceIsTriedAgainAfterAMinute() {
        var patience = RouterLedPatience()
        for time in [0, 10, 20] as [Int64] {
            let hasFailed = patience.routerFailed(at: time)
            // It is no reason to give the servers' operation up.
            let givesUp = patience.failed(.route(to: .a), hopeless: false, at: time)
            #expect(!hasFailed && !givesUp)
        }
        let later = [21, 60_020, 60_021, 60_022].map { patience.routerFailed(at: $0) }
        #expect(later == [true, true, false, false])
    }

    @Test func aRouterThatWasTurnedCountsAnew() {
        var patience = RouterLedPatience()
        for time in [0, 1] as [Int64] { _ = patience.failed(.route(to: .a), hopeless: false, at: time) }
        patience.succeeded(.route(to: .a), at: 2)
        _ = patience.failed(.route(to: .a), hopeless: false, at: 3)
        let hasFailed = patience.routerFailed(at: 4)
        #expect(!hasFailed)
    }

    @Test func aMasterThatWaitsForTheSameTooLongHandsOver() {
        var patience = RouterLedPatience()
        let answers = [0, 90_000, 90_001].map { patience.admit(waits, local, at: $0) }
        #expect(answers == [waits, waits, nil])
        // Others have time to begin.
        guard case .wait(.until(.othersToTry))? = patience.admit(.scan(on: .a), local, at: 90_002) else {
            Issue.record("it begins at once")
            return
        }
        let late = patience.admit(.scan(on: .a), local, at: 120_001)
        #expect(late == .scan(on: .a))
    }

    @Test func whoeverGetsOnOrDoesNotLeadWaitsAsLongAsItTakes() {
        var patience = RouterLedPatience()
        let follower = LocalStatus(agent: "web2", server: .a, session: 2)
        let follows = [0, 100_000, 300_000].map { patience.admit(waits, follower, at: $0) }
        #expect(follows == [waits, waits, waits])
        let other = Step.wait(.until(.router))
        for time in [400_000, 500_000] as [Int64] {
            let answers = [patience.admit(waits, local, at: time), patience.admit(other, local, at: time + 50_000)]
            #expect(answers == [waits, other])
        }
    }

    @Test func onlyAReplicaThatNothingWasDoneToIsPutBack() {
        let rows = [
            LedgerRow(id: 1, signal: .mast(host: "web1"), agent: "web1", epoch: 3, session: 1),
            LedgerRow(id: 2, signal: .oper(.recover), agent: "web1", epoch: 3, session: 1),
        ]
        var seen = Fixture.healthy()
        seen[.a] = .up(Fixture.facts(.a) { $0.ledger = rows })
        #expect(RouterLedPatience.putsBack(seen.activeLedger, seen, on: .a))
        #expect(!RouterLedPatience.putsBack(seen.activeLedger, seen, on: .b))
        #expect(!RouterLedPatience.putsBack(nil, seen, on: .a))
        seen[.b] = .up(
            Fixture.facts(.b) { $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 3, saved: "x") })
        #expect(!RouterLedPatience.putsBack(seen.activeLedger, seen, on: .a))
    }
}
