/// The client's side of the authentication, from the greeting to the OK packet, without any input or output: packets
/// go in, the next thing to do comes out.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
struct AuthenticationMachine: ~Copyable {
    /// How the bytes travel; decides whether the password may be sent in full.
    enum Road: Sendable { case tls, unix, clear(loopback: Bool) }

    enum Plugin: String, Sendable {
        case cachingSHA2 = "caching_sha2_password"
        case native = "mysql_native_password"
        case sha256 = "sha256_password"
        case ed25519 = "client_ed25519"

        /// Bytes of the server's nonce that the plugin uses.
        var nonceLength: Int { self == .ed25519 ? Ed25519Signature.nonceLength : Scramble.nonceLength }
    }

    enum Action: Sendable {
        /// Send this payload, then read.
        case send([UInt8])
        case read
        case authenticated(OKPacket, HandshakeFacts.Authentication)
    }

    private enum State {
        /// The proof is out: OK, ERR, a switch or more data may come.
        case proofSent
        /// caching_sha2: the server asked nothing more, or was told all; only OK or ERR may come.
        case waitingForOK(HandshakeFacts.Authentication)
        case waitingForKey
        case finished
    }

    private let password: [UInt8]
    private let road: Road
    private let keyRetrieval: PublicKeyRetrieval
    private var state = State.proofSent
    private var nonce: [UInt8]
    private(set) var plugin: Plugin
    private(set) var switched = false
    /// The nonce that a change of the user begins with: the last one of 20 bytes.
    private(set) var sessionNonce: [UInt8]

    /// - Parameters:
    ///   - plugin: the greeting's. One that is not spoken here is answered with caching_sha2_password: it is only the
    ///     server's default, and the account may have another.
    init(password: String, greeting nonce: [UInt8], plugin: String, road: Road, keyRetrieval: PublicKeyRetrieval)
        throws(Failure)
    {
        self.password = Array(password.utf8)
        self.road = road
        self.keyRetrieval = keyRetrieval
        self.nonce = try Self.checked(nonce, Scramble.nonceLength)
        sessionNonce = self.nonce
        let named = plugin.isEmpty ? .native : Plugin(rawValue: plugin) ?? .cachingSHA2
        // Its nonce is longer than the one that a greeting has room for: the server has to switch to it.
        self.plugin = named == .ed25519 ? .native : named
    }

    /// What the handshake response (or the change of the user) carries.
    mutating func begin() throws(Failure) -> [UInt8] {
        switch plugin {
        case .cachingSHA2: return Scramble.cachingSHA2(password: password, nonce: nonce)
        case .native: return Scramble.native(password: password, nonce: nonce)
        case .ed25519: return try Ed25519Signature.sign(nonce, password: password)
        // It has no proof: the password itself is sent, protected by the road or by a key.
        case .sha256: return password.isEmpty ? [0] : try sendPassword()
        }
    }

    mutating func receive(_ packet: ByteReader) throws(Failure) -> Action {
        switch packet.peek {
        case 0x00: return try receiveOK(packet)
        case 0x01: return try receiveMoreData(packet)
        case 0xFE: return try receiveSwitch(packet)
        case 0xFF:
            state = .finished
            throw Failure(try ServerError.decode(packet), keepsConnection: false)
        case nil: throw .violation("an empty packet during authentication")
        case let byte?: throw .violation("a packet that begins with \(byte) during authentication")
        }
    }

    private mutating func receiveOK(_ packet: ByteReader) throws(Failure) -> Action {
        let how: HandshakeFacts.Authentication
        switch state {
        case .proofSent:
            if password.isEmpty {
                how = .emptyPassword
            } else {
                how = plugin == .native ? .nativePassword : plugin == .ed25519 ? .ed25519 : .cachingSHA2Unconfirmed
            }
        case .waitingForOK(let authentication): how = authentication
        case .waitingForKey: throw .violation("OK came where the server's public key was due")
        case .finished: throw .violation("a packet after the end of the authentication")
        }
        let ok = try OKPacket.decode(packet)
        state = .finished
        return .authenticated(ok, how)
    }

