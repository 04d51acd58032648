import Synchronization

/// The place where one task waits for one thing: readiness of a descriptor or the end of a lookup. Readiness, the
/// deadline and cancellation race for the continuation under one lock; who takes it resumes it, exactly once.
///
/// Events that come while nobody waits are latched, because an edge-triggered epoll reports them only once. The user
/// clears an event before the system call that would use it up, so that an event after the call is never lost.
final class WaitSlot: Sendable {
    struct Events: OptionSet, Sendable {
        let rawValue: UInt8
        static let readable = Events(rawValue: 1)
        static let writable = Events(rawValue: 2)
        /// The peer has closed its side. Never cleared; satisfies a wait for `readable`.
        static let peerClosed = Events(rawValue: 4)
        /// Closed on our side. Never cleared; satisfies every wait.
        static let closed = Events(rawValue: 8)
    }

    enum Outcome: Sendable { case ready, timeout, cancelled }

    private struct State {
        var latched: Events = []
        var interest: Events = []
        var continuation: UnsafeContinuation<Outcome, Never>?
        var deadline = ContinuousClock.now
        /// The earliest entry in the reactor's heap that still counts for this slot.
        var timer: ContinuousClock.Instant?
        var turn: UInt64 = 0
    }

    private let state = Mutex(State())
    private let reactor: Reactor

    init(reactor: Reactor) {
        self.reactor = reactor
    }

    var latched: Events { state.withLock { $0.latched } }

    func clear(_ events: Events) {
        state.withLock { $0.latched.subtract(events) }
    }

    /// Clears events in one step with looking what is latched.
    func take(_ events: Events) -> Events {
        state.withLock { state in
            defer { state.latched.subtract(events) }
            return state.latched
        }
    }

    /// Waits until one of `interest` is latched, the deadline passes or the task is cancelled. One task at a time.
    func wait(for interest: Events, until deadline: Deadline) async -> Outcome {
        let turn = state.withLock { state in
            state.turn &+= 1
            return state.turn
        }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                park(continuation, interest: interest, deadline: deadline.instant, turn: turn)
            }
        } onCancel: {
            finish(.cancelled, turn: turn)
        }
    }

    private func park(
        _ continuation: UnsafeContinuation<Outcome, Never>, interest: Events, deadline: ContinuousClock.Instant,
        turn: UInt64
    ) {
        var wanted = interest.union(.closed)
        if interest.contains(.readable) { wanted.insert(.peerClosed) }
        enum Next { case resume, arm, park }
        let next: Next = state.withLock { state in
            precondition(state.continuation == nil, "two tasks wait in one slot")
            if !state.latched.isDisjoint(with: wanted) { return .resume }
            state.continuation = continuation
            state.interest = wanted
            state.deadline = deadline
            // One entry in the heap serves many waits: it is moved on when it comes up too early.
            if let timer = state.timer, timer <= deadline { return .park }
            state.timer = deadline
            return .arm
        }
        switch next {
        case .resume:
            continuation.resume(returning: .ready)
            return
        case .arm:
            reactor.schedule(self, at: deadline)
        case .park:
            break
        }
        // A cancellation before the continuation was stored found nothing to resume.
        if Task.isCancelled { finish(.cancelled, turn: turn) }
    }

    private func finish(_ outcome: Outcome, turn: UInt64) {
        let continuation = state.withLock { state in
            state.turn == turn ? state.continuation.take() : nil
        }
        continuation?.resume(returning: outcome)
    }

    /// Latches events and wakes the waiting task if it waits for one of them.
    func signal(_ events: Events) {
        let continuation: UnsafeContinuation<Outcome, Never>? = state.withLock { state in
            state.latched.formUnion(events)
            guard state.continuation != nil, !state.interest.isDisjoint(with: state.latched) else { return nil }
            return state.continuation.take()
        }
        continuation?.resume(returning: .ready)
    }

    /// Whether nobody needs the reactor's entry of `at`; then it counts no more, and the next wait makes a new one.
    func isDone(withTimer at: ContinuousClock.Instant) -> Bool {
        state.withLock { state in
            guard state.timer == at else { return true }
            guard state.continuation == nil else { return false }
            state.timer = nil
            return true
        }
    }

    /// Called by the reactor when the entry of `at` came up.
    func timerFired(at: ContinuousClock.Instant, now: ContinuousClock.Instant) {
        enum Next {
            case nothing
            case rearm(ContinuousClock.Instant)
            case timeout(UnsafeContinuation<Outcome, Never>)
        }
        let next: Next = state.withLock { state in
            guard state.timer == at else { return .nothing }
            state.timer = nil
            guard state.continuation != nil else { return .nothing }
            if state.deadline > now {
                state.timer = state.deadline
                return .rearm(state.deadline)
            }
            guard let continuation = state.continuation.take() else { return .nothing }
            return .timeout(continuation)
        }
        switch next {
        case .nothing: break
        case .rearm(let instant): reactor.schedule(self, at: instant)
        case .timeout(let continuation): continuation.resume(returning: .timeout)
        }
    }
}
