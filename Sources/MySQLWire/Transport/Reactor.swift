import CLinux
import Glibc
import Synchronization

/// The one thread that waits in epoll for all connections of the process and keeps their deadlines.
///
/// A descriptor is registered once, edge-triggered, under a number that is never used again, so that an event for a
/// descriptor that was closed and reused in the meantime finds nobody. While a connection waits in a system call of
/// its own (`Channel`), its registration is quiet: it reports the end of the connection and nothing else.
/// https://man7.org/linux/man-pages/man7/epoll.7.html
final class Reactor: Sendable {
    /// Made at first use; the failure (no descriptors, no threads left) is what every connect then throws.
    static let shared: Result<Reactor, Failure> = {
        do throws(Failure) {
            return .success(try Reactor())
        } catch {
            return .failure(error)
        }
    }()

    private struct State {
        var slots: [UInt64: WaitSlot] = [:]
        var lastID: UInt64 = 0
        var timers = TimerHeap()
        /// Descriptors that went since the heap was last cleared of the timers they left.
        var deregistered = 0
        /// Until when epoll_wait sleeps at most; nil: for ever.
        var sleepsUntil: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    private let epoll: Int32
    private let wake: Int32
    private static let wakeID: UInt64 = 0
    /// Connections that wait here now.
    private let waiting = Atomic(0)
    /// Whether one waits in a system call of its own.
    private let isTaken = Atomic(false)
    /// So many timers of closed connections may stand in the heap until they are due.
    static let staleTimers = 256

    /// How much is registered and scheduled, for tests that look for leftovers.
    var census: (registrations: Int, timers: Int) { state.withLock { ($0.slots.count, $0.timers.count) } }

    private init() throws(Failure) {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw Failure(.system, "epoll_create1: \(errorText(errno))", errno: errno) }
        wake = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wake >= 0 else {
            let number = errno
            Glibc.close(epoll)
            throw Failure(.system, "eventfd: \(errorText(number))", errno: number)
        }
        var event = epoll_event(
            events: EPOLLIN.rawValue | EPOLLET.rawValue, data: epoll_data_t(u64: Self.wakeID))
        epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event)
        let status = NativeThread.start { [self] in run() }
        guard status == 0 else {
            Glibc.close(wake)
            Glibc.close(epoll)
            throw Failure(.system, "no thread for the reactor: \(errorText(status))", errno: status)
        }
    }

    /// Starts to report events of a descriptor to a slot.
    /// - Returns: the registration's number, for `deregister`.
    func register(_ descriptor: Int32, _ slot: WaitSlot, quiet: Bool) throws(Failure) -> UInt64 {
        // Map and epoll change under one lock: an event cannot come before its slot can be found.
        let (id, number): (UInt64, Int32) = state.withLock { state in
            state.lastID += 1
            let id = state.lastID
            var event = Self.event(id, quiet: quiet)
            guard epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else { return (0, errno) }
            state.slots[id] = slot
            return (id, 0)
        }
        guard number == 0 else { throw Failure(.system, "epoll_ctl: \(errorText(number))", errno: number) }
        return id
    }

    private static func event(_ id: UInt64, quiet: Bool) -> epoll_event {
        let transfers = quiet ? 0 : EPOLLIN.rawValue | EPOLLOUT.rawValue
        return epoll_event(
            events: transfers | EPOLLRDHUP.rawValue | EPOLLET.rawValue, data: epoll_data_t(u64: id))
    }

    /// Makes a registration quiet, or the opposite: then what is the case already is reported once more.
    func setQuiet(_ quiet: Bool, _ descriptor: Int32, id: UInt64) {
        var event = Self.event(id, quiet: quiet)
        epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event)
    }

    /// Whether a connection may wait in a system call of its own: at most one at a time, and only while no other waits,
    /// for it holds a thread of the pool.
    func takeTurn() -> Bool {
        waiting.load(ordering: .relaxed) == 0
            && isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
    }

    func endTurn() { isTaken.store(false, ordering: .releasing) }

    func beginsToWait() { waiting.add(1, ordering: .relaxed) }
    func endsToWait() { waiting.subtract(1, ordering: .relaxed) }

    /// Must come before the descriptor is closed.
    func deregister(_ descriptor: Int32, id: UInt64) {
        state.withLock { state in
            state.slots[id] = nil
            var event = epoll_event()
            epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
            // Calls that end long before their deadlines must not fill memory until then.
            state.deregistered += 1
            if state.deregistered > max(Self.staleTimers, state.timers.count / 2) {
                state.timers.removeAll { $0.isDone(withTimer: $1) }
                state.deregistered = 0
            }
        }
    }

    /// Calls the slot's `timerFired` at the given instant.
    func schedule(_ slot: WaitSlot, at instant: ContinuousClock.Instant) {
        let mustWake = state.withLock { state in
            state.timers.push(instant, slot)
            if let until = state.sleepsUntil, until <= instant { return false }
            state.sleepsUntil = instant
            return true
        }
        if mustWake {
            var one: UInt64 = 1
            write(wake, &one, 8)
        }
    }

    private func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 128)
        while true {
            let timeout: Int32 = state.withLock { state in
                state.sleepsUntil = state.timers.earliest
                return state.sleepsUntil.map { Self.milliseconds(until: $0) } ?? -1
            }
            let count = epoll_wait(epoll, &events, Int32(events.count), timeout)
            for index in 0..<max(0, Int(count)) {
                deliver(events[index])
            }
            fireTimers()
        }
    }

    /// Rounded up, so that the timer is due when epoll_wait returns.
    private static func milliseconds(until instant: ContinuousClock.Instant) -> Int32 {
        let (seconds, attoseconds) = ContinuousClock.now.duration(to: instant).components
        if seconds < 0 || attoseconds < 0 { return 0 }
        if seconds >= 60 { return 60_000 }
        return Int32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }

    private func deliver(_ event: epoll_event) {
        let id = event.data.u64
        if id == Self.wakeID {
            var value: UInt64 = 0
            read(wake, &value, 8)
            return
        }
        guard let slot = state.withLock({ $0.slots[id] }) else { return }
        var signals: WaitSlot.Events = []
        if event.events & EPOLLIN.rawValue != 0 { signals.insert(.readable) }
        if event.events & EPOLLOUT.rawValue != 0 { signals.insert(.writable) }
        if event.events & EPOLLRDHUP.rawValue != 0 { signals.formUnion([.readable, .peerClosed]) }
        if event.events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
            signals.formUnion([.readable, .writable, .peerClosed])
        }
        slot.signal(signals)
    }

    private func fireTimers() {
        let now = ContinuousClock.now
        while let due = state.withLock({ $0.timers.pop(dueAt: now) }) {
            due.slot.timerFired(at: due.at, now: now)
        }
    }
}

/// The system's text for an error number. glibc's strerror keeps its buffer per thread.
func errorText(_ number: Int32) -> String {
    String(cString: strerror(number))
}
