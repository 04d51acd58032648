import TestBed
import Testing

@testable import MySQLWire

@Suite(.serialized)
struct TLSTests {
    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0...].starts(with: part) }
    }

    @Test(arguments: [TLSMode.required, .verifyCA, .verifyIdentity])
    func noTLSNoAuthentication(_ mode: TLSMode) async throws {
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting()))
            peer.stall()
        }
        defer { server.stop() }
        var options = server.options
        options.tls = mode
        let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(error?.code == .tls)
        #expect(error?.message.contains(mode.rawValue) == true)
        try await eventually("the connection is closed") { server.openConnections == 0 }
        #expect(server.received.isEmpty, "not one byte may leave")
    }

    @Test func bytesInClearBehindTheGreetingEndTheConnection() async throws {
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting(without: [])) + frame(2, Packets.ok()))
            peer.stall()
        }
        defer { server.stop() }
        var options = server.options
        options.tls = .required
        let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(error?.code == .protocolViolation)
        try await eventually("the connection is closed") { server.openConnections == 0 }
        #expect(server.received.isEmpty)
    }

    /// What a server that stalls after the greeting is told: an SSLRequest and a ClientHello, and not who we are.
    @Test func aStalledHandshakeEndsAtTheDeadlineAndTellsNothing() async throws {
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting(without: [])))
            peer.stall()
        }
        defer { server.stop() }
        var options = server.options
        options.tls = .preferred
        let late = try await onOwnThread { [options] in
            // Long enough for the client's first words on a machine that is busy.
            let deadline = Deadline.after(.seconds(2))
            let error = await failure { _ = try await MySQLConnection.connect(options, deadline: deadline) }
            #expect(error?.code == .timeout)
            #expect(error?.phase == .tls)
            return deadline.instant.duration(to: .now)
        }
        #expect(late < FaultTests.allowance)
        try await eventually("the connection is closed") { server.openConnections == 0 }
        let received = server.received
        #expect(received.starts(with: [32, 0, 0, 1]))
        #expect(received.dropFirst(36).first == 0x16, "a TLS handshake record follows at once")
        #expect(contains(received, [0x00, 0x17, 0x00, 0x41, 0x04]), "a P-256 key share is sent unasked")
        #expect(!contains(received, Array("watchdog".utf8)))
    }

    @Test func nonsenseInsteadOfTLSIsATypedError() async throws {
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting(without: [])))
            try peer.packet()
            try peer.send(Array("this is no TLS record at all".utf8))
            peer.stall()
        }
        defer { server.stop() }
        var options = server.options
        options.tls = .required
        let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(error?.code == .tls)
        #expect(error?.phase == .tls)
        #expect(!contains(server.received, Array("watchdog".utf8)))
    }

    @Test func theModesOnARealServer() async throws {
        let certificates = try TestCertificates(names: "IP:127.0.0.1,DNS:db.example")
        defer { certificates.remove() }
        let stranger = try TestCertificates(names: "IP:127.0.0.1")
        defer { stranger.remove() }
        try await withServer(options: certificates.serverOptions) { server in
            func connect(
                _ mode: TLSMode, ca: String? = nil, host: String = "127.0.0.1", unix: Bool = false
            ) async throws -> HandshakeFacts {
                var options = server.connectionOptions(.agent)
                options.address =
                    unix ? .unix(path: server.socketPath) : .tcp(host: host, port: server.port)
                options.tls = mode
                options.tlsCAFile = ca
                let connection = try await MySQLConnection.connect(options, deadline: soon)
                let status = try await connection.query("SHOW STATUS LIKE 'Ssl_version'", deadline: soon)
                #expect(status.rows.first?.string(1) == connection.handshake.tlsVersion ?? "")
                await connection.close()
                return connection.handshake
            }
            #expect(try await connect(.disabled).tlsVersion == nil)
            #expect(try await connect(.preferred).tlsVersion == "TLSv1.3")
            #expect(try await connect(.preferred, unix: true).tlsVersion == nil)
            #expect(try await connect(.required, unix: true).tlsVersion == "TLSv1.3")
            #expect(try await connect(.required).tlsVersion == "TLSv1.3")
            #expect(try await connect(.verifyCA, ca: certificates.authority).tlsVersion == "TLSv1.3")
            #expect(try await connect(.verifyCA, ca: certificates.authority, host: "localhost").tlsVersion != nil)
            #expect(try await connect(.verifyIdentity, ca: certificates.authority).tlsVersion == "TLSv1.3")

            let untrusted: [(TLSMode, String?, String)] = [
                (.verifyCA, nil, "127.0.0.1"), (.verifyCA, stranger.authority, "127.0.0.1"),
                (.verifyCA, "/no/such/file.pem", "127.0.0.1"), (.verifyIdentity, stranger.authority, "127.0.0.1"),
                (.verifyIdentity, certificates.authority, "localhost"),
            ]
            for (mode, ca, host) in untrusted {
                let error = await failure { _ = try await connect(mode, ca: ca, host: host) }
                #expect(error?.code == .tls, "\(mode) \(ca ?? "system") \(host)")
                #expect(error?.phase == .tls)
            }

            try await server.sql("SET GLOBAL tls_version = 'TLSv1.2'; ALTER INSTANCE RELOAD TLS")
            #expect(try await connect(.verifyIdentity, ca: certificates.authority).tlsVersion == "TLSv1.2")
        }
    }
}
