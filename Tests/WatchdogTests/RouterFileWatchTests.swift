import Testing

@testable import Watchdog

@Suite("Whether the router's file stays as it was written") struct RouterFileWatchTests {
    @Test("what was right and is not any more is written again; what never was waits for a turn")
    func look() {
        var watch = RouterFileWatch()
        func rewrites(_ id: ServerID, isRight: Bool) -> Bool { watch.look(id, isRight: isRight) }
        #expect(!rewrites(.a, isRight: false))
        #expect(!rewrites(.a, isRight: true))
        #expect(rewrites(.a, isRight: false))
        #expect(rewrites(.a, isRight: false))
        // Right for the other server says nothing of this one.
        #expect(!rewrites(.b, isRight: false))
        #expect(!rewrites(.b, isRight: true))
        #expect(rewrites(.b, isRight: false))
        #expect(!rewrites(.a, isRight: false))
    }

    @Test("said at once, and every ten minutes while it goes on")
    func lines() {
        var watch = RouterFileWatch()
        let due = [0, 5_000, 599_999, 600_000, 605_000, 1_199_999, 1_200_000].filter { watch.isLineDue(at: $0) }
        #expect(due == [0, 600_000, 1_200_000])
    }
}
