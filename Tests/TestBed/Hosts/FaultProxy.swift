import CLinux
import Foundation
import Glibc
import Synchronization

/// Stands between one host and one server, for the host's agent and router alike, and does to their connections what
/// middle boxes and half-dead hosts do. It listens under the server's own address in the host's network namespace, so
/// that no configuration knows of it, and goes on from this process's own.
final class FaultProxy: Sendable {
    enum Mode: Sendable, Hashable {
        /// What comes goes on, both ways.
        case forward
        /// Connections are accepted, and that is all.
        case mute
        /// What the client says reaches the server; what the server says is lost.
        case swallow
        /// Nobody listens: connections are refused (RST).
        case refuse
        /// New connections get this error in place of a greeting; those of before go on.
        case turnAway(UInt16, String)
        /// Every piece is so late, both ways.
        case delay(Duration)
    }

    private struct State {
        var mode = Mode.forward
        /// Connections of an older generation are reset.
        var generation = 0
        var listener: ListeningSocket?
        var accepted = 0
    }

    private let network: HostNetwork
    private let server: MySQLServer
    private let host: String
    private let state = Mutex(State())

    /// How many connections it has accepted so far.
    var accepted: Int { state.withLock { $0.accepted } }

    init(_ network: HostNetwork, from host: String, to server: MySQLServer) throws {
        (self.network, self.host, self.server) = (network, host, server)
        try network.divert(server.name, on: host)
        do {
            try listen()
        } catch {
            try? network.divertNoMore(server.name, on: host)
            throw error
        }
    }

    /// - Parameter cut: connections of before are reset; otherwise the new way is theirs as well.
    func set(_ mode: Mode, cut: Bool = false) throws {
        let before = state.withLock { state in
            defer { state.mode = mode }
            if cut || mode == .refuse { state.generation += 1 }
            return state.mode
        }
        if mode == .refuse, before != .refuse { stopListening() }
        if mode != .refuse, before == .refuse { try listen() }
    }

    /// The way is straight again; what went through here is reset.
    func remove() throws {
        state.withLock { $0.generation += 1 }
        stopListening()
        try network.divertNoMore(server.name, on: host)
    }

    // MARK: The listener

    private func listen() throws {
        let path = "/run/netns/\(try network.namespace(host))"
        let (address, port) = (server.place.address, server.port)
        // A thread of its own changes its namespace and ends; its socket stays where it was made.
        let made = Mutex<Result<ListeningSocket, any Error>?>(nil)
        let thread = Thread {
            let namespace = open(path, O_RDONLY | O_CLOEXEC)
            defer { close(namespace) }
            let entered = setns(namespace, 0) == 0
            let listener = Result {
                guard entered else { throw TestBedError("no way into \(path)") }
                return try ListeningSocket(address: address, port: port, backlog: 128)
            }
            made.withLock { $0 = listener }
        }
        thread.start()
        while made.withLock({ $0 == nil }) { usleep(1000) }
        guard let listener = try made.withLock({ try $0?.get() }) else { return }
        state.withLock { $0.listener = listener }
        Thread { [self] in accept(listener) }.start()
    }

    private func stopListening() {
        let listener = state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
        listener?.stop()
    }

    private func accept(_ listener: ListeningSocket) {
        while let client = listener.accept() {
            let generation = state.withLock { state in
                state.accepted += 1
                return state.generation
            }
            Thread { [self] in
                let server = relay(client, generation)
                if server >= 0 { Self.reset(server) }
                Self.reset(client)
            }.start()
        }
    }

    // MARK: One connection

    /// Until either end goes, or it is cut.
    /// - Returns: the socket to the server, or -1.
    private func relay(_ client: Int32, _ generation: Int) -> Int32 {
        var upstream: Int32 = -1
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let (mode, current) = state.withLock { ($0.mode, $0.generation) }
            guard current == generation else { return upstream }
            if upstream < 0, case .turnAway(let number, let why) = mode {
                Self.turnAway(client, number, why)
                return -1
            }
            if upstream < 0, mode != .mute {
                upstream = Self.connected(server.place.address, server.port)
                guard upstream >= 0 else { return -1 }
            }
            // 0x2000 is POLLRDHUP: the end of a client is seen also while nobody reads what it says.
            let wanted = mode == .mute ? Int16(0x2000) : Int16(POLLIN)
            var polled = [
                pollfd(fd: client, events: wanted, revents: 0), pollfd(fd: upstream, events: wanted, revents: 0),
            ]
            guard poll(&polled, 2, 20) >= 0 || errno == EINTR else { return upstream }
            for (index, entry) in polled.enumerated() where entry.revents != 0 {
                guard mode != .mute else { return upstream }
                let count = recv(entry.fd, &buffer, buffer.count, 0)
                guard count > 0 else { return upstream }
                if case .delay(let time) = mode { usleep(UInt32(time / .microseconds(1))) }
                if index == 1, mode == .swallow { continue }
                guard Self.send(buffer[..<count], to: index == 0 ? upstream : client) else { return upstream }
            }
        }
    }

    /// As a server does that lets a host in no more: an ERR packet without an SQLSTATE. Waits until the client has gone, for
    /// a reset could overtake the packet.
    private static func turnAway(_ client: Int32, _ number: UInt16, _ why: String) {
        let body = [0xFF, UInt8(number & 0xFF), UInt8(number >> 8)] + Array(why.utf8)
        let header = [UInt8(body.count & 0xFF), UInt8(body.count >> 8), 0, 0]
        guard send((header + body)[...], to: client) else { return }
        shutdown(client, Int32(SHUT_WR))
        var polled = pollfd(fd: client, events: Int16(0x2000), revents: 0)
        poll(&polled, 1, 1000)
    }

    private static func send(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Closes with a reset: nothing of the connection is left in the namespace.
    private static func reset(_ descriptor: Int32) {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    private static func connected(_ address: String, _ port: UInt16) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        // A server that is cut off or frozen must not keep the thread, nor a client that does not read.
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        guard withAddress(address, port, { connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            return -1
        }
        return descriptor
    }

    private static func withAddress(
        _ text: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, text, &address.sin_addr)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
