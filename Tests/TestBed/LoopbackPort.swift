import Foundation
import Glibc
import Synchronization

/// A free port on loopback, kept from every other test bed on this machine for as long as this value lives: chosen
/// outside the range from which the kernel takes ports for outgoing connections, and locked by a file. So a server
/// that was killed finds its port free when it is started again.
final class LoopbackPort: Sendable {
    let number: UInt16
    private let lock: Int32

    init() throws {
        let folder = try ServerFiles.located().ports
        for _ in 0..<500 {
            let number = UInt16.random(in: 13_000..<32_000)
            let lock = open("\(folder)/\(number)", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
            guard lock >= 0 else { continue }
            if flock(lock, LOCK_EX | LOCK_NB) == 0, Self.isFree(number) {
                self.number = number
                self.lock = lock
                return
            }
            close(lock)
        }
        throw TestBedError("no free port on loopback between 13000 and 32000")
    }

    deinit { close(lock) }

    private static func isFree(_ number: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var one: Int32 = 1
        // As servers do: connections of the past in TIME_WAIT are no obstacle.
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        return withLoopback(number) { bind(descriptor, $0, $1) } == 0
    }

    /// Whether somebody accepts connections on this port of loopback.
    static func answers(_ number: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withLoopback(number) { connect(descriptor, $0, $1) } == 0
    }

    private static func withLoopback(_ number: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
