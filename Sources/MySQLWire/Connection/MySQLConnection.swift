/// One session with a server. One call at a time: a second one that begins while the first is under way fails with
/// `busy`. After any failure that leaves the reply unread (deadline, cancellation, violation of the protocol) the
/// connection is closed and stays closed; an ERR packet leaves it usable. Nothing reconnects by itself.
///
/// Every session is opened with `SET NAMES utf8mb4` and without NO_BACKSLASH_ESCAPES, whatever the server's init_connect
/// has set, and otherwise as the server has it, unless `ConnectionOptions.sessionSettings` says more.
public final class MySQLConnection: Sendable {
    let core: ConnectionCore
    public let serverVersion: ServerVersion
    /// The server's thread id, for KILL.
    public let connectionID: UInt32
    /// How the session was authenticated and protected, for tests, `probe` and the log.
    public let handshake: HandshakeFacts

    /// What `prepareSession` sets besides.
    let settings: [String]

    private init(core: ConnectionCore, opened: Opening.Opened, _ options: ConnectionOptions) {
        self.core = core
        serverVersion = ServerVersion(opened.greeting.version)
        settings = options.sessionSettings?(serverVersion) ?? []
        connectionID = opened.greeting.connectionID
        handshake = opened.facts
    }

    /// Opens a session: name resolution, connect, TLS, authentication, all before `deadline`.
    public static func connect(_ options: ConnectionOptions, deadline: Deadline) async throws(MySQLError)
        -> MySQLConnection
    {
        do throws(MySQLError) {
            return try await connect(options, without: [], deadline: deadline)
        } catch {
            guard error.number == Self.accessDenied, let other = options.otherPassword?(options.password) else {
                throw error
            }
            var again = options
            again.password = other
            return try await connect(again, without: [], deadline: deadline)
        }
    }

    /// ER_ACCESS_DENIED_ERROR: no such account, or another password.
    private static let accessDenied: UInt16 = 1045

    /// The same without some capabilities, for tests of the older forms of the protocol, and with other name servers.
    static func connect(
        _ options: ConnectionOptions, without: Capabilities, resolver: Resolver = .shared, deadline: Deadline
    ) async throws(MySQLError) -> MySQLConnection {
        var opening = Opening(options: options, deadline: deadline, without: without, resolver: resolver)
        let opened: Opening.Opened
        do throws(Failure) {
            opened = try await opening.run()
        } catch {
            throw error.error(phase: opening.phase, server: options.address.description, purpose: "connect")
        }
        let core = ConnectionCore(address: options.address, session: opened.session)
        let connection = MySQLConnection(core: core, opened: opened, options)
        guard options.preparesSession else { return connection }
        do throws(MySQLError) {
            try await connection.prepareSession(deadline)
        } catch {
            connection.abort()
            throw error
        }
        return connection
    }

    public var address: ServerAddress { core.address }

    /// False once the connection was closed by either side or given up after a failure.
    public var isOpen: Bool { core.isOpen }

    /// Runs one statement and reads its whole answer. Of several result sets the first is returned, the others read
    /// and dropped; an ERR packet in any of them is thrown.
    /// - Parameters:
    ///   - sql: one statement; CLIENT_MULTI_STATEMENTS is never offered.
    ///   - purpose: what it is for, in words for an error message.
    /// - Throws: `limit` if the answer would take more memory than `ConnectionOptions.maxResultSize`.
    public func query(_ sql: String, purpose: String = "", deadline: Deadline) async throws(MySQLError) -> ResultSet {
        try await query(Array(sql.utf8), purpose: purpose, deadline: deadline)
    }

    /// The same for a statement that is not text (it holds binary literals) or is large.
    public func query(_ sql: [UInt8], purpose: String = "", deadline: Deadline) async throws(MySQLError) -> ResultSet {
        let session = try begin(purpose)
        var exchange = Exchange(session: session)
        do throws(Failure) {
            try await exchange.send(sql, deadline)
            let result = try await exchange.readAll(deadline)
            core.end()
            return result
        } catch {
            core.finish(error)
            throw core.error(error, exchange.phase, purpose)
        }
    }

