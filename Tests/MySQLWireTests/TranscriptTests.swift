import COpenSSL
import TestBed
import Testing

@testable import MySQLWire

/// Whole logins over a socket, byte for byte: what a server sends, and what it must get. The proofs are those of
/// another implementation of SHA-1 and SHA-256, for the password `secret`.
struct TranscriptTests {
    struct Login: Sendable, CustomTestStringConvertible {
        var name: String
        var password = "secret"
        /// The plugin that the greeting names.
        var plugin = "caching_sha2_password"
        /// What the server sends after each packet of the client; the greeting comes before.
        var server: [[UInt8]]
        /// The proof in the client's handshake response, in hexadecimal digits.
        var proof: String
        /// The frames that the client sends after that.
        var further = ""
        var expected: HandshakeFacts.Authentication?
        /// Of the ERR packet.
        var number: UInt16?
        var testDescription: String { name }
    }

    /// For a nonce of 1 to 20.
    private static let caching = "746ebe205d56a0707acb3e796e834e0dd7b1d61743b26bd5202c7a623230c7c9"
    private static let native = "b32bb3a583e1340c0a1108d58b1be49781ad8c2f"
    /// For a nonce of 101 to 120.
    private static let caching2 = "2c1a320fc6146cf1498e533518f46a9f768afe92573087f4bbe5d156c9dcfe76"
    private static let native2 = "bf5ad84441b90818cc6031e816088c817334a60b"

    private static let ok = "0700000200000002000000"
    private static let nonce2 = (101...120).map { String($0, radix: 16) }.joined()
    private static let toNative = "2c000002fe" + "6d7973716c5f6e61746976655f70617373776f726400" + nonce2 + "00"
    private static let toCaching = "2c000002fe" + "63616368696e675f736861325f70617373776f726400" + nonce2 + "00"
    private static let toClear = "2b000002fe" + "6d7973716c5f636c6561725f70617373776f726400" + nonce2 + "00"
    private static let denied = "17000002ff1504" + "233238303030" + "4163636573732064656e69656421"

    static let logins: [Login] = [
        Login(
            name: "fast", server: [hex("020000020103" + "0700000300000002000000")], proof: caching,
            expected: .cachingSHA2Fast),
        Login(
            name: "fast, then an error", server: [hex("020000020103" + "09000003ff1904" + "233432303030")],
            proof: caching, number: 1049),
        Login(name: "wrong password", server: [hex(denied)], proof: caching, number: 1045),
        Login(name: "no password", password: "", server: [hex(ok)], proof: "", expected: .emptyPassword),
        Login(
            name: "native", plugin: "mysql_native_password", server: [hex(ok)], proof: native,
            expected: .nativePassword),
        Login(
            name: "switch to native", server: [hex(toNative), hex("0700000400000002000000")], proof: caching,
            further: "14000003" + native2, expected: .nativePassword),
        Login(
            name: "switch to caching_sha2", plugin: "mysql_native_password",
            server: [hex(toCaching), hex("020000040103" + "0700000500000002000000")], proof: native,
            further: "20000003" + caching2, expected: .cachingSHA2Fast),
        Login(
            name: "a second switch", server: [hex(toNative), hex(toCaching.replacing("2c000002", with: "2c000004"))],
            proof: caching, further: "14000003" + native2),
        Login(name: "asked for the password in clear", server: [hex(toClear)], proof: caching),
    ]

    @Test(arguments: logins)
    func login(_ login: Login) async throws {
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting(plugin: login.plugin)))
            for bytes in login.server {
                try peer.packet()
                try peer.send(bytes)
            }
            peer.stall()
        }
        defer { server.stop() }
        var options = server.options
        options.password = Secret(login.password)
        let error = await failure {
            let connection = try await MySQLConnection.connect(
                options, without: .connectAttributes, deadline: soon)
            #expect(connection.handshake.authentication == login.expected)
            connection.abort()
        }
        #expect((error == nil) == (login.expected != nil), "\(error?.description ?? "let in")")
        #expect(error?.number == login.number)
        try await eventually("the connection is closed") { server.openConnections == 0 }
        #expect(server.received == response(login) + hex(login.further))
    }

    /// The client's handshake response: capabilities, packet size 1 GiB, utf8mb4, the user, the proof, the plugin.
    private func response(_ login: Login) -> [UInt8] {
        let proof = hex(login.proof)
        let payload =
            hex("05a2aa01" + "00000040" + "ff" + String(repeating: "00", count: 23)) + Array("watchdog\0".utf8)
            + [UInt8(proof.count)] + proof + Array((login.plugin + "\0").utf8)
        return frame(1, payload)
    }

    @Test func theFullPathUnderTheServersKey() async throws {
        let key = try #require(RSAKey.make())
        defer { EVP_PKEY_free(key) }
        let pem = Array(RSAKey.pem(key).utf8)
        let server = try FakeServer { peer in
            try peer.send(frame(0, Packets.greeting()))
            try peer.packet()
            try peer.send(hex("020000020104"))
            try peer.packet()
            try peer.send(frame(4, [1] + pem))
            try peer.packet()
            try peer.send(hex("0700000600000002000000"))
            peer.stall()
        }
        defer { server.stop() }
        let connection = try await MySQLConnection.connect(
            server.options, without: .connectAttributes, deadline: soon)
        #expect(connection.handshake.authentication == .cachingSHA2FullRSA)
        connection.abort()
        try await eventually("the connection is closed") { server.openConnections == 0 }
        let received = server.received
        let login = response(Login(name: "", server: [], proof: Self.caching))
        #expect(received.starts(with: login + hex("0100000302")))
        let cipher = Array(received.dropFirst(login.count + 5))
        #expect(cipher.starts(with: hex("00010005")))
        // XOR of the password and its NUL with the nonce of 1 to 20.
        #expect(RSAKey.decrypt(Array(cipher.dropFirst(4)), key) == hex("72676076607207"))
    }
}
