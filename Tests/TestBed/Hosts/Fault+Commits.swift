import Foundation
import MySQLWire

/// Commits that hang, or that are on their way, when something dies.
extension Fault {
    static let commits: [Fault] = [
        Fault(
            "S75", "an account statement on the primary, its replica was killed", .stays, replication: .semiSynchronous
        ) { context in
            context.begin()
            await context.replica.kill()
            await context.wait(.seconds(1))
            try await context.accountStatementHangs()
            try await context.replica.start()
        },
        Fault(
            "S75b", "an account statement on the primary while its replica receives nothing", .stays,
            replication: .semiSynchronous
        ) { context in
            context.begin()
            // What its replica did not get an answer for before holds up the replica's own login as well.
            _ = try await context.replica.ask("STOP REPLICA IO_THREAD")
            let hangs = Task { try await context.accountStatementHangs() }
            await context.wait(.seconds(1))
            _ = try await context.replica.ask("START REPLICA IO_THREAD")
            try await hangs.value
        },
        Fault("S76", "kill -9 of the primary, its replica has half of a large transaction", .failover) { context in
            try await context.halfOfALargeTransaction()
            try await context.failedOver()
            try await context.primary.start()
        },
    ]
}

extension Fault.Context {
    /// Runs an account statement on the primary, which holds up every new login until it has its acknowledgement; waits
    /// until logins and the statement are through.
    func accountStatementHangs() async throws {
        let name = "passer_by_\(between(.zero, .seconds(1_000)) / .milliseconds(1))"
        let session = try await MySQLConnection.connect(primary.rootOptions, deadline: .after(.seconds(5)))
        defer { session.abort() }
        let started = ContinuousClock.now
        let statement = Task {
            _ = try await session.query("CREATE USER '\(name)'@'localhost'", deadline: .after(.seconds(60)))
        }
        await pause(.milliseconds(300))
        try await eventually("\(primary.name) greets a new connection", within: .seconds(30), every: .milliseconds(100))
        {
            try await primary.ask("SELECT 1") == [["1"]]
        }
        note("new connections are greeted after \(started.duration(to: .now).rounded) s")
        try await statement.value
    }

    /// Kills the primary while its replica is in the middle of receiving a transaction of 100 MB.
    func halfOfALargeTransaction() async throws {
        let receiving = """
            SELECT COUNT(*) FROM performance_schema.replication_connection_status WHERE queueing_transaction <> ''
            """
        try await primary.sql(
            "CREATE TABLE IF NOT EXISTS shop.large (n INT NOT NULL AUTO_INCREMENT PRIMARY KEY, data LONGBLOB)")
        let watch = try await MySQLConnection.connect(replica.rootOptions, deadline: .after(.seconds(5)))
        defer { watch.abort() }
        let writer = try await MySQLConnection.connect(primary.rootOptions, deadline: .after(.seconds(5)))
        defer { writer.abort() }
        let transaction = Task {
            _ = try? await writer.query(
                """
                INSERT INTO shop.large (data) WITH RECURSIVE t (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < 100)
                SELECT REPEAT(CHAR(64 + i % 60), 1000000) FROM t
                """, deadline: .after(.seconds(60)))
        }
        defer { transaction.cancel() }
        // A transaction of the writers is there for a moment only: the large one is there look after look.
        var looks = 0
        try await eventually(
            "the replica receives the large transaction", within: .seconds(40), every: .milliseconds(2)
        ) {
            let answer = try await watch.query(receiving, deadline: .after(.seconds(2)))
            looks = answer.rows.first?.int(0) == 1 ? looks + 1 : 0
            return looks >= 8
        }
        begin()
        await primary.kill()
        let left = try await watch.query(receiving, deadline: .after(.seconds(2)))
        note(left.rows.first?.int(0) == 1 ? "half received" : "received to its end")
    }
}
