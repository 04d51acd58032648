import Testing

@testable import Watchdog

@Suite struct DurableStateTests {
    static var informed: DurableState {
        var durable = DurableState()
        durable.isInformed = true
        return durable
    }

    /// What an agent acts on must be on disk before; how far the primary was seen may wait.
    @Test func whatIsActedOnIsWrittenBefore() {
        let changes: [(inout DurableState) -> Void] = [
            { $0.epoch = 2 }, { $0.primary = "b" }, { $0.uuids[.b] = "b" }, { $0.sync = true },
            { $0.promise = .init(epoch: 2, on: .b) }, { $0.list.names = ["web1"] },
            { $0.foreign = [AgentList(digest: "x", names: [])] },
        ]
        for (index, change) in changes.enumerated() {
            var changed = DurableState()
            change(&changed)
            #expect(changed.differsInPromises(from: DurableState()), "\(index)")
        }
        var seen = DurableState()
        seen.operation = 4
        seen.executed = GTIDSet("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5") ?? GTIDSet()
        #expect(seen != DurableState() && !seen.differsInPromises(from: DurableState()))
    }

    @Test func aTimerBeginsAnewWithAnotherOperation() {
        var timer = OperationTimer()
        #expect(timer.elapsed(in: 1, now: 100) == 0)
        #expect(timer.elapsed(in: 1, now: 700) == 600)
        #expect(timer.elapsed(in: 2, now: 800) == 0)
        #expect(timer.elapsed(in: 2, now: 900) == 100)
    }
}
