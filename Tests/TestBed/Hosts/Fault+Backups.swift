import Foundation
import MySQLWire

/// A backup is made on the replica, and the cluster needs it as its primary.
extension Fault {
    static let backups: [Fault] = [
        Fault("S84", "LOCK INSTANCE FOR BACKUP on the replica, then the primary dies", .failover) { context in
            let session = try await context.held(by: "LOCK INSTANCE FOR BACKUP")
            defer { session.abort() }
            try await context.dies()
            await context.seesBackup(session, alive: false)
        },
        Fault("S84b", "FLUSH TABLES WITH READ LOCK on the replica, then the primary dies", .failover) { context in
            let session = try await context.held(by: "FLUSH TABLES WITH READ LOCK")
            defer { session.abort() }
            try await context.dies()
            await context.seesBackup(session, alive: false)
        },
        Fault("S84d", "DDL waits behind the backup on the replica, then the primary dies", .failover) { context in
            let session = try await context.held(by: "LOCK INSTANCE FOR BACKUP")
            defer { session.abort() }
            try await context.primary.sql("CREATE TABLE shop.beside (n INT); DROP TABLE shop.beside")
            try await context.dies()
            await context.seesBackup(session, alive: false)
        },
        Fault("S84c", "a switchover to a replica that is held for a backup is refused", .stays) { context in
            for lock in ["LOCK INSTANCE FOR BACKUP", "FLUSH TABLES WITH READ LOCK"] {
                let session = try await context.held(by: lock)
                defer { session.abort() }
                context.begin()
                let (status, said) = try await context.anyBackend().command(["switchover", "--timeout", "20s"])
                if status < 2 || !said.contains("held for a backup") {
                    context.violation("\(lock): switchover ended with \(status): \(said)")
                }
                let closed = try await context.replica.ask("SELECT @@GLOBAL.super_read_only")
                if closed != [["1"]] { context.violation("\(lock): the replica is not closed any more") }
                await context.seesBackup(session, alive: true)
            }
        },
        // The names hold nothing secret, and GET_LOCK needs no privilege.
        Fault(
            "S85", "an application's account holds the agents' locks on the replica, then the primary dies", .failover
        ) {
            context in
            let names =
                ["operation", "scan"] + context.cluster.backends.flatMap { ["agent:\($0.name)", "present:\($0.name)"] }
            let session = try await MySQLConnection.connect(
                context.replica.connectionOptions(.application), deadline: .after(.seconds(5)))
            defer { session.abort() }
            for name in names {
                _ = try await session.query(
                    "SELECT GET_LOCK('wd:shop:\(name)', 0)", deadline: .after(.seconds(5)))
            }
            try await context.dies()
        },
        Fault("S85b", "an application's account asks for a switchover, and for a failover with loss", .stays) {
            context in
            let session = try await MySQLConnection.connect(
                context.replica.connectionOptions(.application), deadline: .after(.seconds(5)))
            defer { session.abort() }
            context.begin()
            for name in ["switchover", "failover", "accept-loss", "resume"] {
                _ = try await session.query(
                    "SELECT GET_LOCK('wd:shop:request:\(name)', 0)", deadline: .after(.seconds(5)))
            }
            await context.nothingPromoted(for: .seconds(6))
        },
        // Rows of another cluster come with a dump of it, or from anybody who may write everywhere.
        Fault("S86", "rows of another cluster stand in the record of promotions, then the primary dies", .failover) {
            context in
            try await context.record()
            try await context.primary.sql(
                """
                INSERT INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed) VALUES
                    (1000, UUID(), '', 'x', 'x', ''), (18446744073709551615, UUID(), '', 'x', 'x', ''),
                    (18446744073709551614, @@server_uuid, '', 'x', 'x', '')
                """)
            let start = ContinuousClock.now
            await context.wait(.seconds(6))
            let refused = context.trial.writers.log.acknowledged(since: start).count
            if refused < 200 {
                context.violation("only \(refused) rows were acknowledged in 6 s beside the foreign rows")
            }
            let (_, said) = try await context.anyBackend().command(["explain"])
            if !said.contains("neither of the two servers") {
                context.violation("explain does not name the row: \(said)")
            }
            try await context.dies()
        },
    ]
}

extension Fault.Context {
    /// A backup's session on the replica. The agents have had their quiet time before: their tables are there.
    fileprivate func held(by lock: String) async throws -> MySQLConnection {
        try await record()
        let session = try await MySQLConnection.connect(replica.rootOptions, deadline: .after(.seconds(5)))
        _ = try await session.query(lock, deadline: .after(.seconds(5)))
        return session
    }

    fileprivate func record() async throws {
        try await eventually("the agents' tables are on both servers", within: .seconds(20)) {
            for server in [primary, replica] {
                let tables = try await server.ask(
                    """
                    SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'ongoing_failover'
                        OR table_schema = 'repl_watchdog' AND table_name IN ('history', 'control')
                    """)
                guard tables == [["3"]] else { return false }
            }
            return true
        }
    }

    /// The backup goes on meanwhile.
    fileprivate func dies() async throws {
        begin()
        await primary.kill()
        try await failedOver(within: .seconds(12))
        note("writes after \(began?.duration(to: .now).rounded ?? "-") s")
        try await primary.start()
    }

    fileprivate func seesBackup(_ session: MySQLConnection, alive: Bool) async {
        let answers = (try? await session.query("SELECT 1", deadline: .after(.seconds(5)))) != nil
        if answers != alive { violation("the backup's session \(answers ? "was not ended" : "was ended")") }
    }
}
