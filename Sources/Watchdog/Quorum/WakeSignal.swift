import Synchronization

/// Ends a pause early.
final class WakeSignal: Sendable {
    private struct State {
        var raised = false
        /// The pause that somebody waits in.
        var pause: Task<Void, Never>?
    }
    private let state = Mutex(State())

    func raise() {
        state.withLock {
            if let pause = $0.pause { pause.cancel() } else { $0.raised = true }
        }
    }

    /// Waits until somebody raises it, or has done so since the last wait; at most so long. One waits at a time.
    func wait(_ duration: Duration) async {
        let pause = Task { () -> Void in try? await Task.sleep(for: duration) }
        let raised = state.withLock {
            guard !$0.raised else { return true }
            $0.pause = pause
            return false
        }
        if raised { pause.cancel() }
        await withTaskCancellationHandler {
            await pause.value
        } onCancel: {
            pause.cancel()
        }
        // A signal since the end of the pause is not lost: what follows a wait is a look.
        state.withLock { $0 = State() }
    }
}
