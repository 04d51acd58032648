import TestBed
import Testing

@testable import MySQLWire

/// Statements and their answers on both kinds of server.
enum LiveQueries {
    static func connect(without: Capabilities = []) async throws -> MySQLConnection {
        try await MySQLConnection.connect(
            try SharedServer.current.connectionOptions(.agent), without: without, deadline: soon)
    }

    static func valuesComeBack(_ connection: MySQLConnection) async throws {
        let result = try await connection.query(
            "SELECT 1 AS one, NULL AS Nothing, '' AS vacant, 'ä€𝄞' AS text, x'00FF27' AS bytes", deadline: soon)
        let row = try #require(result.rows.first)
        #expect(result.columns.map(\.name) == ["one", "Nothing", "vacant", "text", "bytes"])
        #expect(row.int("one") == 1)
        #expect(row.bytes(1) == nil)
        #expect(row.string("VACANT") == "")
        #expect(row.string("text") == "ä€𝄞")
        #expect(row.bytes(4) == [0x00, 0xFF, 0x27])
        #expect(row.string("no such column") == nil)
    }

    static func changesAreCounted(_ connection: MySQLConnection) async throws {
        for statement in [
            "CREATE DATABASE IF NOT EXISTS wire", "DROP TABLE IF EXISTS wire.t",
            "CREATE TABLE wire.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
        ] {
            _ = try await connection.query(statement, deadline: soon)
        }
        let insert = try await connection.query("INSERT INTO wire.t (v) VALUES (1), (2), (3)", deadline: soon)
        #expect(insert.affectedRows == 3)
        #expect(insert.lastInsertID == 1)
        let empty = try await connection.query("SELECT * FROM wire.t WHERE id > 100", deadline: soon)
        #expect(empty.rows.isEmpty)
        #expect(empty.columns.map(\.name) == ["id", "v"])
        let stream = try await connection.stream("DELETE FROM wire.t", deadline: soon)
        #expect(stream.columns.isEmpty)
        #expect(try await stream.next(deadline: soon) == nil)
    }

    static func anErrorLeavesTheConnectionUsable(_ connection: MySQLConnection) async throws {
        let error = await failure {
            _ = try await connection.query("SELECT * FROM wire.nowhere", purpose: "look", deadline: soon)
        }
        #expect(error?.number == 1146)
        #expect(error?.serverError?.sqlState == "42S02")
        #expect(error?.description.contains("(look)") == true)
        #expect(try await connection.query("SELECT 5", deadline: soon).rows.first?.int(0) == 5)
        let two = await failure { _ = try await connection.query("SELECT 1; SELECT 2", deadline: soon) }
        #expect(two?.number == 1064, "one statement at a time")
        let local = await failure {
            _ = try await connection.query("LOAD DATA LOCAL INFILE '/etc/hosts' INTO TABLE wire.t", deadline: soon)
        }
        #expect(local?.code == .server)
        try await connection.ping(deadline: soon)
    }

    static func severalResultsAreReadToTheirEnd(_ connection: MySQLConnection) async throws {
        _ = try await connection.query("CREATE DATABASE IF NOT EXISTS wire", deadline: soon)
        _ = try await connection.query("DROP PROCEDURE IF EXISTS wire.p", deadline: soon)
        _ = try await connection.query(
            "CREATE PROCEDURE wire.p(bad INT) BEGIN SELECT 1 UNION SELECT 2; SELECT 3; "
                + "IF bad THEN SIGNAL SQLSTATE '45000'; END IF; END", deadline: soon)
        for _ in 0..<3 {
            let rows = try await connection.query("CALL wire.p(0)", deadline: soon).rows
            #expect(rows.map { $0.int(0) } == [1, 2])
            let error = await failure { _ = try await connection.query("CALL wire.p(1)", deadline: soon) }
            #expect(error?.number == 1644)
            let stream = try await connection.stream("CALL wire.p(0)", deadline: soon)
            var count = 0
            while let batch = try await stream.next(deadline: soon) { count += batch.rowCount }
            #expect(count == 2)
        }
        #expect(try await connection.query("SELECT 4", deadline: soon).rows.first?.int(0) == 4)
    }

