import Synchronization

/// Ends a pause early.
final class Bell: Sendable {
    private struct State {
        var rung = false
        /// The pause that somebody waits in.
        var pause: Task<Void, Never>?
    }
    private let state = Mutex(State())

    func ring() {
        state.withLock {
            if let pause = $0.pause { pause.cancel() } else { $0.rung = true }
        }
    }

    /// Waits until somebody rings, or has rung since the last wait; at most so long. One waits at a time.
    func wait(_ duration: Duration) async {
        let pause = Task { () -> Void in try? await Task.sleep(for: duration) }
        let rung = state.withLock {
            guard !$0.rung else { return true }
            $0.pause = pause
            return false
        }
        if rung { pause.cancel() }
        await withTaskCancellationHandler {
            await pause.value
        } onCancel: {
            pause.cancel()
        }
        // Who rang since the pause was over is heard: what follows a wait is a look.
        state.withLock { $0 = State() }
    }
}
