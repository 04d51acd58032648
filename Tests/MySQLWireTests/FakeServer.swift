import Foundation
import Glibc
import Synchronization

@testable import MySQLWire

/// A server in this process, over a real socket of loopback, that does exactly what a test tells it.
/// The script runs on a thread of its own for each connection; it ends when the client closes.
final class FakeServer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let bytesReceived = Mutex<[UInt8]>([])
    private let connections = Mutex(0)
    private let stalled = Mutex(false)

    var options: ConnectionOptions {
        var options = ConnectionOptions(
            address: .tcp(host: "127.0.0.1", port: port), user: "watchdog", password: Secret("secret"))
        options.tls = .disabled
        options.preparesSession = false
        return options
    }

    /// All that clients have sent so far.
    var received: [UInt8] { bytesReceived.withLock { $0 } }
    /// Connections whose client has not gone yet.
    var openConnections: Int { connections.withLock { $0 } }
    /// Whether a script has come to the place where it stalls.
    var hasStalled: Bool { stalled.withLock { $0 } }

    init(_ script: @escaping @Sendable (Peer) throws -> Void) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard bind(listener, pointer, size) == 0, listen(listener, 16) == 0 else { return Int32(-1) }
                return getsockname(listener, pointer, &size)
            }
        }
        guard status == 0 else { throw Closed() }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        Thread { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                // A signal is no reason to stop.
                if connection < 0, errno == EINTR { continue }
                guard connection >= 0 else {
                    // Closed here and nowhere else: were it closed by `stop`, this thread could go on to accept on the
                    // listener of another test, which was given the same number.
                    close(listener)
                    return
                }
                connections.withLock { $0 += 1 }
                let peer = Peer(connection) { [self] bytes in
                    bytesReceived.withLock { $0 += bytes }
                } reached: { [self] in
                    stalled.withLock { $0 = true }
                }
                let thread = Thread { [self] in
                    try? script(peer)
                    peer.close()
                    connections.withLock { $0 -= 1 }
                }
                thread.start()
            }
        }.start()
    }

    /// No further connections.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    struct Closed: Error {}

    /// One connection, seen from the server.
    final class Peer: Sendable {
        let descriptor: Int32
        private let note: @Sendable ([UInt8]) -> Void
        /// To be called by a script that does not end in `stall`.
        let reached: @Sendable () -> Void

        init(
            _ descriptor: Int32, note: @escaping @Sendable ([UInt8]) -> Void, reached: @escaping @Sendable () -> Void
        ) {
            self.descriptor = descriptor
            self.note = note
            self.reached = reached
            var on: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(4))
        }

        func send(_ bytes: [UInt8]) throws {
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Closed() }
                sent += count
            }
        }

        /// Each byte in a segment of its own.
        func sendSlowly(_ bytes: [UInt8]) throws {
            for byte in bytes {
                try send([byte])
                usleep(200)
            }
        }

        private func receive(_ count: Int) throws -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            var got = 0
            while got < count {
                let more = bytes.withUnsafeMutableBytes {
                    recv(descriptor, $0.baseAddress.map { $0 + got }, count - got, 0)
                }
                if more < 0, errno == EINTR { continue }
                guard more > 0 else { throw Closed() }
                got += more
            }
            note(bytes)
            return bytes
        }

        /// The client's next packet.
        @discardableResult
        func packet() throws -> (sequence: UInt8, payload: [UInt8]) {
            let head = try receive(4)
            let length = Int(head[0]) | Int(head[1]) << 8 | Int(head[2]) << 16
            return (head[3], try receive(length))
        }

        /// Says nothing more and waits until the client has gone.
        func stall() {
            reached()
            while (try? receive(1)) != nil {}
        }

        /// Greets and lets the client in, by the fast path.
        func letIn() throws {
            try send(frame(0, Packets.greeting()))
            try packet()
            try send(frame(2, [1, 3]) + frame(3, Packets.ok()))
        }

        func close() { Glibc.close(descriptor) }
    }
}
