/// Why a call to a server failed. Names the server and what the call was for; never holds a password.
///
/// Its description does not quote the statement either, which may hold a password of its own: not the part that a
/// server repeats in a syntax error. `debugDescription` (`String(reflecting:)`) does.
public struct MySQLError: Error, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// What kind of failure it was. Further kinds may be added, so a switch over it needs a default.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Value: String, Sendable {
            case resolve, refused, unreachable, timeout, cancelled, closed, tls, authentication
            case protocolViolation = "protocol violation"
            case server, limit, busy, conversion, configuration, system
        }
        private let value: Value
        public var description: String { value.rawValue }

        /// The host's name could not be resolved.
        public static let resolve = Code(value: .resolve)
        /// Nobody listens there (ECONNREFUSED, or a unix socket that is gone).
        public static let refused = Code(value: .refused)
        /// The network says that there is no way (EHOSTUNREACH, ENETUNREACH ...).
        public static let unreachable = Code(value: .unreachable)
        /// The deadline passed.
        public static let timeout = Code(value: .timeout)
        /// The task was cancelled.
        public static let cancelled = Code(value: .cancelled)
        /// The connection is closed: by the peer, by an earlier failure, or by `close`.
        public static let closed = Code(value: .closed)
        /// TLS could not be agreed upon, or the certificate did not verify.
        public static let tls = Code(value: .tls)
        /// The authentication failed on our side: a plugin we do not speak, a key that may not be asked for.
        /// A server that refuses the password answers with `server` and number 1045.
        public static let authentication = Code(value: .authentication)
        /// The server sent something that the protocol does not allow.
        public static let protocolViolation = Code(value: .protocolViolation)
        /// The server answered with an ERR packet; see `MySQLError.serverError`.
        public static let server = Code(value: .server)
        /// A bound was exceeded (packet size, columns ...).
        public static let limit = Code(value: .limit)
        /// Another call is under way on this connection.
        public static let busy = Code(value: .busy)
        /// A value is not of the type that was asked for, or the column does not exist.
        public static let conversion = Code(value: .conversion)
        public static let configuration = Code(value: .configuration)
        /// A system call failed; see `MySQLError.errno`.
        public static let system = Code(value: .system)
    }

    /// Where in a connection's life the failure came.
    public enum Phase: String, Sendable, Hashable {
        case resolve, connect, greeting, tls, authentication, command, reply, idle
    }

    public var code: Code
    public var phase: Phase
    /// The server's address as configured.
    public var server: String
    /// What the call was for, in words for a log line, for example `read replication status`.
    public var purpose: String
    public var message: String
    public var serverError: ServerError?
    /// The system's error number, where one was involved.
    public var errno: Int32?

    public init(
        _ code: Code, phase: Phase, server: String, purpose: String = "", message: String,
        serverError: ServerError? = nil, errno: Int32? = nil
    ) {
        self.code = code
        self.phase = phase
        self.server = server
        self.purpose = purpose
        self.message = message
        self.serverError = serverError
        self.errno = errno
    }

    /// The number of the server's ERR packet, if there was one.
    public var number: UInt16? { serverError?.number }

    public var description: String { text(serverError.map { "\($0)" }) }
    public var debugDescription: String { text(serverError?.debugDescription) }

    private func text(_ server: String?) -> String {
        // "connect" is said once.
        let what = purpose.isEmpty || purpose == phase.rawValue ? "" : " (\(purpose))"
        return PrintableText.line(
            "\(self.server)\(what): " + (server ?? "\(code) during \(phase.rawValue): \(message)"))
    }
}

/// An ERR packet. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
public struct ServerError: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    public var number: UInt16
    /// Five characters; empty in an ERR packet that came before the handshake.
    public var sqlState: String
    /// As the server sent it, at most 4,096 bytes. That of a syntax error quotes the statement.
    public var message: String

    public init(number: UInt16, sqlState: String, message: String) {
        self.number = number
        self.sqlState = sqlState
        self.message = message
    }

    /// Without the part of the statement that a syntax error quotes.
    public var description: String { text(Self.quoting.contains(number) ? withoutQuotation : message) }

    public var debugDescription: String { text(message) }

    /// ER_PARSE_ERROR, ER_SYNTAX_ERROR.
    private static let quoting: [UInt16] = [1064, 1149]

    private var withoutQuotation: String {
        guard let first = message.firstIndex(of: "'"), let last = message.lastIndex(of: "'"), first < last else {
            return message
        }
        return message[...first] + "…" + message[last...]
    }

    private func text(_ message: String) -> String {
        PrintableText.line("ERROR \(number)\(sqlState.isEmpty ? "" : " (\(sqlState))"): \(message)")
    }
}
