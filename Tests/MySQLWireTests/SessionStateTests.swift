import TestBed
import Testing

@testable import MySQLWire

/// What a session is when it is handed out, whatever the server's settings or an earlier user have made of it.
@Suite(.serialized) struct SessionStateTests {
    /// Texts that end a quoted literal early where backslashes are plain characters, or where one is the second byte of a
    /// character.
    static let texts = [
        #"\' OR 1 = 1 -- "#, #"中\' OR 1 = 1 -- "#, "ends with \\", "中\\", "two\nlines", "Zoë's \"name\"",
    ]

    @Test(arguments: [
        "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'", "SET NAMES gbk",
        "SET NAMES gbk, SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
    ])
    func literalsHoldWhateverInitConnectSets(_ statement: String) async throws {
        try await withServer(options: ["--init-connect=\(statement)"]) { server in
            var options = server.connectionOptions(.application)
            options.publicKeyRetrieval = .allowed
            let connection = try await MySQLConnection.connect(options, deadline: soon)
            defer { connection.abort() }
            func holds(_ when: String) async throws {
                for text in Self.texts {
                    let answer = try await connection.query("SELECT \(SQLText.literal(text))", deadline: soon)
                    #expect(answer.columns.count == 1 && answer.rows.first?.string(0) == text, "\(when): \(text)")
                }
            }
            try await holds("after the login")
            try await connection.resetSession(deadline: soon)
            try await holds("after a reset")
            try await connection.changeUser(
                TestAccount.application.user, password: Secret(TestAccount.application.password), deadline: soon)
            try await holds("after a change of the user")
        }
    }

    @Test func furtherSettingsAreSetAgainWithEachNewState() async throws {
        try await withServer(options: ["--init-connect=SET autocommit = 0, sql_select_limit = 1"]) { server in
            var options = server.connectionOptions(.application)
            options.publicKeyRetrieval = .allowed
            options.sessionSettings = {
                $0.flavor == .mysql ? ["autocommit = 1", "of_another_version = 1", "sql_select_limit = 7"] : []
            }
            let connection = try await MySQLConnection.connect(options, deadline: soon)
            defer { connection.abort() }
            func holds() async throws -> Bool {
                let row = try await connection.query(
                    "SELECT @@autocommit AS commits, @@sql_select_limit AS most", deadline: soon
                ).rows.first
                return row?.int("commits") == 1 && row?.int("most") == 7
            }
            #expect(try await holds(), "after the login")
            _ = try await connection.query("SET autocommit = 0", deadline: soon)
            try await connection.resetSession(deadline: soon)
            #expect(try await holds(), "after a reset")
            try await connection.changeUser(
                TestAccount.application.user, password: Secret(TestAccount.application.password), deadline: soon)
            #expect(try await holds(), "after a change of the user")

            // One that is refused for another reason is not as the caller wants it.
            options.sessionSettings = { _ in ["transaction_isolation = 'NONE'"] }
            await #expect(throws: MySQLError.self) {
                try await MySQLConnection.connect(options, deadline: soon).abort()
            }
        }
    }

    @Test func aPoolLendsNoSessionOfAnotherUserOrDatabase() async throws {
        try await withServer { server in
            var limits = MySQLPool.Limits()
            limits.connections = 1
            limits.healthCheck = .seconds(20)
            let pool = MySQLPool(server.connectionOptions(.agent), limits: limits)
            let changes: [(String, @Sendable (MySQLConnection) async throws -> Void)] = [
                (
                    "changeUser",
                    {
                        try await $0.changeUser(
                            TestAccount.application.user, password: Secret(TestAccount.application.password),
                            deadline: soon)
                    }
                ),
                ("useDatabase", { try await $0.useDatabase("mysql", deadline: soon) }),
                ("USE", { _ = try await $0.query("USE mysql", deadline: soon) }),
            ]
            for (name, change) in changes {
                try await pool.withConnection(deadline: soon) { try await change($0) }
                let row = try await pool.withConnection(deadline: soon) {
                    try await $0.query("SELECT CURRENT_USER(), DATABASE()", deadline: soon).rows.first
                }
                #expect(row?.string(0) == "\(TestAccount.agent.user)@%" && row?.string(1) == nil, "\(name)")
            }
            let first = try await pool.withConnection(deadline: soon) { $0.connectionID }
            let second = try await pool.withConnection(deadline: soon) { $0.connectionID }
            #expect(first == second, "others are lent again")
            pool.close()
        }
    }

    @Test func rowsBeforeAnErrorAreHandedOut() async throws {
        let rows = frame(1, [1]) + frame(2, Packets.column("a")) + frame(3, Packets.row(["x"]))
        let endings: [[UInt8]] = [
            frame(4, Packets.error(1317, "interrupted")),
            // A result set that is whole, then an ERR where another was announced: CALL, then SIGNAL.
            frame(4, Packets.ok(status: 0x000A, header: 0xFE)) + frame(5, Packets.error(1644, "no")),
        ]
        for ending in endings {
            let server = try FakeServer { peer in
                try peer.letIn()
                try peer.packet()
                try peer.send(rows + ending)
                peer.stall()
            }
            defer { server.stop() }
            let connection = try await MySQLConnection.connect(server.options, deadline: soon)
            let stream = try await connection.stream("CALL p()", deadline: soon)
            let batch = try #require(try await stream.next(deadline: soon))
            #expect(batch.rowCount == 1 && batch.string(row: 0, column: 0) == "x")
            let error = await failure { _ = try await stream.next(deadline: soon) }
            #expect(error?.number != nil)
            #expect(connection.isOpen, "an ERR in its place leaves the connection usable")
            #expect(try await stream.next(deadline: soon) == nil)
            connection.abort()
        }
    }

    /// Before any authentication a server can say what it likes.
    @Test func nothingThatAServerSaysIsRawInAnError() async throws {
        let server = try FakeServer { peer in
            try peer.send(
                frame(0, Packets.error(1040, state: nil, "full\r\nOK  cluster shop\u{1B}[2J\u{9B}1A\u{202E}\u{7}")))
            peer.stall()
        }
        defer { server.stop() }
        let error = try #require(
            await failure { _ = try await MySQLConnection.connect(server.options, deadline: soon) })
        for text in ["\(error)", String(reflecting: error), "\(error.serverError.map { "\($0)" } ?? "")"] {
            #expect(!text.unicodeScalars.contains(where: PrintableText.isControl), "\(text)")
        }
        #expect("\(error)".contains("full\\r\\nOK"))
    }
}
