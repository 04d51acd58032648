import Synchronization

/// Bounds how many servers run at once in one test process. First come, first served; whoever needs several takes
/// them in one go, so that two who each hold half of what they need cannot wait for each other.
final class Throttle: Sendable {
    static let servers = Throttle(permits: 6)

    private struct State {
        var free: Int
        var queue: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }
    private let state: Mutex<State>

    init(permits: Int) { state = Mutex(State(free: permits)) }

    func take(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let atOnce = state.withLock { state in
                if state.queue.isEmpty, state.free >= count {
                    state.free -= count
                    return true
                }
                state.queue.append((count, continuation))
                return false
            }
            if atOnce { continuation.resume() }
        }
    }

    func giveBack(_ count: Int) {
        let ready = state.withLock { state in
            state.free += count
            var ready: [CheckedContinuation<Void, Never>] = []
            while let first = state.queue.first, first.count <= state.free {
                state.free -= first.count
                ready.append(first.continuation)
                state.queue.removeFirst()
            }
            return ready
        }
        for continuation in ready { continuation.resume() }
    }
}
