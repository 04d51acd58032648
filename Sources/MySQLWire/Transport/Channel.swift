import CLinux
import Glibc
import Synchronization

/// A connected stream socket: non-blocking system calls, and a slot to wait in between them.
///
/// Where the peer has been answering within microseconds, as over loopback, a wait begins on the task's own thread, for
/// `patience` at most: the way over the reactor's thread would cost two changes of threads, more than the answer itself
/// takes. It looks again and again for some microseconds where that has been enough (to fall asleep and be woken takes
/// longer), then it sleeps in ppoll. A reply that has become long is waited for in larger pieces.
final class Channel: Sendable {
    enum ReadOutcome { case bytes(Int), wouldBlock, endOfStream }

    private struct Descriptor {
        var number: Int32
        var registration: UInt64 = 0
        var isQuiet: Bool
        /// Whether the last wait was shorter than `patience`.
        var isBrisk: Bool
        /// Whether the last read took all there was, and nothing is known of more.
        var isDrained = true
        /// Whether the system calls it readable only when much has come (SO_RCVLOWAT).
        var isBulk = false
        /// Waits that did not suspend the task.
        var turns = 0
        /// How many of the last ones were not over within `glance`.
        var missed = 0
    }

    /// Longest wait on the task's own thread.
    private static let patience = Duration.microseconds(200)
    /// How long it is looked for the answer without sleeping, where another core may be making it.
    private static let glance = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 ? Duration.microseconds(40) : .zero
    /// What is waited for at once of a long reply, in bytes.
    private static let bulk: Int32 = 64 * 1024
    /// After so many the task makes room for others once.
    private static let turnsInRow = 64

    /// Held during each system call, so that the number cannot be closed and reused under it.
    private let descriptor: Mutex<Descriptor>
    private let reactor: Reactor
    private let slot: WaitSlot

    private init(_ number: Int32, isLocal: Bool, reactor: Reactor) {
        descriptor = Mutex(Descriptor(number: number, isQuiet: isLocal, isBrisk: isLocal))
        self.reactor = reactor
        slot = WaitSlot(reactor: reactor)
    }

    deinit { close() }

    /// Connects a new socket.
    static func connect(to address: SocketAddress, reactor: Reactor, deadline: Deadline) async throws(Failure)
        -> Channel
    {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let number = socket(address.family, type, 0)
        guard number >= 0 else { throw Failure(.system, "socket: \(errorText(errno))", errno: errno) }
        let channel = Channel(number, isLocal: address.isLoopback, reactor: reactor)
        if address.family != AF_UNIX { channel.setOptions(number, isLocal: address.isLoopback) }
        while true {
            let status = address.withPointer { Glibc.connect(number, $0, $1) }
            let error = status == 0 ? 0 : errno
            switch error {
            case 0:
                try channel.register()
                return channel
            case EINPROGRESS, EINTR:
                try channel.register()
                try await channel.finishConnect(deadline)
                return channel
            case EAGAIN where address.family == AF_UNIX:
                // The listener's queue is full, and epoll does not tell when it is not any more.
                try await channel.pause(.milliseconds(2), deadline)
            default:
                throw connectFailure(error)
            }
        }
    }

