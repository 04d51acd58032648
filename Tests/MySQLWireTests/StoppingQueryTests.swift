import TestBed
import Testing

@testable import MySQLWire

enum LiveStopping {
    /// It may have ended: both kinds of server look every five seconds whether the client of a SLEEP is still there.
    private static func kill(_ connection: MySQLConnection, by watcher: MySQLConnection) async throws {
        let error = await failure { _ = try await watcher.query("KILL \(connection.connectionID)", deadline: soon) }
        if let error, error.number != 1094 { throw error }
    }

    static func run() async throws {
        let server = try SharedServer.current
        let options = server.connectionOptions(.agent)
        let watcher = try await LiveQueries.connect()
        func running() async throws -> Int64? {
            try await watcher.query(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE INFO LIKE '%SLEEP(33)%' "
                    + "AND ID <> CONNECTION_ID()", deadline: soon
            ).rows.first?.int(0)
        }
        let statement = " SELECT /* 'ä' */ SLEEP(33) ; "

        // Without help the statement outlives its connection.
        let plain = try await LiveQueries.connect()
        let alone = await failure { _ = try await plain.query(statement, deadline: .after(.milliseconds(200))) }
        #expect(alone?.code == .timeout)
        #expect(try await running() == 1)
        try await kill(plain, by: watcher)
        try await eventually("it is gone") { try await running() == 0 }

        let expired = try await LiveQueries.connect()
        let error = await failure {
            _ = try await expired.query(
                statement, stoppingWith: options, grace: .seconds(10), deadline: .after(.milliseconds(200)))
        }
        #expect(error?.code == .timeout)
        #expect(error?.message.contains("was stopped") == true, "\(error?.message ?? "")")
        #expect(!expired.isOpen)
        try await eventually("the server has stopped it") { try await running() == 0 }

        let cancelled = try await LiveQueries.connect()
        let task = Task {
            await failure {
                _ = try await cancelled.query(statement, stoppingWith: options, grace: .seconds(10), deadline: soon)
            }
        }
        try await eventually("the statement runs") { try await running() == 1 }
        task.cancel()
        let ended = await task.value
        #expect(ended?.code == .cancelled)
        #expect(ended?.message.contains("was stopped") == true, "\(ended?.message ?? "")")
        try await eventually("the server has stopped it") { try await running() == 0 }

        // Where it cannot be stopped, the error says so; the grace bounds it.
        let stuck = try await LiveQueries.connect()
        var wrong = options
        wrong.password = Secret("not-the-password")
        let helpless = await failure {
            _ = try await stuck.query(statement, stoppingWith: wrong, deadline: .after(.milliseconds(100)))
        }
        #expect(helpless?.message.contains("may still run") == true)
        try await kill(stuck, by: watcher)
        await watcher.close()
    }
}

@Suite(.server(.mysql), .serialized)
struct StoppingQueryTests {
    @Test func mysql() async throws { try await LiveStopping.run() }
}

@Suite(.server(.mariadb), .serialized)
struct MariaDBStoppingQueryTests {
    @Test func mariadb() async throws { try await LiveStopping.run() }
}
