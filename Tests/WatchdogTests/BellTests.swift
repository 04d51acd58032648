import Testing

@testable import Watchdog

@Suite struct BellTests {
    @Test func aRingEndsThePauseAtOnceAndIsKeptForTheNext() async {
        let bell = Bell()
        bell.ring()
        #expect(await time { await bell.wait(.seconds(20)) } < .seconds(10))
        let waiting = Task { await time { await bell.wait(.seconds(20)) } }
        // Rung before the wait or in it: both are heard.
        bell.ring()
        #expect(await waiting.value < .seconds(10))
        #expect(await time { await bell.wait(.milliseconds(20)) } >= .milliseconds(20))
    }

    @Test func aCancelledWaitEnds() async {
        let bell = Bell()
        let waiting = Task { await time { await bell.wait(.seconds(20)) } }
        waiting.cancel()
        #expect(await waiting.value < .seconds(10))
    }

    private func time(_ body: () async -> Void) async -> Duration {
        await ContinuousClock().measure { await body() }
    }
}
