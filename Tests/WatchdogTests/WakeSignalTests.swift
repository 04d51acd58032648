import Testing

@testable import Watchdog

/// The model runs beside these and keeps every thread busy for seconds: what is heard at once is told from what is not by
/// a wide margin.
@Suite struct WakeSignalTests {
    @Test func aRingEndsThePauseAtOnceAndServesTheNext() async {
        let wake = WakeSignal()
        wake.raise()
        #expect(await time { await wake.wait(.seconds(300)) } < .seconds(150))
        let waiting = Task { await time { await wake.wait(.seconds(300)) } }
        // Rung before the wait or in it: both are heard.
        wake.raise()
        #expect(await waiting.value < .seconds(150))
        #expect(await time { await wake.wait(.milliseconds(20)) } >= .milliseconds(20))
    }

    @Test func aCancelledWaitEnds() async {
        let wake = WakeSignal()
        let waiting = Task { await time { await wake.wait(.seconds(300)) } }
        waiting.cancel()
        #expect(await waiting.value < .seconds(150))
    }

    private func time(_ body: () async -> Void) async -> Duration {
        await ContinuousClock().measure { await body() }
    }
}
