import COpenSSL
import Testing

@testable import MySQLWire

/// Each way through the authentication, byte for byte.
struct AuthenticationMachineTests {
    private func machine(
        _ password: String = "secret", plugin: String = "caching_sha2_password",
        road: AuthenticationMachine.Road = .clear(loopback: false), keys: PublicKeyRetrieval = .loopbackOnly
    ) throws -> AuthenticationMachine {
        try AuthenticationMachine(
            password: password, greeting: Packets.nonce, plugin: plugin, road: road, keyRetrieval: keys)
    }

    private let proof = Scramble.cachingSHA2(password: Array("secret".utf8), nonce: Packets.nonce)

    private func authentication(_ action: AuthenticationMachine.Action) -> HandshakeFacts.Authentication? {
        if case .authenticated(_, let how) = action { how } else { nil }
    }

    private func sent(_ action: AuthenticationMachine.Action) -> [UInt8]? {
        if case .send(let bytes) = action { bytes } else { nil }
    }

    @Test func fastPath() throws {
        var machine = try machine()
        let begin = try machine.begin()
        #expect(begin == proof)
        guard case .read = try machine.receive(ByteReader([1, 3])) else {
            Issue.record("0x03 is followed by OK")
            return
        }
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == .cachingSHA2Fast)
    }

    @Test func fastPathThenError() throws {
        var machine = try machine()
        _ = try machine.receive(ByteReader([1, 3]))
        do {
            _ = try machine.receive(ByteReader(Packets.error(1049, state: "42000", "Unknown database")))
            Issue.record("no error")
        } catch {
            #expect(error.serverError == ServerError(number: 1049, sqlState: "42000", message: "Unknown database"))
        }
    }

    @Test(arguments: [(true, HandshakeFacts.Authentication.cachingSHA2FullTLS), (false, .cachingSHA2FullUnix)])
    func fullPathOverAProtectedRoad(_ tls: Bool, _ expected: HandshakeFacts.Authentication) throws {
        var machine = try machine(road: tls ? .tls : .unix)
        #expect(sent(try machine.receive(ByteReader([1, 4]))) == Array("secret\0".utf8))
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == expected)
    }

    @Test func thePasswordNeverGoesOutInClear() throws {
        var machine = try machine()
        do {
            _ = try machine.receive(ByteReader([1, 4]))
            Issue.record("no error")
        } catch {
            #expect(error.code == .authentication)
            #expect(error.message.contains("use TLS"))
        }
    }

    @Test(arguments: [1, 19, 20, 21, 64, 200])
    func fullPathWithTheServersKey(_ length: Int) throws {
        let key = try #require(RSAKey.make())
        defer { EVP_PKEY_free(key) }
        let password = String(repeating: "p", count: length)
        var machine = try machine(password, road: .clear(loopback: true))
        #expect(sent(try machine.receive(ByteReader([1, 4]))) == [2])
        let cipher = try #require(sent(try machine.receive(ByteReader([1] + Array(RSAKey.pem(key).utf8)))))
        let plain = RSAKey.decrypt(cipher, key)
        let nonce = Packets.nonce
        #expect(plain == (Array(password.utf8) + [0]).enumerated().map { $1 ^ nonce[$0 % 20] })
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == .cachingSHA2FullRSA)
    }

    @Test func aPinnedKeyIsNeverAskedFor() throws {
        let key = try #require(RSAKey.make())
        defer { EVP_PKEY_free(key) }
        var machine = try machine(keys: .pinned(pem: RSAKey.pem(key)))
        let cipher = try #require(sent(try machine.receive(ByteReader([1, 4]))))
        #expect(RSAKey.decrypt(cipher, key)?.count == 7)
    }

    @Test func aKeyThatIsNoneIsAnError() throws {
        for key in ["", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            var machine = try machine(road: .clear(loopback: true))
            _ = try machine.receive(ByteReader([1, 4]))
            #expect(throws: Failure.self) { _ = try machine.receive(ByteReader([1] + Array(key.utf8))) }
        }
    }

    @Test func nativePassword() throws {
        var machine = try machine(plugin: "mysql_native_password")
        let proof = try machine.begin()
        #expect(proof == Scramble.native(password: Array("secret".utf8), nonce: Packets.nonce))
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == .nativePassword)
    }

    @Test func oneSwitchIsFollowedAndASecondRefused() throws {
        let other: [UInt8] = Array(101...120)
        let request = [0xFE] + Array("mysql_native_password\0".utf8) + other + [0]
        var machine = try machine()
        #expect(
            sent(try machine.receive(ByteReader(request)))
                == Scramble.native(password: Array("secret".utf8), nonce: other))
        let switched = machine.switched
        #expect(switched)
        #expect(throws: Failure.self) { _ = try machine.receive(ByteReader(request)) }
    }

    @Test(arguments: ["mysql_clear_password", "authentication_ldap_simple", "parsec"])
    func aPluginThatIsNotSpokenIsAnErrorThatNamesIt(_ plugin: String) throws {
        var machine = try machine(road: .tls)
        do {
            _ = try machine.receive(ByteReader([0xFE] + Array((plugin + "\0").utf8) + Packets.nonce + [0]))
            Issue.record("no error")
        } catch {
            #expect(error.code == .authentication)
            #expect(error.message.contains(plugin))
        }
    }

    private func switching(to plugin: String, nonce: [UInt8]) -> ByteReader {
        ByteReader([0xFE] + Array((plugin + "\0").utf8) + nonce + [0])
    }

    @Test func sha256OverTLSSendsThePasswordItself() throws {
        var machine = try machine(road: .tls)
        #expect(
            sent(try machine.receive(switching(to: "sha256_password", nonce: Packets.nonce)))
                == Array("secret\0".utf8))
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == .sha256TLS)
    }

    @Test(arguments: [AuthenticationMachine.Road.unix, .clear(loopback: true)])
    func sha256InClearAsksForTheKeyFirst(_ road: AuthenticationMachine.Road) throws {
        let key = try #require(RSAKey.make())
        defer { EVP_PKEY_free(key) }
        let nonce: [UInt8] = Array(31...50)
        var machine = try machine(road: road)
        #expect(sent(try machine.receive(switching(to: "sha256_password", nonce: nonce))) == [1])
        let cipher = try #require(sent(try machine.receive(ByteReader([1] + Array(RSAKey.pem(key).utf8)))))
        #expect(RSAKey.decrypt(cipher, key) == Array("secret\0".utf8).enumerated().map { $1 ^ nonce[$0 % 20] })
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == .sha256RSA)
    }

    @Test func sha256NeverSendsThePasswordInClear() throws {
        var machine = try machine()
        #expect(throws: Failure.self) {
            _ = try machine.receive(switching(to: "sha256_password", nonce: Packets.nonce))
        }
        var greeted = try self.machine(plugin: "sha256_password")
        #expect(throws: Failure.self) { _ = try greeted.begin() }
    }

    @Test func sha256AsTheServersDefaultMayStillBeSwitchedAwayFrom() throws {
        var machine = try machine(plugin: "sha256_password", road: .tls)
        let begin = try machine.begin()
        #expect(begin == Array("secret\0".utf8))
        let nonce: [UInt8] = Array(31...50)
        #expect(
            sent(try machine.receive(switching(to: "caching_sha2_password", nonce: nonce)))
                == Scramble.cachingSHA2(password: Array("secret".utf8), nonce: nonce))
        _ = try machine.receive(ByteReader([1, 3]))
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == .cachingSHA2Fast)
        var empty = try self.machine("", plugin: "sha256_password")
        let nothing = try empty.begin()
        #expect(nothing == [0])
    }

    @Test func ed25519NeedsItsLongerNonce() throws {
        let nonce: [UInt8] = Array(1...32)
        var machine = try machine()
        let signature = try Ed25519Signature.sign(nonce, password: Array("secret".utf8))
        #expect(sent(try machine.receive(switching(to: "client_ed25519", nonce: nonce))) == signature)
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == .ed25519)
        var short = try self.machine()
        #expect(throws: Failure.self) {
            _ = try short.receive(switching(to: "client_ed25519", nonce: Packets.nonce))
        }
    }

    @Test func emptyPassword() throws {
        var machine = try machine("")
        let proof = try machine.begin()
        #expect(proof.isEmpty)
        #expect(authentication(try machine.receive(ByteReader(Packets.ok()))) == .emptyPassword)
    }

    @Test func whatIsOutOfPlaceIsAViolation() throws {
        for packets: [[UInt8]] in [
            [[]], [[1]], [[1, 5]], [[1, 3, 3]], [[7]], [[1, 3], [1, 3]], [[1, 3], [1, 4]],
            [[1, 3], [0xFE] + Array("mysql_native_password\0".utf8) + Packets.nonce],
            [Packets.ok(), Packets.ok()], [[0xFE] + Array("mysql_native_password\0".utf8) + [1, 2, 3]],
            [[1, 4], Packets.ok()],
        ] {
            var machine = try machine(road: .clear(loopback: true))
            var failure: Failure?
            for packet in packets where failure == nil {
                do {
                    _ = try machine.receive(ByteReader(packet))
                } catch {
                    failure = error
                }
            }
            #expect(failure?.code == .protocolViolation, "\(packets)")
        }
    }

    @Test func aShortNonceIsAViolation() {
        #expect(throws: Failure.self) {
            _ = try AuthenticationMachine(
                password: "x", greeting: [1, 2, 3], plugin: "", road: .tls, keyRetrieval: .allowed)
        }
    }
}

/// The server's side of the RSA exchange.
enum RSAKey {
    static func make() -> OpaquePointer? {
        let context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, nil)
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048)
        var key: OpaquePointer?
        return EVP_PKEY_keygen(context, &key) > 0 ? key : nil
    }

    static func pem(_ key: OpaquePointer) -> String {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        PEM_write_bio_PUBKEY(bio, key)
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = BIO_read(bio, &bytes, 4096)
        return String(decoding: bytes.prefix(Int(max(0, count))), as: UTF8.self)
    }

    static func decrypt(_ cipher: [UInt8], _ key: OpaquePointer) -> [UInt8]? {
        let context = EVP_PKEY_CTX_new(key, nil)
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_decrypt_init(context)
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING)
        var out = [UInt8](repeating: 0, count: 512)
        var length = out.count
        guard EVP_PKEY_decrypt(context, &out, &length, cipher, cipher.count) > 0 else { return nil }
        return Array(out.prefix(length))
    }
}
