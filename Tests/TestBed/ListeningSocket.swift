import Foundation
import Glibc
import Synchronization

/// The listener of a server in this process. Only the thread that accepts closes it, and `stop` touches it only while
/// it is open: a number that is free is given to the next socket of any test, which a second `shutdown` would end.
public final class ListeningSocket: Sendable {
    public let port: UInt16
    private let number: Mutex<Int32>

    /// - Parameters:
    ///   - port: 0: any that is free.
    ///   - blocks: whether `accept` waits.
    public init(address: String = "127.0.0.1", port: UInt16 = 0, backlog: Int32 = 64, blocks: Bool = true) throws {
        let flags = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | (blocks ? 0 : SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_INET, Int32(flags), 0)
        guard descriptor >= 0 else { throw TestBedError("no socket: errno \(errno)") }
        var one: Int32 = 1
        if port != 0 { setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size)) }
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = port.bigEndian
        place.sin_addr.s_addr = inet_addr(address)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listens = withUnsafeMutablePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                bind(descriptor, place, size) == 0 && listen(descriptor, backlog) == 0
                    && getsockname(descriptor, place, &size) == 0
            }
        }
        guard listens else {
            let cause = errno
            close(descriptor)
            throw TestBedError("no listener on \(address):\(port): errno \(cause)")
        }
        self.port = UInt16(bigEndian: place.sin_port)
        number = Mutex(descriptor)
    }

    /// For `poll`, by the thread that accepts.
    public var descriptor: Int32 { number.withLock { $0 } }

    /// The next client; nil once it is stopped, or where it does not block and nobody waits. One thread calls this.
    public func accept() -> Int32? {
        let listener = descriptor
        while listener >= 0 {
            let client = Glibc.accept(listener, nil, nil)
            if client >= 0 {
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                return client
            }
            if errno == EAGAIN { return nil }
            // A signal, or a client that has gone already, is no reason to stop.
            guard errno == EINTR || errno == ECONNABORTED else { break }
        }
        closeNow()
        return nil
    }

    /// Whether `accept` has seen the end.
    public var isClosed: Bool { descriptor < 0 }

    /// No further connections: wakes the thread that accepts, which closes it. Any number of times, from any thread.
    public func stop() {
        number.withLock { if $0 >= 0 { shutdown($0, Int32(SHUT_RDWR)) } }
    }

    private func closeNow() {
        number.withLock { number in
            if number >= 0 { close(number) }
            number = -1
        }
    }
}
