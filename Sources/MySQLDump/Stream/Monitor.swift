import Synchronization

/// A value that several tasks change, and wait for.
final class Monitor<Value: Sendable>: Sendable {
    private struct Guarded {
        var value: Value
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let guarded: Mutex<Guarded>

    init(_ value: Value) { guarded = Mutex(Guarded(value: value)) }

    /// Changes the value and wakes everyone who waits for it.
    @discardableResult
    func change<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        let (result, waiters) = guarded.withLock { guarded in
            let result = body(&guarded.value)
            let waiters = guarded.waiters
            guarded.waiters = []
            return (result, waiters)
        }
        for waiter in waiters { waiter.resume() }
        return result
    }

    /// Returns when `ready` held or something was changed; the caller looks again.
    /// - Parameter onCancel: must change the value so that the caller goes on.
    func wait(until ready: @Sendable (Value) -> Bool, onCancel: @Sendable () -> Void) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = guarded.withLock { guarded in
                    if ready(guarded.value) { return true }
                    guarded.waiters.append(continuation)
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            onCancel()
        }
    }
}
