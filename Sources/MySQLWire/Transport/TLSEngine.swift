import COpenSSL

/// TLS over two memory buffers: ciphertext is fed in and taken out, nothing here touches a socket. After every call
/// the caller sends what `takeOutput` gives, before it waits for anything.
///
/// OpenSSL keeps its error queue per thread, and a task may change threads at any suspension: so each function here
/// clears the queue, calls and asks for the error without a suspension in between.
final class TLSEngine {
    /// What is asked of the server's certificate.
    enum Verification: Sendable, Hashable {
        case none
        case authority(caFile: String?)
        /// A host name or a literal address.
        case identity(host: String, caFile: String?)
    }

    private let ssl: OpaquePointer
    /// Owned by `ssl`.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    init(_ parameters: TLSParameters) throws(Failure) {
        ERR_clear_error()
        let context = try Self.context(parameters.verification)
        defer { SSL_CTX_free(context) }
        guard let ssl = SSL_new(context) else { throw Self.failure("no TLS session") }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw Self.failure("no memory for TLS")
        }
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(ssl, incoming, outgoing)
        SSL_set_connect_state(ssl)
        if let host = parameters.host { try setHost(host, parameters.verification) }
        if let file = parameters.certificateFile { try setIdentity(file, parameters.keyFile ?? file) }
    }

    deinit { SSL_free(ssl) }

    /// The context without verification, shared by all connections.
    private static let unverified: Result<Shared, Failure> = {
        do throws(Failure) {
            return .success(Shared(pointer: try makeContext()))
        } catch {
            return .failure(error)
        }
    }()

    /// SSL_CTX counts its references by itself and is safe to share once it is set up.
    private struct Shared: @unchecked Sendable { let pointer: OpaquePointer }

    /// A context whose reference the caller owns.
    private static func context(_ verification: Verification) throws(Failure) -> OpaquePointer {
        switch verification {
        case .none:
            let shared = try unverified.get().pointer
            SSL_CTX_up_ref(shared)
            return shared
        case .authority(let caFile), .identity(_, let caFile):
            let context = try makeContext()
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            let loaded =
                if let caFile {
                    SSL_CTX_load_verify_locations(context, caFile, nil)
                } else {
                    SSL_CTX_set_default_verify_paths(context)
                }
            guard loaded == 1 else {
                SSL_CTX_free(context)
                throw failure("no certificates of authorities could be read from \(caFile ?? "the system's store")")
            }
            return context
        }
    }

    private static func makeContext() throws(Failure) -> OpaquePointer {
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw failure("no TLS context") }
        SSL_CTX_set_options(context, UInt64(1) << 30)  // SSL_OP_NO_RENEGOTIATION
        // MySQL 9.7 takes P-256, P-384 and P-521 only: OpenSSL's own first choice, X25519, would cost a round trip.
        let groups = SSL_CTX_ctrl(
            context, SSL_CTRL_SET_GROUPS_LIST, 0,
            UnsafeMutableRawPointer(mutating: ("P-256:X25519:P-384:P-521" as StaticString).utf8Start))
        let minimum = SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        guard groups == 1, minimum == 1 else {
            SSL_CTX_free(context)
            throw failure("TLS could not be set up")
        }
        return context
    }

    private func setHost(_ host: String, _ verification: Verification) throws(Failure) {
        // The scope of a link-local address is no part of a certificate.
        let bare = String(host.prefix { $0 != "%" })
        let parameters = SSL_get0_param(ssl)
        let isAddress = Self.isAddress(bare)
        if !isAddress {
            let set = bare.withCString { name in
                SSL_ctrl(
                    ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
                    UnsafeMutableRawPointer(mutating: name))
            }
            guard set == 1 else { throw Self.failure("\(bare) cannot be sent as server name") }
        }
        guard case .identity = verification else { return }
        X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        let set =
            isAddress
            ? X509_VERIFY_PARAM_set1_ip_asc(parameters, bare)
            : X509_VERIFY_PARAM_set1_host(parameters, bare, bare.utf8.count)
        guard set == 1 else { throw Self.failure("\(bare) cannot be verified as a certificate's name") }
    }

    private func setIdentity(_ certificateFile: String, _ keyFile: String) throws(Failure) {
        guard SSL_use_certificate_chain_file(ssl, certificateFile) == 1 else {
            throw Self.failure("no certificate could be read from \(certificateFile)")
        }
        // Without this OpenSSL would ask on the terminal for the passphrase of a key that has one.
        SSL_set_default_passwd_cb(ssl) { _, _, _, _ in 0 }
        guard SSL_use_PrivateKey_file(ssl, keyFile, SSL_FILETYPE_PEM) == 1, SSL_check_private_key(ssl) == 1 else {
            throw Self.failure("no private key of the certificate could be read from \(keyFile)")
        }
    }

    /// Offers to go on with an earlier session; the server may decline.
    func resume(_ session: TLSSession) {
        ERR_clear_error()
        SSL_set_session(ssl, session.pointer)
        ERR_clear_error()
    }

    var wasResumed: Bool { SSL_session_reused(ssl) == 1 }

    /// The session, once the server has sent a ticket for it.
    func resumableSession() -> TLSSession? {
        guard let pointer = SSL_get1_session(ssl) else { return nil }
        let session = TLSSession(owning: pointer)
        return SSL_SESSION_is_resumable(pointer) == 1 ? session : nil
    }

    /// Checks that the server has proved to have the key with this digest. After the handshake.
    func checkPinnedKey(_ digest: [UInt8]?) throws(Failure) {
        guard let digest else { return }
        guard let certificate = SSL_get1_peer_certificate(ssl) else {
            throw Failure(.tls, "the server showed no certificate")
        }
        defer { X509_free(certificate) }
        var encoded: UnsafeMutablePointer<UInt8>?
        let length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded)
        defer { CRYPTO_free(encoded, "", 0) }
        guard length > 0, let encoded,
            Scramble.sha256(Array(UnsafeBufferPointer(start: encoded, count: Int(length)))) == digest
        else { throw Failure(.tls, "the server's public key is not the pinned one") }
    }

    private static func isAddress(_ host: String) -> Bool {
        guard let parsed = a2i_IPADDRESS(host) else { return false }
        ASN1_OCTET_STRING_free(parsed)
        return true
    }

    /// One step of the handshake.
    /// - Returns: whether it is done; if not, more ciphertext is needed.
    func handshake() throws(Failure) -> Bool {
        ERR_clear_error()
        let status = SSL_do_handshake(ssl)
        if status == 1 { return true }
        let error = SSL_get_error(ssl, status)
        if error == SSL_ERROR_WANT_READ { return false }
        let verdict = SSL_get_verify_result(ssl)
        if verdict != Int(X509_V_OK) {
            let text = String(cString: X509_verify_cert_error_string(verdict))
            throw Failure(.tls, "the server's certificate is not trusted: \(text)")
        }
        throw Self.failure("the TLS handshake failed")
    }

    /// For example `TLSv1.3`.
    var version: String { String(cString: SSL_get_version(ssl)) }

    /// Takes ciphertext that came from the server.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        guard let count = Int32(exactly: bytes.count), BIO_write(incoming, bytes.baseAddress, count) == count else {
            throw Self.failure("no memory for TLS")
        }
    }

    /// Decrypts until the room is full or ciphertext is missing.
    func read(into room: UnsafeMutableRawBufferPointer) throws(Failure) -> Channel.ReadOutcome {
        var total = 0
        while total < room.count {
            ERR_clear_error()
            let wanted = Int32(clamping: room.count - total)
            let count = SSL_read(ssl, room.baseAddress.map { $0 + total }, wanted)
            if count > 0 {
                total += Int(count)
                continue
            }
            switch SSL_get_error(ssl, count) {
            case SSL_ERROR_WANT_READ: return total > 0 ? .bytes(total) : .wouldBlock
            case SSL_ERROR_ZERO_RETURN: return total > 0 ? .bytes(total) : .endOfStream
            default: throw Self.failure("what the server sent is not valid TLS")
            }
        }
        return .bytes(total)
    }

    /// Encrypts all of it.
    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        if bytes.isEmpty { return }
        ERR_clear_error()
        guard let count = Int32(exactly: bytes.count) else { throw Failure(.limit, "too much for one TLS write") }
        // A memory buffer takes everything, and renegotiation is off: there is nothing to wait for here.
        guard SSL_write(ssl, bytes.baseAddress, count) == count else { throw Self.failure("TLS could not encrypt") }
    }

    /// Says that nothing more will come.
    func shutdown() {
        ERR_clear_error()
        SSL_shutdown(ssl)
        ERR_clear_error()
    }

    /// The ciphertext that must go to the server.
    func takeOutput() -> [UInt8] {
        let pending = BIO_ctrl_pending(outgoing)
        if pending == 0 { return [] }
        return [UInt8](unsafeUninitializedCapacity: pending) { memory, count in
            count = max(0, Int(BIO_read(outgoing, memory.baseAddress, Int32(clamping: pending))))
        }
    }

    /// What OpenSSL has to say, with a sentence of ours before it.
    private static func failure(_ what: String) -> Failure {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return Failure(.tls, what) }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return Failure(.tls, "\(what): \(reason)")
    }
}
