import Glibc
import Synchronization

/// A connected stream socket: non-blocking system calls, and a slot to wait in between them.
final class Channel: Sendable {
    enum ReadOutcome { case bytes(Int), wouldBlock, endOfStream }

    private struct Descriptor {
        var number: Int32
        var registration: UInt64 = 0
    }

    /// Held during each system call, so that the number cannot be closed and reused under it.
    private let descriptor: Mutex<Descriptor>
    private let reactor: Reactor
    private let slot: WaitSlot

    private init(_ number: Int32, reactor: Reactor) {
        descriptor = Mutex(Descriptor(number: number))
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
        let channel = Channel(number, reactor: reactor)
        if address.family != AF_UNIX { channel.setOptions(number) }
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

    private func setOptions(_ number: Int32) {
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &on, size)
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
        let number = descriptor.withLock { $0.number }
        let id = try reactor.register(number, slot)
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
        return Failure(code, "connect: \(errorText(number))", errno: number)
    }

    /// Waits until the socket may be ready. Ends with `timeout`, `cancelled` or, after `close`, `closed`.
    func wait(for events: WaitSlot.Events, _ deadline: Deadline) async throws(Failure) {
        switch await slot.wait(for: events, until: deadline) {
        case .ready: if slot.latched.contains(.closed) { throw .closedHere }
        case .timeout: throw .timeout
        case .cancelled: throw .cancelled
        }
    }

    /// Whether either side has closed, as far as is known without asking.
    var isClosed: Bool { !slot.latched.isDisjoint(with: [.closed, .peerClosed]) }

    /// Whether bytes (or the end) came that nobody has read yet.
    var mayBeReadable: Bool { !slot.latched.isDisjoint(with: [.readable, .peerClosed]) }

    /// recv(2), without waiting.
    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> ReadOutcome {
        slot.clear(.readable)
        let (count, error): (Int, Int32) = descriptor.withLock { descriptor in
            guard descriptor.number >= 0 else { return (-1, EBADF) }
            while true {
                let count = recv(descriptor.number, buffer.baseAddress, buffer.count, 0)
                if count < 0, errno == EINTR { continue }
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
