import Foundation
import TestBed
import Testing

@testable import MySQLWire

/// Answers of a size that memory or time could not bear if they were held.
@Suite(.server(.mysql, options: ["--max-allowed-packet=128M", "--cte-max-recursion-depth=1000000"]), .serialized)
struct LargeResultTests {
    /// 1,000,000 rows of some 190 bytes.
    static let million =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) "
        + "SELECT i, REPEAT('x', 180), NULL FROM n"

    /// In a process of its own, where nobody else's memory counts.
    @Test func aMillionRowsInConstantMemory() async throws {
        let server = try SharedServer.current
        let result = try await #require(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) { [port = server.port as UInt16] in
            let options = ConnectionOptions(
                address: .tcp(host: "127.0.0.1", port: port), user: TestAccount.agent.user,
                password: Secret(TestAccount.agent.password))
            let connection = try await MySQLConnection.connect(options, deadline: soon)
            let deadline = Deadline.after(.seconds(120))
            let stream = try await connection.stream(LargeResultTests.million, deadline: deadline)
            var rows = 0
            var sum = 0
            var early = 0
            while let batch = try await stream.next(deadline: deadline) {
                for row in 0..<batch.rowCount { sum += try batch.value(row: row, column: 0, as: Int.self) }
                rows += batch.rowCount
                if early == 0, rows > 50_000 { early = peakMemory() }
            }
            let grown = peakMemory() - early
            print("million: after 50,000 rows", early, "KiB, grown since by", grown, "KiB")
            #expect(rows == 1_000_000)
            #expect(sum == 1_000_000 * 1_000_001 / 2)
            // 190 MB have come.
            #expect(grown < 8 * 1024, "grew by \(grown) KiB")
            #expect(connection.isOpen)
            await connection.close()
        }
        for line in String(decoding: result.standardOutputContent, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix("million") {
            print(line)
        }
    }

    @Test(arguments: [TLSMode.disabled, .required])
    func aRowOf64MB(_ tls: TLSMode) async throws {
        let size = 64 << 20
        var options = try SharedServer.current.connectionOptions(.agent)
        options.tls = tls
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        let statement = "SELECT REPEAT('0123456789abcdef', \(size / 16)), 'after'"
        let row = try #require(
            try await connection.query(statement, deadline: .after(.seconds(60))).rows.first)
        let bytes = try #require(row.bytes(0))
        #expect(bytes.count == size)
        #expect(bytes.prefix(16).elementsEqual("0123456789abcdef".utf8))
        #expect(bytes.suffix(16).elementsEqual("0123456789abcdef".utf8))
        #expect(row.string(1) == "after")
        let stream = try await connection.stream(statement, deadline: .after(.seconds(60)))
        let batch = try #require(try await stream.next(deadline: .after(.seconds(60))))
        #expect(batch.range(row: 0, column: 0)?.count == size)
        #expect(try await stream.next(deadline: soon) == nil)
        try await connection.ping(deadline: soon)

        options.maxPacketSize = 16 << 20
        let bounded = try await MySQLConnection.connect(options, deadline: soon)
        let error = await failure { _ = try await bounded.query(statement, deadline: .after(.seconds(60))) }
        #expect(error?.code == .limit)
        #expect(!bounded.isOpen)
        await connection.close()
    }

    @Test func cancellingInTheMiddleOfTheRowsLeavesNothingBehind() async throws {
        let server = try SharedServer.current
        let options = server.connectionOptions(.agent)
        for _ in 0..<5 {
            let connection = try await MySQLConnection.connect(options, deadline: soon)
            let id = connection.connectionID
            let task = Task {
                let stream = try await connection.stream(Self.million, deadline: soon)
                var rows = 0
                while let batch = try await stream.next(deadline: soon) {
                    rows += batch.rowCount
                    if rows > 10_000 { withUnsafeCurrentTask { $0?.cancel() } }
                }
            }
            let error = await failure { try await task.value }
            #expect(error?.code == .cancelled)
            #expect(error?.phase == .reply)
            #expect(!connection.isOpen)
            let next = await failure { try await connection.ping(deadline: soon) }
            #expect(next?.code == .closed)
            try await eventually("the server has ended the session") {
                try await server.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE ID = \(id)")
                    == [["0"]]
            }
        }
    }

    @Test func severalResultSetsAreAllThere() async throws {
        let server = try SharedServer.current
        try await server.sql("CREATE DATABASE IF NOT EXISTS wire; DROP PROCEDURE IF EXISTS wire.three")
        let connection = try await MySQLConnection.connect(server.connectionOptions(.agent), deadline: soon)
        _ = try await connection.query(
            "CREATE PROCEDURE wire.three() BEGIN SELECT 1 AS a UNION SELECT 2; SELECT 'x' AS b, NULL AS c; "
                + "SELECT CAST('abc' AS SIGNED) AS d; END", deadline: soon)
        let results = try await connection.queryAll("CALL wire.three()", deadline: soon)
        #expect(results.map { $0.columns.map(\.name) } == [["a"], ["b", "c"], ["d"], []])
        #expect(results.map(\.rows.count) == [2, 1, 1, 0])
        #expect(results[1].rows[0].string("b") == "x" && results[1].rows[0].string("c") == nil)
        let warned = try await connection.queryAll("SELECT CAST('abc' AS SIGNED)", deadline: soon)
        #expect(warned.map(\.warnings) == [1])
        let error = await failure { _ = try await connection.queryAll("SELECT 1 FROM wire.nowhere", deadline: soon) }
        #expect(error?.number == 1146)
        try await connection.ping(deadline: soon)
        await connection.close()
    }
}

/// The most memory that this process has held so far, in KiB.
private func peakMemory() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
}
