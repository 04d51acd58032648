import TestBed
import Testing

@testable import MySQLWire

/// Values that go through prepared statements and come back as they were.
enum LivePrepared {
    static let moment = SQLDateTime(
        year: 2026, month: 2, day: 28, hour: 23, minute: 59, second: 58, microsecond: 123456)

    static func everyTypeComesBack(_ connection: MySQLConnection) async throws {
        for statement in [
            "CREATE DATABASE IF NOT EXISTS wire", "DROP TABLE IF EXISTS wire.typed", "SET SESSION sql_mode = ''",
            """
            CREATE TABLE wire.typed (a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT UNSIGNED, e BIGINT,
            f BIGINT UNSIGNED, g FLOAT, h DOUBLE, i DECIMAL(40,10), j VARCHAR(50), k VARBINARY(50), l DATE,
            m DATETIME(6), n TIME(6), o YEAR, p BIT(9), q ENUM('x','ä'), r LONGTEXT, s LONGBLOB, t TIMESTAMP NULL,
            u INT) CHARACTER SET utf8mb4
            """,
        ] { _ = try await connection.query(statement, deadline: soon) }
        let long = String(repeating: "ä€𝄞", count: 10_000)
        let sent: [SQLValue] = [
            .int(-128), .uint(65535), .int(-8_388_608), .uint(4_294_967_295), .int(.min), .uint(.max), .float(1.5e-20),
            .double(0.1), .text("-123456789012345678901234567890.0123456789"), .text("ä'\\\"\n€𝄞"),
            .bytes([0, 0xFF, 0x27]), .dateTime(SQLDateTime(year: 2026, month: 2, day: 28)), .dateTime(moment),
            .time(SQLTime(isNegative: true, days: 34, hour: 22, minute: 59, second: 58, microsecond: 1)), .int(1999),
            .bytes([1, 0x55]), .text("ä"), .text(long), .bytes([UInt8](repeating: 0xFE, count: 70_000)), .null, .null,
        ]
        let marks = Array(repeating: "?", count: sent.count).joined(separator: ",")
        let insert = try await connection.prepare("INSERT INTO wire.typed VALUES (\(marks))", deadline: soon)
        #expect(insert.parameterCount == sent.count)
        #expect(try await insert.execute(sent, deadline: soon).affectedRows == 1)
        #expect(try await insert.execute(sent.map { _ in .null }, deadline: soon).affectedRows == 1)
        let select = try await connection.prepare("SELECT * FROM wire.typed", deadline: soon)
        let result = try await select.execute(deadline: soon)
        #expect(result.columns.count == sent.count)
        var expected = sent
        expected[14] = .uint(1999)
        #expect(result.rows.count == 2)
        for (index, value) in (result.rows.first ?? []).enumerated() {
            #expect(value == expected[index], "column \(result.columns[index].name)")
        }
        #expect(result.rows.last?.allSatisfy(\.isNull) == true)
        try await insert.close(deadline: soon)
        try await select.close(deadline: soon)
        try await zeroDates(connection)
    }

    private static func zeroDates(_ connection: MySQLConnection) async throws {
        _ = try await connection.query("DELETE FROM wire.typed", deadline: soon)
        let insert = try await connection.prepare("INSERT INTO wire.typed (l, m, n) VALUES (?, ?, ?)", deadline: soon)
        _ = try await insert.execute(
            [.dateTime(SQLDateTime()), .text("0000-00-00"), .time(SQLTime())], deadline: soon)
        let select = try await connection.prepare("SELECT l, m, n FROM wire.typed WHERE l = ?", deadline: soon)
        let rows = try await select.execute([.text("0000-00-00")], deadline: soon).rows
        #expect(rows == [[.dateTime(SQLDateTime()), .dateTime(SQLDateTime()), .time(SQLTime())]])
    }

    static func faultsAreErrors(_ connection: MySQLConnection) async throws {
        let bad = await failure { _ = try await connection.prepare("SELECT FROM WHERE", deadline: soon) }
        #expect(bad?.number == 1064)
        let one = try await connection.prepare("SELECT ? + 1", deadline: soon)
        let count = await failure { _ = try await one.execute([], deadline: soon) }
        #expect(count?.code == .conversion)
        _ = try await connection.query("CREATE DATABASE IF NOT EXISTS wire", deadline: soon)
        _ = try await connection.query("CREATE TABLE IF NOT EXISTS wire.u (id INT PRIMARY KEY)", deadline: soon)
        _ = try await connection.query("DELETE FROM wire.u", deadline: soon)
        let insert = try await connection.prepare("INSERT INTO wire.u VALUES (?)", deadline: soon)
        _ = try await insert.execute([.int(1)], deadline: soon)
        let twice = await failure { _ = try await insert.execute([.int(1)], deadline: soon) }
        #expect(twice?.number == 1062)
        _ = try await insert.execute([.int(2)], deadline: soon)
        try await insert.close(deadline: soon)
        let closed = await failure { _ = try await insert.execute([.int(3)], deadline: soon) }
        #expect(closed?.code == .configuration)
        try await connection.resetSession(deadline: soon)
        let forgotten = await failure { _ = try await one.execute([.int(3)], deadline: soon) }
        #expect(forgotten?.code == .configuration)
        #expect(try await connection.query("SELECT COUNT(*) FROM wire.u", deadline: soon).rows.first?.int(0) == 2)
    }

    /// Statements that are dropped must not pile up on the server.
    static func droppedStatementsAreClosed(_ connection: MySQLConnection) async throws {
        _ = try await connection.query("SET GLOBAL max_prepared_stmt_count = 20", deadline: soon)
        for round in 0..<50 {
            let statement = try await connection.prepare("SELECT ?", deadline: soon)
            #expect(try await statement.execute([.text("\(round)")], deadline: soon).rows.count == 1)
        }
        _ = try await connection.query("SET GLOBAL max_prepared_stmt_count = DEFAULT", deadline: soon)
    }
}

@Suite(.server(.mysql), .serialized)
struct LivePreparedTests {
    @Test(arguments: [Capabilities([]), .deprecateEOF])
    func mysql(_ without: Capabilities) async throws {
        let connection = try await LiveQueries.connect(without: without)
        try await LivePrepared.everyTypeComesBack(connection)
        try await LivePrepared.faultsAreErrors(connection)
        try await LivePrepared.droppedStatementsAreClosed(connection)
        await connection.close()
    }
}

@Suite(.server(.mariadb), .serialized)
struct LiveMariaDBPreparedTests {
    @Test(arguments: [Capabilities([]), .deprecateEOF])
    func mariadb(_ without: Capabilities) async throws {
        let connection = try await LiveQueries.connect(without: without)
        try await LivePrepared.everyTypeComesBack(connection)
        try await LivePrepared.faultsAreErrors(connection)
        try await LivePrepared.droppedStatementsAreClosed(connection)
        await connection.close()
    }
}
