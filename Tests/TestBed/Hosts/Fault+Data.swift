import Foundation
import MySQLWire

/// What one server has and the other has not.
extension Fault {
    static let data: [Fault] = [
        Fault(
            "S02", "kill -9 of the primary, the replica 5 s behind; rows that it was not sent are lost and saved",
            .failover,
            replication: .asynchronous
        ) { context in
            let session = try await MySQLConnection.connect(
                context.replica.rootOptions, deadline: .after(.seconds(5)))
            defer { session.abort() }
            _ = try await session.query("LOCK TABLES shop.written READ", deadline: .after(.seconds(5)))
            await context.wait(.seconds(5))
            // What is acknowledged now is not sent any more.
            context.begin()
            try await context.unseen {
                try await context.replica.sql("STOP REPLICA IO_THREAD")
                let stopped = ContinuousClock.now
                try await eventually("rows are acknowledged that were not sent", within: .seconds(3)) {
                    context.trial.writers.log.acknowledged(since: stopped).count > 20
                }
                await context.primary.kill()
            }
            // Nothing is promoted before the relay log is drained.
            await context.closed(context.replica, for: .seconds(3))
            session.abort()
            try await context.failedOver()
            let record = try await context.replica.ask(
                "SELECT reason FROM repl_watchdog.history ORDER BY epoch DESC LIMIT 1")
            let reason = (record.first?.first ?? nil) ?? ""
            if !reason.contains("asynchronous") && !reason.contains("known to be lost") {
                context.violation("the record does not say that rows may be lost: \(reason)")
            }
            context.note(String(reason.prefix(80)))
            try await context.returnsAhead(context.primary)
        },
        Fault(
            "S27", "the replica's applier stops at a conflict, then the primary dies; a loss is accepted", .failover,
            replication: .semiSynchronous
        ) {
            context in
            let row = "99, \(Int(context.between(.zero, .seconds(1_000_000)) / .milliseconds(1)))"
            let start = ContinuousClock.now - .seconds(1)
            // Before any agent has seen it: otherwise they would rebuild the replica.
            try await context.unseen {
                try await context.untraced(
                    context.replica, "INSERT INTO shop.written (writer, n, item) VALUES (\(row), 'conflict')")
                try await context.primary.sql("INSERT INTO shop.written (writer, n, item) VALUES (\(row), 'conflict')")
                try await eventually("the applier has stopped at the conflict", within: .seconds(5)) {
                    try await context.replica.ask(
                        """
                        SELECT COUNT(*) > 0 FROM performance_schema.replication_applier_status_by_worker
                        WHERE last_error_number = 1062
                        """) == [["1"]]
                }
                // Rows that are acknowledged now wait behind the conflict.
                await context.wait(.milliseconds(500))
                context.begin()
                await context.primary.kill()
            }
            let operatorsHost = context.anyBackend()
            try await context.explained(["no   applier: ", "1062"], on: operatorsHost)
            await context.nothingPromoted(for: .seconds(8))
            try await context.refused(["failover", "--timeout", "3s"], on: operatorsHost)
            await context.nothingPromoted(for: .seconds(1))
            try await context.overrule(since: start, on: operatorsHost)
        },
        Fault(
            "S31", "the replica's receiver is turned away for a while, then the primary dies; a loss is accepted",
            .failover, replication: .semiSynchronous
        ) { context in
            let start = ContinuousClock.now
            let account = "'\(TestAccount.replication.user)'@'%'"
            try await context.untraced(context.primary, "ALTER USER \(account) ACCOUNT LOCK")
            do {
                context.begin()
                let threads = try await context.primary.ask(
                    "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
                for thread in threads.compactMap({ $0.first ?? nil }) {
                    try await context.primary.sql("KILL \(thread)")
                }
                try await eventually("writes go on without the replica", within: .seconds(40)) {
                    context.trial.writers.log.acknowledged(since: start + .seconds(3)).count > 100
                }
                await context.wait(context.between(.seconds(2), .seconds(4)))
            } catch {
                try? await context.untraced(context.primary, "ALTER USER \(account) ACCOUNT UNLOCK")
                throw error
            }
            await context.primary.kill()
            let operatorsHost = context.anyBackend()
            try await context.explained(["no   loss: ", "are known to be lost"], on: operatorsHost)
            await context.nothingPromoted(for: .seconds(8))
            try await context.refused(["failover", "--timeout", "3s"], on: operatorsHost)
            try await context.overrule(since: start, on: operatorsHost)
        },
        Fault("S32", "a transaction of the replica's own while all is well; an operator mends it", .stays) { context in
            context.begin()
            let gtid = try await context.errant("CREATE DATABASE errant")
            let host = context.anyBackend()
            let status = try await context.explained(["holds transactions that", gtid], on: host)
            if status == 0 { context.violation("explain ended with 0 beside an errant transaction") }
            await context.wait(.seconds(2))
            // The usual cure: what it did is undone without a trace, and the primary gets an empty transaction of its name.
            try await context.untraced(context.replica, "DROP DATABASE errant")
            try await context.primary.sql("SET gtid_next = '\(gtid)'; BEGIN; COMMIT; SET gtid_next = AUTOMATIC;")
            try await eventually("explain has no complaint", within: .seconds(15)) {
                try await host.command(["explain"]).status == 0
            }
        },
        Fault("S32b", "a transaction of the replica's own, then the primary dies", .failover) { context in
            let gtid = try await context.errant("CREATE DATABASE errant")
            try await context.explained(["holds transactions that", gtid], on: context.anyBackend())
            context.begin()
            await context.primary.kill()
            try await context.failedOver()
            try await context.primary.start()
            // It is a part of the data now, and the old primary gets it like any other.
            try await eventually("\(context.primary.name) has the transaction", within: .seconds(60)) {
                try await context.primary.ask("SHOW DATABASES LIKE 'errant'") == [["errant"]]
            }
            try await context.replica.sql("DROP DATABASE errant")
        },
        Fault(
            "S39", "the primary dies with commits that nobody has acknowledged, and returns with them", .failover,
            replication: .semiSynchronous
        ) {
            context in
            try await context.unseen {
                try await context.replica.sql("STOP REPLICA IO_THREAD")
                try await eventually("commits wait for the replica", within: .seconds(5)) {
                    context.trial.writers.log.acknowledged(since: .now - .milliseconds(400)).isEmpty
                }
                context.begin()
                await context.primary.kill()
            }
            try await context.failedOver()
            await context.wait(context.between(.zero, .seconds(3)))
            try await context.returnsAhead(context.primary)
        },
    ]
}

extension Fault.Context {
    /// A transaction on the replica that the primary has not.
    /// - Returns: its GTID.
    fileprivate func errant(_ statement: String) async throws -> String {
        let server = replica
        let before = try await server.gtidExecuted()
        // What the applier commits in the same moment has another uuid.
        try await server.sql(
            "SET GLOBAL super_read_only = OFF; \(statement); SET GLOBAL super_read_only = ON;")
        let own = try await server.ask("SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, '\(before)')")
        let gtids = ((own.first?.first ?? nil) ?? "").replacing("\n", with: "").split(separator: ",")
        guard let gtid = gtids.first(where: { $0.hasPrefix(server.savedUUID) }).map(String.init) else {
            throw TestBedError("\(statement) left no transaction on \(server.name): \(gtids)")
        }
        trial.observer.excuse(gtid)
        note(gtid.replacing(server.savedUUID, with: server.name))
        return gtid
    }

    /// An operator accepts the loss of what was acknowledged since `start`; the old primary returns, and what it has is
    /// saved.
    fileprivate func overrule(since start: ContinuousClock.Instant, on backend: Backend) async throws {
        trial.acceptLoss(of: primary, start...ContinuousClock.now)
        try await command(backend, ["failover", "--accept-loss", "--timeout", "40s"])
        try await failedOver()
        let reason = try await replica.ask("SELECT reason FROM repl_watchdog.history ORDER BY epoch DESC LIMIT 1")
        let text = (reason.first?.first ?? nil) ?? ""
        if !text.contains(primary.savedUUID) { violation("the record does not name what is lost: \(text)") }
        note(String(text.prefix(60)))
        try await returnsAhead(primary)
    }
}