    /// Runs one statement and reads all its result sets, as a procedure may have several; the last one tells what the
    /// statement itself did.
    /// - Throws: as `query`; an ERR packet in any of them is thrown.
    public func queryAll(_ sql: String, purpose: String = "", deadline: Deadline) async throws(MySQLError)
        -> [ResultSet]
    {
        let session = try begin(purpose)
        var exchange = Exchange(session: session)
        do throws(Failure) {
            try await exchange.send(Array(sql.utf8), deadline)
            let results = try await exchange.readEvery(deadline)
            core.end()
            return results
        } catch {
            core.finish(error)
            throw core.error(error, exchange.phase, purpose)
        }
    }

    /// Runs one statement and hands its rows out as they come. Returns when the columns are known; `deadline` is for
    /// this much, and each `next` has its own. Until the stream has ended the connection is busy.
    public func stream(_ sql: String, purpose: String = "", deadline: Deadline) async throws(MySQLError) -> RowStream {
        let session = try begin(purpose)
        var exchange = Exchange(session: session)
        do throws(Failure) {
            try await exchange.send(Array(sql.utf8), deadline)
            try await exchange.readHeader(deadline)
        } catch {
            core.finish(error)
            throw core.error(error, exchange.phase, purpose)
        }
        return RowStream(core: core, exchange: exchange, purpose: purpose)
    }

    func begin(_ purpose: String) throws(MySQLError) -> Session {
        do throws(Failure) {
            return try core.begin()
        } catch {
            throw core.error(error, .idle, purpose)
        }
    }

    /// COM_QUIT, then closes. Never fails and never waits; a call under way fails with `closed`.
    public func close() async { core.quit() }

    /// Closes at once, without COM_QUIT. Safe from any thread, also while a call is under way: that call then fails.
    public func abort() { core.abandon() }
}

/// What happened between connect and the first command.
public struct HandshakeFacts: Sendable, Hashable {
    public enum Authentication: String, Sendable, Hashable {
        /// caching_sha2_password, the server had the account in its cache (byte 0x03 arrived).
        case cachingSHA2Fast = "caching_sha2_password, fast"
        /// caching_sha2_password, accepted with neither 0x03 nor 0x04 (some proxies do so).
        case cachingSHA2Unconfirmed = "caching_sha2_password, unconfirmed"
        case cachingSHA2FullTLS = "caching_sha2_password, full over TLS"
        case cachingSHA2FullUnix = "caching_sha2_password, full over a unix socket"
        case cachingSHA2FullRSA = "caching_sha2_password, full with the server's RSA key"
        case nativePassword = "mysql_native_password"
        case sha256TLS = "sha256_password, over TLS"
        case sha256RSA = "sha256_password, with the server's RSA key"
        /// MariaDB's signature by a key that is made of the password.
        case ed25519 = "client_ed25519"
        /// The account has no password.
        case emptyPassword = "empty password"
    }
    public var authentication: Authentication
    /// For example `TLSv1.3`; nil in clear text.
    public var tlsVersion: String?
    /// Whether an earlier TLS session was resumed.
    public var tlsResumed: Bool
    public var switchedPlugin: Bool
    /// Time from the call to the established TCP connection, to the end of TLS, to the end of authentication.
    public var connected: Duration
    public var encrypted: Duration?
    public var authenticated: Duration

    public init(
        authentication: Authentication, tlsVersion: String? = nil, tlsResumed: Bool = false,
        switchedPlugin: Bool = false, connected: Duration,
        encrypted: Duration? = nil, authenticated: Duration
    ) {
        self.authentication = authentication
        self.tlsVersion = tlsVersion
        self.tlsResumed = tlsResumed
        self.switchedPlugin = switchedPlugin
        self.connected = connected
        self.encrypted = encrypted
        self.authenticated = authenticated
    }
}