    private mutating func receiveSwitch(_ packet: ByteReader) throws(Failure) -> Action {
        guard isBeginning else { throw .violation("a switch of the plugin in the middle of it") }
        if switched { throw .violation("the server switches the authentication plugin twice") }
        let request = try AuthSwitchRequest.decode(packet)
        guard let plugin = Plugin(rawValue: request.plugin) else { throw Self.unknown(request.plugin) }
        self.plugin = plugin
        nonce = try Self.checked(request.data, plugin.nonceLength)
        if plugin.nonceLength == Scramble.nonceLength { sessionNonce = nonce }
        switched = true
        state = .proofSent
        return .send(try begin())
    }

    /// Whether nothing came since the first message went out, so that the server may still ask for another plugin.
    private var isBeginning: Bool {
        switch state {
        case .proofSent: true
        case .waitingForOK, .waitingForKey: plugin == .sha256 && !switched
        case .finished: false
        }
    }

    private mutating func receiveMoreData(_ packet: ByteReader) throws(Failure) -> Action {
        var reader = packet.named("authentication data")
        _ = try reader.uint8("header")
        let data = reader.rest()
        switch (state, plugin) {
        case (.proofSent, .cachingSHA2):
            switch data {
            case [3]:
                // The OK packet follows; it must be read here, or every later packet would be off by one.
                state = .waitingForOK(.cachingSHA2Fast)
                return .read
            case [4]: return .send(try sendPassword())
            default: throw .violation("caching_sha2_password answered with neither 3 nor 4")
            }
        case (.waitingForKey, _):
            return .send(try encrypted(pem: data))
        default: throw .violation("authentication data that was not asked for")
        }
    }

    /// Full authentication: the password itself, or the question for the key to protect it.
    private mutating func sendPassword() throws(Failure) -> [UInt8] {
        switch (road, keyRetrieval) {
        case (.tls, _):
            state = .waitingForOK(plugin == .sha256 ? .sha256TLS : .cachingSHA2FullTLS)
            return password + [0]
        // sha256_password takes a unix socket for a road like any other.
        case (.unix, _) where plugin == .cachingSHA2:
            state = .waitingForOK(.cachingSHA2FullUnix)
            return password + [0]
        case (_, .pinned(let pem)):
            return try encrypted(pem: Array(pem.utf8))
        case (_, .allowed), (.unix, .loopbackOnly), (.clear(loopback: true), .loopbackOnly):
            state = .waitingForKey
            return [plugin == .sha256 ? 1 : 2]
        case (.clear(loopback: false), .loopbackOnly):
            throw Failure(
                .authentication,
                "the server wants the password in full, and the connection has no TLS: use TLS, or pin the server's "
                    + "RSA public key, or allow asking for it (whoever sits between could then read the password)")
        }
    }

    private mutating func encrypted(pem: [UInt8]) throws(Failure) -> [UInt8] {
        state = .waitingForOK(plugin == .sha256 ? .sha256RSA : .cachingSHA2FullRSA)
        return try PublicKeyEncryption.encrypt(password: password, nonce: nonce, pem: pem)
    }

    private static func checked(_ nonce: [UInt8], _ length: Int) throws(Failure) -> [UInt8] {
        guard nonce.count >= length else {
            throw .violation("the server's nonce has \(nonce.count) bytes, \(length) are needed")
        }
        return Array(nonce.prefix(length))
    }

    private static func unknown(_ plugin: String) -> Failure {
        let name = String(String.UnicodeScalarView(plugin.unicodeScalars.filter { $0.value > 0x20 && $0.value < 0x7F }))
        if name == "mysql_clear_password" {
            return Failure(.authentication, "the server asks for mysql_clear_password, which is never answered")
        }
        return Failure(
            .authentication,
            "the account uses the plugin \(name), which is not spoken here: ALTER USER ... IDENTIFIED WITH "
                + "caching_sha2_password (MariaDB: mysql_native_password)")
    }
}