    static func largeValuesGoBothWays(_ connection: MySQLConnection) async throws {
        for size in [0xFF_FFFF - 20, 0xFF_FFFF, 20_000_000] {
            var statement = Array("SELECT LENGTH(@v := '".utf8)
            statement += [UInt8](repeating: 0x61, count: size)
            statement += Array("'), @v, 'after'".utf8)
            let row = try #require(try await connection.query(statement, deadline: soon).rows.first)
            #expect(row.int(0) == Int64(size))
            #expect(row.bytes(1) == [UInt8](repeating: 0x61, count: size))
            #expect(row.string(2) == "after")
        }
        // The first value of a row that begins like the end of the rows.
        let row = try await connection.query("SELECT REPEAT('b', 0xFFFFFF + 10), 'x'", deadline: soon).rows.first
        #expect(row?.bytes(0)?.count == 0xFF_FFFF + 10)
        #expect(row?.string(1) == "x")
    }

    /// Rows from a join of a short list with itself: n, and a text of 50 characters.
    static func numbers(_ digits: Int) -> String {
        let list =
            "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 "
            + "UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
        let names = (0..<digits).map { "t\($0)" }
        return "SELECT CONCAT(\(names.map { $0 + ".d" }.joined(separator: ","))), REPEAT('x', 50) FROM "
            + names.map { "\(list) \($0)" }.joined(separator: ", ")
    }

    static func aSlowConsumerHoldsTheServerBack(_ connection: MySQLConnection) async throws {
        let stream = try await connection.stream(numbers(5), deadline: soon)
        var count = 0
        var sum = 0
        var batches = 0
        var largest = 0
        while let batch = try await stream.next(deadline: soon) {
            batches += 1
            largest = max(largest, batch.bytes.count)
            if batches < 5 { try await Task.sleep(for: .milliseconds(50)) }
            count += batch.rowCount
            for row in 0..<batch.rowCount { sum += batch.string(row: row, column: 0).flatMap { Int($0) } ?? 0 }
        }
        #expect(count == 100_000)
        #expect(sum == 100_000 * 99_999 / 2)
        #expect(largest <= 1 << 20, "memory is bounded whatever the size of the answer")
        try await connection.ping(deadline: soon)
    }
}

@Suite(.server(.mysql), .serialized)
struct LiveQueryTests {
    @Test(arguments: [Capabilities([]), .deprecateEOF])
    func mysql(_ without: Capabilities) async throws {
        let connection = try await LiveQueries.connect(without: without)
        #expect(connection.serverVersion.isMySQL(atLeast: 8))
        try await LiveQueries.valuesComeBack(connection)
        try await LiveQueries.changesAreCounted(connection)
        try await LiveQueries.anErrorLeavesTheConnectionUsable(connection)
        try await LiveQueries.severalResultsAreReadToTheirEnd(connection)
        await connection.close()
    }

    @Test(arguments: [TLSMode.disabled, .required])
    func largeValues(_ tls: TLSMode) async throws {
        var options = try SharedServer.current.connectionOptions(.agent)
        options.tls = tls
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        try await LiveQueries.largeValuesGoBothWays(connection)
        try await LiveQueries.aSlowConsumerHoldsTheServerBack(connection)
        await connection.close()
    }

    @Test func aStatementThatIsTooLargeForTheServerSaysSo() async throws {
        let connection = try await LiveQueries.connect()
        let statement = Array("SELECT '".utf8) + [UInt8](repeating: 0x61, count: 70_000_000) + Array("'".utf8)
        let error = await failure { _ = try await connection.query(statement, deadline: soon) }
        #expect(error?.number == 1153)
        // The server may have taken the whole statement before it says so and closes.
        try await eventually("the connection is known to be closed") { !connection.isOpen }
    }
}

@Suite(.server(.mariadb), .serialized)
struct LiveMariaDBTests {
    @Test(arguments: [Capabilities([]), .deprecateEOF])
    func mariadb(_ without: Capabilities) async throws {
        let connection = try await LiveQueries.connect(without: without)
        #expect(connection.serverVersion.isMariaDB(atLeast: 10, 11))
        #expect(connection.handshake.authentication == .nativePassword)
        try await LiveQueries.valuesComeBack(connection)
        try await LiveQueries.changesAreCounted(connection)
        try await LiveQueries.anErrorLeavesTheConnectionUsable(connection)
        try await LiveQueries.severalResultsAreReadToTheirEnd(connection)
        try await LiveQueries.largeValuesGoBothWays(connection)
        try await LiveQueries.aSlowConsumerHoldsTheServerBack(connection)
        await connection.close()
    }

    @Test func aPluginOfMariaDBsOwnIsAnErrorThatNamesIt() async throws {
        let server = try SharedServer.current
        var options = server.connectionOptions(.agent)
        options.address = .unix(path: server.socketPath)
        options.user = "nobody-of-this-name"
        let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(error?.code == .authentication || error?.number == 1045 || error?.number == 1698)
    }
}
