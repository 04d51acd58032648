import COpenSSL
import Glibc
import Synchronization
import TestBed
import Testing

@testable import MySQLWire

/// Client certificates, pinned keys, resumed sessions, and a server with other curves than MySQL's.
@Suite(.serialized)
struct TLSSessionTests {
    /// SHA-256 of the public key of a certificate in a PEM file.
    private func keyDigest(_ file: String) throws -> [UInt8] {
        let bio = try #require(BIO_new_file(file, "r"))
        defer { BIO_free(bio) }
        let certificate = try #require(PEM_read_bio_X509(bio, nil, nil, nil))
        defer { X509_free(certificate) }
        var encoded: UnsafeMutablePointer<UInt8>?
        let length = i2d_PUBKEY(X509_get0_pubkey(certificate), &encoded)
        defer { CRYPTO_free(encoded, "", 0) }
        return Scramble.sha256(Array(UnsafeBufferPointer(start: encoded, count: Int(length))))
    }

    private func connect(_ options: ConnectionOptions) async throws -> HandshakeFacts {
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        let handshake = connection.handshake
        await connection.close()
        return handshake
    }

    @Test func certificatesPinsAndTickets() async throws {
        let certificates = try TestCertificates(names: "IP:127.0.0.1")
        defer { certificates.remove() }
        let stranger = try TestCertificates(names: "IP:127.0.0.1")
        defer { stranger.remove() }
        try await withServer(options: certificates.serverOptions) { server in
            try await server.sql("CREATE USER sealed IDENTIFIED BY 'secret' REQUIRE X509; GRANT ALL ON *.* TO sealed")
            var options = server.connectionOptions(.agent)
            options.tls = .verifyIdentity
            options.tlsCAFile = certificates.authority

            // The first connection leaves a ticket for the second, that one for the third.
            #expect(try await connect(options).tlsResumed == false)
            #expect(try await connect(options).tlsResumed)
            #expect(try await connect(options).tlsResumed)
            var other = options
            other.tls = .required
            #expect(try await connect(other).tlsResumed == false, "other parameters, other sessions")
            other = options
            other.tlsResumption = false
            #expect(try await connect(other).tlsResumed == false)
            other = options
            other.tlsCAFile = stranger.authority
            let untrusted = await failure { _ = try await connect(other) }
            #expect(untrusted?.code == .tls, "a ticket does not stand in for a certificate")

            var sealed = options
            sealed.user = "sealed"
            sealed.password = Secret("secret")
            let bare = await failure { _ = try await connect(sealed) }
            #expect(bare?.number == 1045)
            sealed.tlsCertificateFile = certificates.folder + "/cert.pem"
            sealed.tlsKeyFile = certificates.folder + "/key.pem"
            for resumed in [false, true] { #expect(try await connect(sealed).tlsResumed == resumed) }
            sealed.tlsKeyFile = stranger.folder + "/key.pem"
            let wrongKey = await failure { _ = try await connect(sealed) }
            #expect(wrongKey?.code == .tls)
            sealed.tlsCertificateFile = "/no/such/file.pem"
            let noFile = await failure { _ = try await connect(sealed) }
            #expect(noFile?.code == .tls)

            var pinned = server.connectionOptions(.agent)
            pinned.tlsPinnedKey = try keyDigest(certificates.folder + "/cert.pem")
            for resumed in [false, true] { #expect(try await connect(pinned).tlsResumed == resumed) }
            pinned.tlsPinnedKey = try keyDigest(stranger.folder + "/cert.pem")
            let wrongPin = await failure { _ = try await connect(pinned) }
            #expect(wrongPin?.code == .tls)
            #expect(wrongPin?.phase == .tls)
            pinned.tls = .disabled
            let disabled = await failure { _ = try await connect(pinned) }
            #expect(disabled?.code == .configuration)

            // A server that starts again knows none of its tickets.
            await server.kill()
            try await server.start()
            #expect(try await connect(options).tlsResumed == false)
            #expect(try await connect(options).tlsResumed)

            try await server.sql("SET GLOBAL tls_version = 'TLSv1.2'; ALTER INSTANCE RELOAD TLS")
            let older = try await connect(options)
            #expect(older.tlsVersion == "TLSv1.2")
            #expect(older.tlsResumed == false)
            #expect(try await connect(options).tlsResumed)
        }
    }

    @Test func aPinNeedsTLS() async throws {
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting()))
            peer.stall()
        }
        defer { server.stop() }
        var options = server.options
        options.tls = .preferred
        options.tlsPinnedKey = [UInt8](repeating: 1, count: 32)
        let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(error?.code == .tls)
        try await eventually("the connection is closed") { server.openConnections == 0 }
        #expect(server.received.isEmpty)
    }

    /// Such a server asks for another key share than the one that came unasked.
    @Test(arguments: ["X25519", "P-384", "P-256"])
    func aServerWithOneCurve(_ curve: String) async throws {
        let certificates = try TestCertificates(names: "IP:127.0.0.1")
        defer { certificates.remove() }
        let folder = certificates.folder
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting(without: [])))
            try peer.packet()
            peer.withTLS(folder, curves: curve) { accepted, ssl in
                guard accepted else { return }
                peer.letIn(ssl)
                // Until the client says goodbye.
                while peer.read(ssl) != nil {}
            }
        }
        defer { server.stop() }
        var options = server.options
        options.tls = .verifyIdentity
        options.tlsCAFile = certificates.authority
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        #expect(connection.handshake.tlsVersion == "TLSv1.3")
        #expect(connection.handshake.authentication == .cachingSHA2Fast)
        await connection.close()
    }

    /// Such a certificate is found out before a byte of the authentication leaves.
    @Test(arguments: [TLSMode.verifyCA, .verifyIdentity, .required])
    func aCertificateThatIsNotTrustedIsToldNothing(_ mode: TLSMode) async throws {
        let certificates = try TestCertificates(names: mode == .verifyIdentity ? "DNS:another.example" : "IP:127.0.0.1")
        defer { certificates.remove() }
        let stranger = try TestCertificates(names: "IP:127.0.0.1")
        defer { stranger.remove() }
        let folder = certificates.folder
        let told = Mutex<[[UInt8]]>([])
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting(without: [])))
            try peer.packet()
            peer.withTLS(folder) { _, ssl in
                while let bytes = peer.read(ssl) { told.withLock { $0.append(bytes) } }
            }
        }
        defer { server.stop() }
        var options = server.options
        options.tls = mode
        options.tlsCAFile = mode == .verifyCA ? stranger.authority : certificates.authority
        // The mode without verification: by the key that is pinned.
        if mode == .required { options.tlsPinnedKey = try keyDigest(stranger.folder + "/cert.pem") }
        let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(error?.code == .tls)
        #expect(error?.phase == .tls)
        try await eventually("the connection is closed") { server.openConnections == 0 }
        #expect(told.withLock { $0 }.isEmpty)
        #expect(server.received.count == 36, "the SSLRequest, and nothing else in clear")
    }

    /// A stream that ends without a reply's end is never taken for one, whether TLS ended well or not.
    @Test(arguments: [false, true])
    func aConnectionThatIsCutInTheMiddleOfTheRows(_ notified: Bool) async throws {
        let certificates = try TestCertificates(names: "IP:127.0.0.1")
        defer { certificates.remove() }
        let folder = certificates.folder
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting(without: [])))
            try peer.packet()
            peer.withTLS(folder) { accepted, ssl in
                guard accepted else { return }
                peer.letIn(ssl)
                _ = peer.read(ssl)
                let rows = FaultTests.header + frame(3, Packets.row(["1"])) + frame(4, Packets.row(["2"]))
                SSL_write(ssl, rows, Int32(rows.count))
                if notified { SSL_shutdown(ssl) }
            }
        }
        defer { server.stop() }
        var options = server.options
        options.tls = .required
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        let error = await failure { _ = try await connection.query("SELECT a", deadline: soon) }
        #expect(error?.code == .closed, "\(error?.description ?? "taken for the end")")
        #expect(error?.phase == .reply)
        #expect(!connection.isOpen)
    }
}

