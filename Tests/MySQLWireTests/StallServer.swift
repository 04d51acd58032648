import Foundation
import Glibc
import Synchronization

@testable import MySQLWire

/// A server for thousands of clients at once, on one thread: it sends its first step to whoever connects, one further
/// step after each packet that it receives, and after the last it says nothing more and waits until the client goes.
final class StallServer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let connections = Mutex(0)

    /// Clients that have not gone yet.
    var openConnections: Int { connections.withLock { $0 } }

    private struct Client {
        var step = 0
        /// What has come of the packet under way.
        var pending: [UInt8] = []
    }

    init(steps: [[UInt8]]) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let listener = socket(AF_INET, flags, 0)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard bind(listener, pointer, size) == 0, listen(listener, 4096) == 0 else { return Int32(-1) }
                return getsockname(listener, pointer, &size)
            }
        }
        guard status == 0 else { throw FakeServer.Closed() }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        Thread { [self] in serve(steps) }.start()
    }

    /// Ends the thread, which closes everything.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func serve(_ steps: [[UInt8]]) {
        var polled = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        var clients = [Client()]
        var room = [UInt8](repeating: 0, count: 4096)
        while true {
            poll(&polled, nfds_t(polled.count), -1)
            for index in polled.indices.dropFirst().reversed() where polled[index].revents != 0 {
                let count = recv(polled[index].fd, &room, room.count, 0)
                if count < 0, errno == EAGAIN { continue }
                guard count > 0 else {
                    close(polled[index].fd)
                    polled.swapAt(index, polled.count - 1)
                    clients.swapAt(index, clients.count - 1)
                    polled.removeLast()
                    clients.removeLast()
                    connections.withLock { $0 -= 1 }
                    continue
                }
                clients[index].pending += room[0..<count]
                Self.answer(&clients[index], steps, polled[index].fd)
            }
            guard polled[0].revents != 0 else { continue }
            while true {
                let client = accept(listener, nil, nil)
                if client < 0, errno == EAGAIN { break }
                guard client >= 0 else {
                    for entry in polled { close(entry.fd) }
                    return
                }
                _ = fcntl(client, F_SETFL, O_NONBLOCK)
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                connections.withLock { $0 += 1 }
                polled.append(pollfd(fd: client, events: Int16(POLLIN), revents: 0))
                clients.append(Client())
                Self.send(steps, &clients[clients.count - 1], client)
            }
        }
    }

    private static func answer(_ client: inout Client, _ steps: [[UInt8]], _ descriptor: Int32) {
        while client.step < steps.count, client.pending.count >= 4 {
            let pending = client.pending
            let length = 4 + (Int(pending[0]) | Int(pending[1]) << 8 | Int(pending[2]) << 16)
            guard pending.count >= length else { return }
            client.pending.removeFirst(length)
            send(steps, &client, descriptor)
        }
        if client.step >= steps.count { client.pending = [] }
    }

    private static func send(_ steps: [[UInt8]], _ client: inout Client, _ descriptor: Int32) {
        guard client.step < steps.count else { return }
        _ = Glibc.send(descriptor, steps[client.step], steps[client.step].count, Int32(MSG_NOSIGNAL))
        client.step += 1
    }
}
