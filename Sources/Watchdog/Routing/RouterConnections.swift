import Glibc
import MySQLWire

/// Clients that the router still serves after its port has been closed, by the kernel's list of connections.
/// https://www.kernel.org/doc/Documentation/networking/proc_net_tcp.txt
enum RouterConnections {
    /// The most of either list that is read: some 400,000 connections.
    private static let limit = 64 << 20

    /// The peer of a connection that came in at this port and is open; nil where there is none, or where the kernel does not
    /// say: a router in another network namespace is not seen. Not on the caller's actor: the list
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
                return peer(String(decoding: fields[2], as: UTF8.self))
            }
        }
        return nil
    }

    /// `0100007F:192E` as `127.0.0.1:6446`: words of four bytes in this machine's order, then the port.
    private static func peer(_ field: String) -> String {
        let parts = field.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1], radix: 16), [8, 32].contains(parts[0].utf8.count) else {
            return field
        }
        var rest = parts[0]
        var bytes: [UInt8] = []
        while let word = UInt32(rest.prefix(8), radix: 16) {
            withUnsafeBytes(of: word) { bytes += $0 }
            rest = rest.dropFirst(8)
        }
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return field }
        let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return bytes.count == 4 ? "\(address):\(port)" : "[\(address)]:\(port)"
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
