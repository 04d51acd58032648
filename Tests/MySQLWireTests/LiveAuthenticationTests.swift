import TestBed
import Testing

@testable import MySQLWire

/// Which way the authentication goes on a real MySQL 9.7, by road and by the state of the server's cache.
@Suite(.server(.mysql), .serialized)
struct LiveAuthenticationTests {
    enum Road: CaseIterable { case tls, clear, unix }

    private func options(_ road: Road, _ server: MySQLServer) -> ConnectionOptions {
        var options = server.connectionOptions(.agent)
        switch road {
        case .tls: options.tls = .required
        case .clear: options.tls = .disabled
        case .unix: options.address = .unix(path: server.socketPath)
        }
        return options
    }

    @Test(arguments: Road.allCases)
    func coldCacheTakesTheFullPathAndThenTheFastOne(_ road: Road) async throws {
        let server = try SharedServer.current
        try await server.sql("FLUSH PRIVILEGES")
        let options = options(road, server)
        let expected: [HandshakeFacts.Authentication] = [
            road == .tls ? .cachingSHA2FullTLS : road == .unix ? .cachingSHA2FullUnix : .cachingSHA2FullRSA,
            .cachingSHA2Fast, .cachingSHA2Fast,
        ]
        for authentication in expected {
            let connection = try await MySQLConnection.connect(options, deadline: soon)
            #expect(connection.handshake.authentication == authentication)
            #expect(connection.handshake.tlsVersion == (road == .tls ? "TLSv1.3" : nil))
            #expect((connection.handshake.encrypted != nil) == (road == .tls))
            let rows = try await connection.query("SELECT CONNECTION_ID(), CURRENT_USER()", deadline: soon).rows
            #expect(rows.first?.int(0) == Int64(connection.connectionID))
            #expect(rows.first?.string(1) == "watchdog@%")
            await connection.close()
        }
    }

    @Test(arguments: [0, 1, 19, 20, 21, 64, 100])
    func passwordsOfEveryLength(_ length: Int) async throws {
        let server = try SharedServer.current
        let password = String(String(repeating: "pä'\\\"wörd€", count: 30).prefix(length))
        try await server.sql(
            "DROP USER IF EXISTS lengths; CREATE USER lengths IDENTIFIED BY \(SQLText.literal(password))")
        for road in Road.allCases {
            try await server.sql("FLUSH PRIVILEGES")
            var options = options(road, server)
            options.user = "lengths"
            options.password = Secret(password)
            for _ in 0..<2 {
                let connection = try await MySQLConnection.connect(options, deadline: soon)
                if length == 0 { #expect(connection.handshake.authentication == .emptyPassword) }
                await connection.close()
            }
        }
    }

    /// 255 bytes are too many for a key of 2,048 bits.
    @Test(arguments: Road.allCases)
    func aVeryLongPassword(_ road: Road) async throws {
        let server = try SharedServer.current
        let password = String(repeating: "0123456789abcde", count: 17)
        try await server.sql("DROP USER IF EXISTS longest; CREATE USER longest IDENTIFIED BY '\(password)'")
        var options = options(road, server)
        options.user = "longest"
        options.password = Secret(password)
        let error = await failure {
            for _ in 0..<2 {
                let connection = try await MySQLConnection.connect(options, deadline: soon)
                await connection.close()
            }
        }
        if road == .clear {
            #expect(error?.code == .authentication)
            #expect(error?.message.contains("too long") == true)
            #expect(error.map { !$0.description.contains(password) } == true)
        } else {
            #expect(error == nil)
        }
    }

    @Test(arguments: Road.allCases)
    func aWrongPasswordIsTheServersOwnError(_ road: Road) async throws {
        let server = try SharedServer.current
        var options = options(road, server)
        options.password = Secret("not-the-password")
        let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(error?.number == 1045)
        #expect(error?.serverError?.sqlState == "28000")
        #expect(error?.phase == .authentication)
        #expect(error.map { !$0.description.contains("not-the-password") } == true)
    }

    @Test(arguments: Road.allCases)
    func anAccountWithSHA256Password(_ road: Road) async throws {
        let server = try SharedServer.current
        let password = "a password of more than 20 bytes, pä"
        try await server.sql(
            "DROP USER IF EXISTS old, bare; CREATE USER old IDENTIFIED WITH sha256_password BY '\(password)'; "
                + "CREATE USER bare IDENTIFIED WITH sha256_password BY ''")
        var options = options(road, server)
        options.user = "old"
        options.password = Secret(password)
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        #expect(connection.handshake.authentication == (road == .tls ? .sha256TLS : .sha256RSA))
        #expect(connection.handshake.switchedPlugin)
        await connection.close()
        options.password = Secret("not-the-password")
        let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(error?.number == 1045)
        options.user = "bare"
        options.password = Secret("")
        let bare = try await MySQLConnection.connect(options, deadline: soon)
        #expect(bare.handshake.authentication == .emptyPassword)
        await bare.close()
    }

    @Test func theServerSeesWhoConnects() async throws {
        let server = try SharedServer.current
        var options = options(.clear, server)
        options.programName = "wire-tests"
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        let rows = try await connection.query(
            """
            SELECT attr_value, @@character_set_client, @@collation_connection
            FROM performance_schema.session_connect_attrs
            WHERE processlist_id = CONNECTION_ID() AND attr_name = 'program_name'
            """, deadline: soon
        ).rows
        #expect((0..<3).map { rows.first?.string($0) } == ["wire-tests", "utf8mb4", "utf8mb4_0900_ai_ci"])
        await connection.close()
    }

    @Test func tooManyConnectionsIsSaidBeforeTheGreeting() async throws {
        let server = try SharedServer.current
        let options = options(.clear, server)
        let keeper = try await MySQLConnection.connect(server.rootOptions, deadline: soon)
        _ = try await keeper.query("SET GLOBAL max_connections = 1", deadline: soon)
        // One more than max_connections is kept for administrators, who find it taken.
        var taken: [MySQLConnection] = []
        var refused: MySQLError?
        for _ in 0..<5 where refused == nil {
            refused = await failure { taken.append(try await MySQLConnection.connect(options, deadline: soon)) }
        }
        #expect(refused?.number == 1040)
        for connection in taken { await connection.close() }
        _ = try await keeper.query("SET GLOBAL max_connections = 151", deadline: soon)
        await keeper.close()
    }

    @Test func aSessionThatReadsBackslashesLiterallyIsPutRight() async throws {
        let server = try SharedServer.current
        try await server.sql("SET GLOBAL sql_mode = CONCAT(@@GLOBAL.sql_mode, ',NO_BACKSLASH_ESCAPES')")
        let connection = try await MySQLConnection.connect(options(.clear, server), deadline: soon)
        let text = "a\\b'c\"d\n\0ä€𝄞"
        let rows = try await connection.query("SELECT \(SQLText.literal(text)), @@sql_mode", deadline: soon).rows
        #expect(rows.first?.string(0) == text)
        #expect(rows.first?.string(1)?.contains("NO_BACKSLASH_ESCAPES") == false)
        #expect(rows.first?.string(1)?.contains("STRICT_TRANS_TABLES") == true)
        await connection.close()
        try await server.sql("SET GLOBAL sql_mode = REPLACE(@@GLOBAL.sql_mode, 'NO_BACKSLASH_ESCAPES', '')")
    }
}
