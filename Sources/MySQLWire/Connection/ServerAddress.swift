/// Where a server listens.
public enum ServerAddress: Sendable, Hashable, CustomStringConvertible {
    /// A host name or a literal IPv4 or IPv6 address, and a port.
    case tcp(host: String, port: UInt16)
    /// The path of a unix socket.
    case unix(path: String)

    public static let defaultPort: UInt16 = 3306

    /// Reads `host`, `host:port`, `[v6]:port`, a bare IPv6 address, or an absolute path of a unix socket.
    /// - Returns: nil if the text is none of these.
    public init?(_ text: String) {
        if text.hasPrefix("/") {
            self = .unix(path: text)
            return
        }
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let host = String(text[text.index(after: text.startIndex)..<close])
            let rest = text[text.index(after: close)...]
            if rest.isEmpty {
                self = .tcp(host: host, port: Self.defaultPort)
            } else {
                guard rest.hasPrefix(":"), let port = UInt16(rest.dropFirst()), port > 0 else { return nil }
                self = .tcp(host: host, port: port)
            }
            if host.isEmpty { return nil }
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch parts.count {
        case 1 where !text.isEmpty:
            self = .tcp(host: text, port: Self.defaultPort)
        case 2:
            guard !parts[0].isEmpty, let port = UInt16(parts[1]), port > 0 else { return nil }
            self = .tcp(host: String(parts[0]), port: port)
        case 3...:
            self = .tcp(host: text, port: Self.defaultPort)
        default:
            return nil
        }
    }

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}
