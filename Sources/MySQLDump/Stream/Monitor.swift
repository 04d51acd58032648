import Synchronization

/// A value that several tasks change, and wait for.
final class Monitor<Value: Sendable>: Sendable {
    private struct Waiter {
        let ready: @Sendable (Value) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct Guarded {
        var value: Value
        var waiters: [Waiter] = []
    }

    private let guarded: Mutex<Guarded>

    init(_ value: Value) { guarded = Mutex(Guarded(value: value)) }

    /// Looks at the value, and wakes nobody.
    func read<Result: Sendable>(_ body: (Value) -> Result) -> Result { guarded.withLock { body($0.value) } }

    /// Changes the value and wakes those for whom it is ready now. Waking all would let those who wait for the same
    /// thing wake each other for ever.
    @discardableResult
    func change<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        let (result, woken) = guarded.withLock { guarded in
            let result = body(&guarded.value)
            if guarded.waiters.isEmpty { return (result, [Waiter]()) }
            let value = guarded.value
            let woken = guarded.waiters.filter { $0.ready(value) }
            if !woken.isEmpty { guarded.waiters.removeAll { $0.ready(value) } }
            return (result, woken)
        }
        for waiter in woken { waiter.continuation.resume() }
        return result
    }

    /// Returns when `ready` held; the value may have changed again since, so the caller looks.
    /// - Parameter onCancel: must change the value so that `ready` holds.
    func wait(until ready: @escaping @Sendable (Value) -> Bool, onCancel: @Sendable () -> Void) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = guarded.withLock { guarded in
                    if ready(guarded.value) { return true }
                    guarded.waiters.append(Waiter(ready: ready, continuation: continuation))
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            onCancel()
        }
    }
}
