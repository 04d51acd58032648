import Foundation
import Glibc
import Synchronization
import TestBed

@testable import MySQLWire

/// A server for thousands of clients at once, on one thread: it sends its first step to whoever connects, one further
/// step after each packet that it receives, and after the last it says nothing more and waits until the client goes.
final class StallServer: Sendable {
    private let listener: ListeningSocket
    private let connections = Mutex(0)

    var port: UInt16 { listener.port }
    /// Clients that have not gone yet.
    var openConnections: Int { connections.withLock { $0 } }

    private struct Client {
        var step = 0
        /// What has come of the packet under way.
        var pending: [UInt8] = []
    }

    init(steps: [[UInt8]]) throws {
        listener = try ListeningSocket(backlog: 4096, blocks: false)
        Thread { [self] in serve(steps) }.start()
    }

    /// Ends the thread, which closes everything.
    func stop() { listener.stop() }

    private func serve(_ steps: [[UInt8]]) {
        var polled = [pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)]
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
            while let client = listener.accept() {
                _ = fcntl(client, F_SETFL, O_NONBLOCK)
                connections.withLock { $0 += 1 }
                polled.append(pollfd(fd: client, events: Int16(POLLIN), revents: 0))
                clients.append(Client())
                Self.send(steps, &clients[clients.count - 1], client)
            }
            guard listener.isClosed else { continue }
            for entry in polled.dropFirst() { close(entry.fd) }
            return
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
