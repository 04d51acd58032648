import Glibc

/// The connection phase: from an address to a session that is ready for commands.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
struct Opening {
    let options: ConnectionOptions
    let deadline: Deadline
    /// Capabilities not to offer, for tests of the older forms of the protocol.
    var without: Capabilities = []
    private let resolver: Resolver
    /// How far it came, for the error.
    private(set) var phase = MySQLError.Phase.resolve

    init(
        options: ConnectionOptions, deadline: Deadline, without: Capabilities = [], resolver: Resolver = .shared
    ) {
        self.options = options
        self.deadline = deadline
        self.without = without
        self.resolver = resolver
    }

    struct Opened {
        var session: Session
        var greeting: Greeting
        var facts: HandshakeFacts
    }

    mutating func run() async throws(Failure) -> Opened {
        try checkOptions()
        if Task.isCancelled { throw .cancelled }
        if deadline.hasPassed { throw .timeout }
        let reactor = try Reactor.shared.get()
        let start = ContinuousClock.now
        let (channel, isLoopback) = try await connect(reactor)
        let connected = start.duration(to: .now)
        let session = Session(transport: Transport(channel: channel))
        do throws(Failure) {
            return try await shakeHands(session, isLoopback: isLoopback, start: start, connected: connected)
        } catch {
            session.transport.close()
            throw session.located(error)
        }
    }

    private func checkOptions() throws(Failure) {
        for (name, text) in [("user", options.user), ("database", options.database ?? "")]
        where text.utf8.contains(0) {
            throw Failure(.configuration, "the \(name)'s name holds a NUL character")
        }
        guard !options.password.reveal().utf8.contains(0) else {
            throw Failure(.configuration, "the password holds a NUL character")
        }
        guard options.tlsPinnedKey == nil || options.tlsPinnedKey?.count == 32 else {
            throw Failure(.configuration, "a pinned key is a SHA-256 of 32 bytes")
        }
        guard options.tlsKeyFile == nil || options.tlsCertificateFile != nil else {
            throw Failure(.configuration, "a key file needs a certificate file")
        }
        guard options.maxPacketSize >= 1024, options.maxPacketSize <= 1 << 30 else {
            throw Failure(.configuration, "maxPacketSize must lie between 1 KiB and 1 GiB")
        }
    }

    private mutating func connect(_ reactor: Reactor) async throws(Failure) -> (Channel, isLoopback: Bool) {
        switch options.address {
        case .unix(let path):
            phase = .connect
            guard let address = SocketAddress(unixPath: path) else {
                throw Failure(.configuration, "the path of a unix socket has 1 to 107 bytes")
            }
            return (try await Channel.connect(to: address, reactor: reactor, deadline: deadline), true)
        case .tcp(let host, let port):
            let found = try await resolver.resolve(host: host, port: port, reactor: reactor, deadline: deadline)
            let addresses = found.list
            phase = .connect
            var last = Failure(.resolve, "\(host) has no address")
            for (index, address) in addresses.enumerated() {
                // An address that swallows packets must not use up the time of those after it.
                let share = deadline.remaining / (addresses.count - index)
                let until = index == addresses.count - 1 ? deadline : min(deadline, .after(share))
                do throws(Failure) {
                    let channel = try await Channel.connect(to: address, reactor: reactor, deadline: until)
                    resolver.remember(address, host: host, port: port)
                    return (channel, address.isLoopback)
                } catch {
                    last = error
                    if error.code == .cancelled || deadline.hasPassed { break }
                }
            }
            if let remembered = found.remembered {
                last.message += ", at the address where the name was reached before: \(remembered.message)"
            }
            throw last
        }
    }

    private mutating func shakeHands(
        _ session: Session, isLoopback: Bool, start: ContinuousClock.Instant, connected: Duration
    ) async throws(Failure) -> Opened {
        phase = .greeting
        let greeting = try await readGreeting(session)
        let capabilities = try agree(greeting.capabilities)
        var response = HandshakeResponse(
            capabilities: capabilities, maxPacketSize: UInt32(clamping: options.maxPacketSize),
            characterSet: Self.characterSet(ServerVersion(greeting.version)), user: options.user, authentication: [],
            database: options.database, plugin: "", attributes: makeAttributes())

        let isUnix = if case .unix = options.address { true } else { false }
        var road = isUnix ? AuthenticationMachine.Road.unix : .clear(loopback: isLoopback)
        var tls: TLSOutcome?
        var encrypted: Duration?
        if try wantsTLS(isUnix: isUnix, offered: greeting.capabilities.contains(.ssl)) {
            phase = .tls
            response.capabilities.insert(.ssl)
            tls = try await startTLS(session, response)
            encrypted = start.duration(to: .now)
            road = .tls
        }
        phase = .authentication
        var machine = try AuthenticationMachine(
            password: options.password.reveal(), greeting: greeting.nonce, plugin: greeting.plugin, road: road,
            keyRetrieval: options.publicKeyRetrieval)
        response.authentication = try machine.begin()
        response.plugin = machine.plugin.rawValue
        try await session.send(try response.encode(), deadline)
        let (_, how) = try await session.authenticate(&machine, deadline)
        session.capabilities = capabilities
        session.framer.limit = options.maxPacketSize
        session.maximumCollected = options.maxResultSize
        session.identity = SessionIdentity(
            road: road, keyRetrieval: options.publicKeyRetrieval, nonce: machine.sessionNonce,
            plugin: machine.plugin.rawValue, characterSet: response.characterSet, attributes: response.attributes)
        // The ticket came behind the handshake, before the server's answer to the authentication.
        if options.tlsResumption, let tls, let ticket = tls.engine.resumableSession() {
            TLSSessionCache.shared.put(ticket, verified: tls.verified, for: tls.key)
        }
        let facts = HandshakeFacts(
            authentication: how, tlsVersion: tls?.engine.version, tlsResumed: tls?.engine.wasResumed ?? false,
            switchedPlugin: machine.switched,
            connected: connected, encrypted: encrypted, authenticated: start.duration(to: .now))
        return Opened(session: session, greeting: greeting, facts: facts)
    }