    private func setOptions(_ number: Int32, isLocal: Bool) {
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &on, size)
        if isLocal { return }
        // Second line behind the deadlines: notices a peer that vanished while a session stands idle.
        setsockopt(number, SOL_SOCKET, SO_KEEPALIVE, &on, size)
        var idle: Int32 = 15
        setsockopt(number, Int32(IPPROTO_TCP), TCP_KEEPIDLE, &idle, size)
        var interval: Int32 = 5
        setsockopt(number, Int32(IPPROTO_TCP), TCP_KEEPINTVL, &interval, size)
        var probes: Int32 = 3
        setsockopt(number, Int32(IPPROTO_TCP), TCP_KEEPCNT, &probes, size)
    }

    private func register() throws(Failure) {
        let (number, isQuiet) = descriptor.withLock { ($0.number, $0.isQuiet) }
        let id = try reactor.register(number, slot, quiet: isQuiet)
        descriptor.withLock { $0.registration = id }
    }

    private func finishConnect(_ deadline: Deadline) async throws(Failure) {
        try await wait(for: .writable, deadline)
        let error: Int32 = descriptor.withLock { descriptor in
            var error: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &error, &size) == 0 else { return errno }
            return error
        }
        if error != 0 { throw Self.connectFailure(error) }
    }

    private func pause(_ duration: Duration, _ deadline: Deadline) async throws(Failure) {
        let outcome = await slot.wait(for: [], until: min(deadline, .after(duration)))
        if outcome == .cancelled { throw .cancelled }
        if deadline.hasPassed { throw .timeout }
    }

    private static func connectFailure(_ number: Int32) -> Failure {
        let code: MySQLError.Code =
            switch number {
            case ECONNREFUSED, ENOENT, ECONNRESET: .refused
            case EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN, ETIMEDOUT: .unreachable
            default: .system
            }
        return Failure(code, errorText(number), errno: number)
    }

    /// Waits until the socket may be ready. Ends with `timeout`, `cancelled` or, after `close`, `closed`.
    /// - Parameter isBulk: whether the end of what is waited for may come 200 µs late.
    func wait(for events: WaitSlot.Events, isBulk: Bool = false, _ deadline: Deadline) async throws(Failure) {
        if waitHere(for: events, isBulk, deadline) {
            if slot.latched.contains(.closed) { throw .closedHere }
            let makesRoom = descriptor.withLock { descriptor in
                descriptor.turns += 1
                return descriptor.turns % Self.turnsInRow == 0
            }
            if makesRoom { await Task.yield() }
            return
        }
        descriptor.withLock { descriptor in
            Self.set(&descriptor, bulk: false)
            guard descriptor.isQuiet, descriptor.number >= 0, descriptor.registration != 0 else { return }
            descriptor.isQuiet = false
            reactor.setQuiet(false, descriptor.number, id: descriptor.registration)
        }
        let start = ContinuousClock.now
        reactor.beginsToWait()
        let outcome = await slot.wait(for: events, until: deadline)
        reactor.endsToWait()
        let isBrisk = start.duration(to: .now) < Self.patience
        descriptor.withLock { $0.isBrisk = isBrisk }
        switch outcome {
        case .ready: if slot.latched.contains(.closed) { throw .closedHere }
        case .timeout: throw .timeout
        case .cancelled: throw .cancelled
        }
    }

    private static func set(_ descriptor: inout Descriptor, bulk: Bool) {
        guard descriptor.isBulk != bulk, descriptor.number >= 0 else { return }
        descriptor.isBulk = bulk
        var least = bulk ? Self.bulk : 1
        setsockopt(descriptor.number, SOL_SOCKET, SO_RCVLOWAT, &least, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Waits on this thread where that is worth it. Held off for so long: `close` from elsewhere.
    /// - Returns: whether the socket may be ready; if not, wait for it in the slot.
    private func waitHere(for events: WaitSlot.Events, _ isBulk: Bool, _ deadline: Deadline) -> Bool {
        descriptor.withLock { descriptor in
            guard descriptor.isBrisk, descriptor.number >= 0, descriptor.registration != 0, reactor.takeTurn() else {
                return false
            }
            defer { reactor.endTurn() }
            if !descriptor.isQuiet {
                descriptor.isQuiet = true
                reactor.setQuiet(true, descriptor.number, id: descriptor.registration)
            }
            Self.set(&descriptor, bulk: isBulk)
            let wanted = events.contains(.writable) ? POLLOUT : POLLIN
            var entry = pollfd(fd: descriptor.number, events: Int16(wanted), revents: 0)
            if !isBulk, descriptor.missed < 4 || descriptor.turns % 16 == 0 {
                let end = ContinuousClock.now.advanced(by: Self.glance)
                repeat {
                    guard poll(&entry, 1, 0) == 0 else {
                        descriptor.missed = 0
                        descriptor.isDrained = false
                        return true
                    }
                } while ContinuousClock.now < end
                descriptor.missed += 1
            }
            let nanoseconds = Int(min(Self.patience, deadline.remaining) / .nanoseconds(1))
            var limit = timespec(tv_sec: 0, tv_nsec: nanoseconds)
            let isReady = ppoll(&entry, 1, &limit, nil) > 0
            // Less than much may have come; where nothing has, the read finds out.
            descriptor.isBrisk = isReady || isBulk
            if descriptor.isBrisk { descriptor.isDrained = false }
            return descriptor.isBrisk
        }
    }

    /// Whether either side has closed, as far as is known without asking.
    var isClosed: Bool { !slot.latched.isDisjoint(with: [.closed, .peerClosed]) }

    /// Whether bytes (or the end) came that nobody has read yet.
    var mayBeReadable: Bool {
        if !slot.latched.isDisjoint(with: [.readable, .peerClosed]) { return true }
        return descriptor.withLock { descriptor in
            guard descriptor.isQuiet, descriptor.number >= 0 else { return false }
            // Nobody tells, so it is asked for.
            var byte: UInt8 = 0
            let count = recv(descriptor.number, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
            if count < 0, errno == EAGAIN { return false }
            descriptor.isDrained = false
            return true
        }
    }

    /// recv(2), without waiting.
    /// - Parameter sparing: whether the caller waits where nothing is there: a call that would most likely find nothing
    ///   is then left out.
    func receive(into buffer: UnsafeMutableRawBufferPointer, sparing: Bool) throws(Failure) -> ReadOutcome {
        let hasNews = !slot.take(.readable).isDisjoint(with: [.readable, .peerClosed, .closed])
        let (count, error): (Int, Int32) = descriptor.withLock { descriptor in
            guard descriptor.number >= 0 else { return (-1, EBADF) }
            if sparing, descriptor.isDrained, !hasNews { return (-1, EAGAIN) }
            while true {
                let count = recv(descriptor.number, buffer.baseAddress, buffer.count, 0)
                if count < 0, errno == EINTR { continue }
                descriptor.isDrained = count < buffer.count && count != 0
                if count < 0, sparing { descriptor.isBrisk = false }
                return (count, count < 0 ? errno : 0)
            }
        }
        if count > 0 { return .bytes(count) }
        if count == 0 { return .endOfStream }
        switch error {
        case EAGAIN: return .wouldBlock
        case EBADF: throw .closedHere
        case ECONNRESET, EPIPE: throw Failure(.closed, "the connection was reset by the server", errno: error)
        case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH:
            throw Failure(.unreachable, "recv: \(errorText(error))", errno: error)
        default: throw Failure(.system, "recv: \(errorText(error))", errno: error)
        }
    }

    /// send(2), without waiting and without SIGPIPE.
    /// - Returns: how many bytes went out; 0 if none can now.
    func send(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Int {
        slot.clear(.writable)
        let (count, error): (Int, Int32) = descriptor.withLock { descriptor in
            guard descriptor.number >= 0 else { return (-1, EBADF) }
            while true {
                let count = Glibc.send(descriptor.number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
                if count < 0, errno == EINTR { continue }
                return (count, count < 0 ? errno : 0)
            }
        }
        if count >= 0 { return count }
        switch error {
        case EAGAIN: return 0
        case EBADF: throw .closedHere
        case ECONNRESET, EPIPE: throw Failure(.closed, "the connection was reset by the server", errno: error)
        case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH:
            throw Failure(.unreachable, "send: \(errorText(error))", errno: error)
        default: throw Failure(.system, "send: \(errorText(error))", errno: error)
        }
    }

    /// Closes at once; a task that waits wakes up. Safe from any thread, any number of times.
    func close() {
        descriptor.withLock { descriptor in
            guard descriptor.number >= 0 else { return }
            if descriptor.registration != 0 {
                reactor.deregister(descriptor.number, id: descriptor.registration)
            }
            Glibc.close(descriptor.number)
            descriptor.number = -1
        }
        slot.signal(.closed)
    }
}