extension FakeServer.Peer {
    /// Accepts TLS with the certificate of a folder.
    /// - Parameter body: gets whether the handshake succeeded.
    func withTLS(_ folder: String, curves: String? = nil, _ body: (Bool, OpaquePointer?) -> Void) {
        // OpenSSL writes with write(2): a client that has gone must not end this process.
        var pipe = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipe, nil)
        let context = SSL_CTX_new(TLS_server_method())
        defer { SSL_CTX_free(context) }
        SSL_CTX_use_certificate_file(context, folder + "/cert.pem", SSL_FILETYPE_PEM)
        SSL_CTX_use_PrivateKey_file(context, folder + "/key.pem", SSL_FILETYPE_PEM)
        _ = curves?.withCString {
            SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, UnsafeMutableRawPointer(mutating: $0))
        }
        let ssl = SSL_new(context)
        defer { SSL_free(ssl) }
        SSL_set_fd(ssl, descriptor)
        body(SSL_accept(ssl) == 1, ssl)
    }

    /// What the client says next; nil if it has gone.
    func read(_ ssl: OpaquePointer?) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: 4096)
        let count = SSL_read(ssl, &room, 4096)
        return count > 0 ? Array(room.prefix(Int(count))) : nil
    }

    /// Lets the client in by the fast path.
    func letIn(_ ssl: OpaquePointer?) {
        guard read(ssl) != nil else { return }
        let answer = frame(3, [1, 3]) + frame(4, Packets.ok())
        SSL_write(ssl, answer, Int32(answer.count))
    }
}