    private func wantsTLS(isUnix: Bool, offered: Bool) throws(Failure) -> Bool {
        switch options.tls {
        case .disabled:
            if options.tlsPinnedKey == nil { return false }
            throw Failure(.configuration, "a pinned key of the server needs TLS, which is disabled")
        // Nobody stands between the ends of a unix socket.
        case .preferred where options.tlsPinnedKey == nil: return offered && !isUnix
        case .preferred, .required, .verifyCA, .verifyIdentity:
            guard offered else {
                throw Failure(
                    .tls,
                    "the server offers no TLS, and \(options.tlsPinnedKey == nil ? "the mode " + options.tls.rawValue : "a pinned key") does not do without: "
                        + "set ssl_cert and ssl_key on the server")
            }
            return true
        }
    }

    private struct TLSOutcome {
        var engine: TLSEngine
        var key: TLSSessionCache.Key
        /// When the server's certificate was verified.
        var verified: ContinuousClock.Instant
    }

    /// Not one byte of the authentication has left before this returns.
    private func startTLS(_ session: Session, _ response: HandshakeResponse) async throws(Failure) -> TLSOutcome {
        let host: String? = if case .tcp(let host, _) = options.address { host } else { nil }
        let verification: TLSEngine.Verification =
            switch options.tls {
            case .disabled, .preferred, .required: .none
            case .verifyCA: .authority(caFile: options.tlsCAFile)
            // The path of a unix socket is in no certificate; the rights on its folder vouch for the server.
            case .verifyIdentity:
                host.map { .identity(host: $0, caFile: options.tlsCAFile) }
                    ?? .authority(caFile: options.tlsCAFile)
            }
        let parameters = TLSParameters(
            verification: verification, host: host, certificateFile: options.tlsCertificateFile,
            keyFile: options.tlsKeyFile, pinnedKey: options.tlsPinnedKey)
        let engine = try TLSEngine(parameters)
        let key = TLSSessionCache.Key(address: options.address, parameters: parameters)
        let earlier = options.tlsResumption ? TLSSessionCache.shared.take(key) : nil
        if let earlier { engine.resume(earlier.0) }
        try await session.startTLS(engine, request: response.encodeSSLRequest(), deadline)
        try engine.checkPinnedKey(options.tlsPinnedKey)
        let verified = engine.wasResumed ? earlier?.verified : nil
        return TLSOutcome(engine: engine, key: key, verified: verified ?? .now)
    }

    private func readGreeting(_ session: Session) async throws(Failure) -> Greeting {
        let range = try await session.read(deadline)
        // Too many connections (1040), a blocked host (1129): the server refuses before it greets.
        if session.firstByte(range) == 0xFF {
            throw Failure(try ServerError.decode(session.packet(range)), keepsConnection: false)
        }
        return try Greeting.decode(session.packet(range))
    }

    private func agree(_ offered: Capabilities) throws(Failure) -> Capabilities {
        guard offered.isSuperset(of: .mandatory) else {
            throw .violation("the server is too old: it does not speak protocol 4.1 with secure authentication")
        }
        var capabilities = Capabilities.wanted.intersection(offered).subtracting(without)
        if options.database != nil {
            guard offered.contains(.connectWithDatabase) else {
                throw Failure(.configuration, "the server takes no database at connect")
            }
            capabilities.insert(.connectWithDatabase)
        }
        return capabilities
    }

    /// utf8mb4 by its collation: utf8mb4_0900_ai_ci, or utf8mb4_general_ci for servers that do not know it.
    private static func characterSet(_ version: ServerVersion) -> UInt8 {
        version.isMySQL(atLeast: 8) ? 255 : 45
    }

    private func makeAttributes() -> [(name: String, value: String)] {
        [
            ("_client_name", "MySQLWire"), ("_os", "Linux"), ("_pid", String(getpid())),
            ("program_name", String(options.programName.prefix(384))),
        ] + (options.programVersion.map { [("program_version", String($0.prefix(128)))] } ?? [])
    }
}
