import TestBed
import Testing

@testable import MySQLWire

@Suite(.server(.mysql), .serialized)
struct PoolTests {
    @Test func manyCallsShareFewConnections() async throws {
        var limits = MySQLPool.Limits()
        limits.connections = 3
        // A busy machine must not look like a dead connection.
        limits.healthCheck = .seconds(20)
        let pool = MySQLPool(try SharedServer.current.connectionOptions(.agent), limits: limits)
        let ids = try await withThrowingTaskGroup(of: Int64?.self) { group in
            for index in 0..<60 {
                group.addTask {
                    try await pool.withConnection(deadline: soon) { connection in
                        let rows = try await connection.query(
                            "SELECT CONNECTION_ID(), @mine, SLEEP(0.005)", deadline: soon
                        ).rows
                        #expect(rows.first?.bytes(1) == nil, "nothing is left of the one before")
                        _ = try await connection.query("SET @mine = \(index)", deadline: soon)
                        return rows.first?.int(0)
                    }
                }
            }
            return try await group.reduce(into: Set<Int64?>()) { $0.insert($1) }
        }
        #expect(ids.count <= 3)
        #expect(pool.load == (0, ids.count, 0))
        pool.close()
        let closed = await failure { try await pool.withConnection(deadline: soon) { _ in } }
        #expect(closed?.code == .closed)
    }

    @Test func whoWaitsInVainIsToldAndLosesNothing() async throws {
        var limits = MySQLPool.Limits()
        limits.connections = 1
        limits.healthCheck = .seconds(20)
        let pool = MySQLPool(try SharedServer.current.connectionOptions(.agent), limits: limits)
        try await pool.withConnection(deadline: soon) { _ in
            let late = await failure {
                try await pool.withConnection(deadline: .after(.milliseconds(50))) { _ in }
            }
            #expect(late?.code == .timeout)
            let task = Task { await failure { try await pool.withConnection(deadline: soon) { _ in } } }
            try await eventually("it waits") { pool.load.waiting == 1 }
            task.cancel()
            #expect(await task.value?.code == .cancelled)
        }
        #expect(pool.load == (0, 1, 0))
        try await pool.withConnection(deadline: soon) { try await $0.ping(deadline: soon) }
        pool.close()
    }

    @Test func aConnectionThatDiedOrIsInTheMiddleIsReplaced() async throws {
        let server = try SharedServer.current
        let pool = MySQLPool(server.connectionOptions(.agent))
        let first = try await pool.withConnection(deadline: soon) { connection in
            _ = try await connection.query("SET SESSION wait_timeout = 1", deadline: soon)
            return connection
        }
        try await eventually("the server gives it up") { !first.isOpen }
        let second = try await pool.withConnection(deadline: soon) { connection in
            #expect(connection !== first)
            _ = try await connection.stream(LiveQueries.numbers(4), deadline: soon)
            return connection
        }
        try await pool.withConnection(deadline: soon) { connection in
            #expect(connection !== second)
            try await connection.ping(deadline: soon)
        }
        pool.close()
    }
}
