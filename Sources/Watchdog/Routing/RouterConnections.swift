import Glibc
import MySQLWire

/// Clients that the router still serves after its port has been closed, by the kernel's list of connections.
/// https://www.kernel.org/doc/Documentation/networking/proc_net_tcp.txt
enum RouterConnections {
    /// The most of either list that is read: some 400,000 connections.
    private static let limit = 64 << 20

    /// The peer of a connection that came in at this port and is open, as the kernel writes it; nil where there is none, or
    /// where the kernel does not say: a router in another network namespace is not seen. Not on the caller's actor: the list
    /// of a busy host is long.
    @concurrent static func first(at address: ServerAddress) async -> String? {
        guard case .tcp(_, let port) = address else { return nil }
        return ["/proc/net/tcp", "/proc/net/tcp6"].lazy.compactMap { established(read($0), port: port) }.first
    }

    /// - Parameter list: lines of `sl local_address rem_address st ...`, addresses as `0100007F:192E`; 01 is established.
    static func established(_ list: [UInt8], port: UInt16) -> String? {
        let hex = String(port, radix: 16, uppercase: true)
        let suffix = Array((":" + String(repeating: "0", count: 4 - hex.count) + hex).utf8)
        for line in list.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 4)
            guard fields.count > 3, fields[3].elementsEqual("01".utf8) else { continue }
            if fields[1].suffix(suffix.count).elementsEqual(suffix) {
                return String(decoding: fields[2], as: UTF8.self)
            }
        }
        return nil
    }

    private static func read(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < limit {
            let count = Glibc.read(file, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return bytes
    }
}
