import Foundation
import Glibc
import Synchronization
import TestBed

@testable import MySQLWire

/// A server in this process, over a real socket of loopback, that does exactly what a test tells it.
/// The script runs on a thread of its own for each connection; it ends when the client closes.
final class FakeServer: Sendable {
    private let listener: ListeningSocket
    private let bytesReceived = Mutex<[UInt8]>([])
    private let connections = Mutex(0)
    private let stalled = Mutex(false)

    var port: UInt16 { listener.port }
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
        listener = try ListeningSocket(backlog: 16)
        Thread { [self] in
            while let connection = listener.accept() {
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
    func stop() { listener.stop() }

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
