import Foundation
import MySQLWire

/// What operators do to the servers by hand, past the agents.
extension Fault {
    static let operators: [Fault] = [
        Fault("S34", "an operator opens the replica", .stays) { context in
            let host = context.anyBackend()
            // The agents close it at their next look: they sleep until somebody has asked what is wrong.
            try await context.unseen {
                context.begin()
                try await context.replica.sql("SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF;")
                try await context.explained(["\(context.replica.name) is not closed"], on: host, within: .seconds(2))
            }
            let awake = ContinuousClock.now
            try await eventually("\(context.replica.name) is closed again", within: .seconds(10)) {
                try await context.replica.ask("SELECT @@GLOBAL.super_read_only") == [["1"]]
            }
            context.note("closed \(awake.duration(to: .now).rounded) s after the agents were awake")
        },
        Fault("S35", "an operator closes the primary", .stays) { context in
            let variable = context.chance() ? "super_read_only" : "read_only"
            context.begin()
            try await context.primary.sql("SET GLOBAL \(variable) = ON")
            let closed = ContinuousClock.now
            try await context.acknowledges(context.primary, since: closed, within: .seconds(15))
            context.note("\(variable), writes again after \(closed.duration(to: .now).rounded) s")
        },
        Fault("S36", "an operator makes the primary replicate from its replica", .stays) { context in
            try await context.circular("START REPLICA")
        },
        Fault("S36b", "an operator gives the primary a source without starting it", .stays) { context in
            try await context.circular("")
        },
        Fault("S45", "a switchover while a client holds LOCK TABLES", .either) { context in
            try await context.switchover(beside: "LOCK TABLES shop.other WRITE", holding: true)
        },
        Fault("S45b", "a switchover while a client's statement runs for long", .either) { context in
            try await context.switchover(beside: "INSERT INTO shop.other SELECT SLEEP(40)", holding: false)
        },
        Fault("S89", "settings that change what statements mean, then the primary dies", .failover) { context in
            let settings = [
                "sql_mode": "'ANSI,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH,IGNORE_SPACE'", "sql_select_limit": "1",
                "max_join_size": "1", "group_concat_max_len": "4", "max_execution_time": "1",
                "completion_type": "'RELEASE'", "transaction_isolation": "'SERIALIZABLE'", "sql_safe_updates": "1",
                "sql_auto_is_null": "1",
            ]
            func set(_ value: (String, String) -> String) async throws {
                let all = settings.map { "GLOBAL \($0.key) = \(value($0.key, $0.value))" }.sorted()
                for server in context.cluster.servers { try await server.sql("SET \(all.joined(separator: ", "))") }
            }
            try await set { $1 }
            // Sessions of before go by what was set before.
            await context.wait(.seconds(3))
            try await context.dies()
            try await set { name, _ in name == "sql_mode" ? "''" : "DEFAULT" }
        },
        Fault("S95", "no server may be told to start closed, then the primary dies", .failover) { context in
            let account = "\(TestAccount.agent.user)"
            let granted = try await context.primary.ask(
                "SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user = '\(account)'")
            let accounts = granted.compactMap { $0.first ?? nil }
            for name in accounts {
                _ = try await context.primary.ask(
                    "REVOKE PERSIST_RO_VARIABLES_ADMIN ON *.* FROM \(name)")
            }
            for server in context.cluster.servers { _ = try? await server.sql("RESET PERSIST super_read_only") }
            await context.wait(.seconds(3))
            try await context.dies()
            for name in accounts {
                _ = try await context.replica.ask("GRANT PERSIST_RO_VARIABLES_ADMIN ON *.* TO \(name)")
            }
        },
        Fault("S86b", "the agents' tables have another shape, then the primary dies", .failover) { context in
            try await context.record()
            let tables = ["ongoing_failover.status", "repl_watchdog.history", "repl_watchdog.control"]
            let aside = tables.map { "RENAME TABLE \($0) TO \($0)_before; CREATE TABLE \($0) (n INT)" }
            try await context.primary.sql(
                (aside + [
                    "CREATE DATABASE IF NOT EXISTS ongoing_rebuild", "CREATE TABLE ongoing_rebuild.marker (n INT)",
                ])
                .joined(separator: "; "))
            let start = ContinuousClock.now
            await context.wait(.seconds(6))
            let written = context.trial.writers.log.acknowledged(since: start).count
            if written < 200 { context.violation("only \(written) rows were acknowledged in 6 s beside the tables") }
            try await context.explained(
                ["is not as the agents make it", "ongoing_failover.status"], on: context.anyBackend())
            // Where it comes back as a replica the table is as it should be: nobody makes it anew there.
            try await context.primary.sql(
                """
                SET SESSION sql_log_bin = 0; DROP TABLE ongoing_failover.status;
                RENAME TABLE ongoing_failover.status_before TO ongoing_failover.status
                """)
            try await context.dies()
            let left = try await context.replica.ask(
                """
                SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables
                WHERE table_schema IN ('ongoing_failover', 'repl_watchdog') AND table_name LIKE '%put\\_aside%'
                """
            ).compactMap { $0.first ?? nil }
            if left.count < 3 { context.violation("put aside: \(left)") }
            try await context.replica.sql("DROP TABLE IF EXISTS \(left.joined(separator: ", "))")
            try await context.replica.sql(
                """
                DROP DATABASE ongoing_rebuild; DROP TABLE IF EXISTS ongoing_failover.status_before, repl_watchdog.control_before;
                INSERT IGNORE INTO repl_watchdog.history SELECT * FROM repl_watchdog.history_before;
                DROP TABLE repl_watchdog.history_before
                """)
        },
        Fault("S96", "the replica is in offline_mode, then the primary dies", .failover) { context in
            try await context.replica.sql("SET GLOBAL offline_mode = ON")
            await context.wait(.seconds(3))
            try await context.dies()
        },
        Fault("S97", "a switchover while a client's row lock holds the replica's applier up", .stays) { context in
            let session = try await context.rowsLocked(on: context.replica)
            defer { session.abort() }
            await context.wait(.seconds(4))
            context.begin()
            let asked = ContinuousClock.now
            let hosts = context.backendsAtRandom()
            async let command = hosts[0].command(["switchover", "--timeout", "12s"])
            try await context.explained(["(replica-behind)", "s behind: see its applier"], on: hosts[1])
            let (status, said) = try await command
            if status == 0 { context.violation("the switchover was done: \(said)") }
            if !said.contains("s behind") { context.violation("the command does not say why: \(said)") }
            let answers = context.trial.writers.log.acknowledged(since: asked).map(\.answered).sorted()
            let gap = zip([asked] + answers, answers + [.now]).map { $0.duration(to: $1) }.max() ?? .seconds(60)
            context.note("longest pause \(gap.rounded) s")
            if gap > .seconds(2) { context.violation("nobody could write for \(gap)") }
        },
        Fault("S97b", "a client's row lock holds the replica's applier up, and the primary dies", .failover) {
            context in
            let session = try await context.rowsLocked(on: context.replica)
            defer { session.abort() }
            await context.wait(.seconds(2))
            try await context.dies()
        },
        Fault("S54", "the agents' schema is dropped, then the primary dies", .failover) { context in
            try await context.dropSchema()
            await context.wait(context.between(.zero, .seconds(3)))
            context.begin()
            await context.primary.kill()
            try await context.failedOver()
            try await context.primary.start()
        },
        Fault("S54b", "an operator locks the agents' tables for 10 s", .stays) { context in
            let session = try await MySQLConnection.connect(
                context.primary.rootOptions, deadline: .after(.seconds(5)))
            defer { session.abort() }
            let tables = try await context.primary.ask(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'repl_watchdog'")
            let locks = tables.compactMap { $0.first ?? nil }.map { "repl_watchdog.\($0) WRITE" }
            context.begin()
            _ = try await session.query(
                "LOCK TABLES \(locks.joined(separator: ", "))", deadline: .after(.seconds(5)))
            context.note("\(locks.count) tables")
            await context.nothingPromoted(for: .seconds(10))
            let rows = context.trial.writers.log.acknowledged(since: .now - .seconds(2)).count
            if rows < 50 { context.violation("the writers got only \(rows) rows through in 2 s") }
        },
        Fault("S54d", "the agents' record of promotions is gone, then the replica; 'trust' puts it back", .either) {
            context in
            if try await context.cluster.promotions(on: context.primary).isEmpty {
                try await context.command(context.anyBackend(), ["switchover"])
            }
            let primary = try await context.cluster.settled(context.trial.writers, hold: .milliseconds(500))
            let (replica, host) = (context.cluster.other(than: primary), context.anyBackend())
            try await primary.sql(
                """
                CREATE TABLE shop.kept LIKE repl_watchdog.history; INSERT INTO shop.kept SELECT * FROM repl_watchdog.history;
                DROP DATABASE repl_watchdog;
                """)
            context.begin()
            await replica.kill()
            try await context.explained(["lacks epoch", "'trust \(primary.name)' writes it"], on: host)
            // Nobody may write any more: the leases are over.
            await context.wait(.seconds(8))
            let asked = ContinuousClock.now
            let (status, said) = try await host.command(["trust", primary.name])
            if status != 0 || !said.contains("was put back") {
                context.violation("trust ended with \(status): \(said)")
            }
            try await context.acknowledges(primary, since: asked)
            try await primary.sql(
                "INSERT IGNORE INTO repl_watchdog.history SELECT * FROM shop.kept; DROP TABLE shop.kept")
            try await replica.start()
        },
        Fault("S54c", "the agents' record of promotions is gone; an operator puts it back", .either) { context in
            // Without a promotion there is no record that could be missed.
            if try await context.cluster.promotions(on: context.primary).isEmpty {
                try await context.command(context.anyBackend(), ["switchover"])
            }
            let primary = try await context.cluster.settled(context.trial.writers, hold: .milliseconds(500))
            context.begin()
            try await primary.sql(
                """
                CREATE TABLE shop.kept LIKE repl_watchdog.history; INSERT INTO shop.kept SELECT * FROM repl_watchdog.history;
                DROP DATABASE repl_watchdog;
                """)
            let host = context.anyBackend()
            let status = try await context.explained(["repl_watchdog.history of \(primary.name) lacks epoch"], on: host)
            if status != 2 { context.violation("explain ended with \(status), not with 2") }
            await context.nothingPromoted(for: .seconds(5), on: context.cluster.other(than: primary))
            let rows = context.trial.writers.log.acknowledged(since: .now - .seconds(2)).count
            if rows < 50 { context.violation("the writers got only \(rows) rows through in 2 s") }
            try await primary.sql(
                "CREATE DATABASE IF NOT EXISTS repl_watchdog; RENAME TABLE shop.kept TO repl_watchdog.history")
            try await eventually("explain has no complaint", within: .seconds(15)) {
                try await host.command(["explain"]).status == 0
            }
        },
    ]
}

extension Fault.Context {
    /// Two servers that replicate from each other: nobody touches either, and it is said why, until an operator undoes it.
    fileprivate func circular(_ start: String) async throws {
        let host = anyBackend()
        let uptime = try await uptimes()
        begin()
        try await primary.sql(
            """
            CHANGE REPLICATION SOURCE TO SOURCE_HOST = '\(replica.place.address)', SOURCE_PORT = \(replica.port),
              SOURCE_USER = '\(TestAccount.replication.user)', SOURCE_PASSWORD = '\(TestAccount.replication.password)',
              SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1;
            \(start)
            """)
        let status = try await explained(
            ["\(primary.name) is primary by the record", "replicates from the other server"], on: host)
        if status != 2 { violation("explain ended with \(status), not with 2") }
        await nothingPromoted(for: .seconds(8))
        for server in [primary, replica] {
            let channels = try await server.ask(
                "SELECT COUNT(*) FROM performance_schema.replication_connection_configuration")
            if channels != [["1"]] { violation("somebody has changed the replication of \(server.name)") }
        }
        let rows = trial.writers.log.acknowledged(since: .now - .seconds(2)).count
        note("\(rows) rows in the last 2 s before it was undone")
        try await primary.sql("STOP REPLICA; RESET REPLICA ALL;")
        if try await uptimes() != uptime { violation("a server was restarted") }
    }

    /// A client's transaction that has read all rows FOR SHARE: none can be inserted. Where the applier commits in order, a
    /// reader that waits for one of its workers may be waited for by another, until one of the waits times out.
    fileprivate func rowsLocked(on server: MySQLServer) async throws -> MySQLConnection {
        let session = try await MySQLConnection.connect(server.rootOptions, deadline: .after(.seconds(5)))
        _ = try await session.query("SET SESSION innodb_lock_wait_timeout = 1", deadline: .after(.seconds(5)))
        try await eventually("the rows of \(server.name) are locked", within: .seconds(40)) {
            do {
                _ = try await session.query("BEGIN", deadline: .after(.seconds(5)))
                _ = try await session.query(
                    "SELECT COUNT(*) FROM shop.written FOR SHARE", deadline: .after(.seconds(20)))
                return true
            } catch {
                _ = try await session.query("ROLLBACK", deadline: .after(.seconds(5)))
                return false
            }
        }
        return session
    }

    /// Somebody's statement stands in the way of closing the primary: the change is done or called off, in bounded time.
    fileprivate func switchover(beside statement: String, holding: Bool) async throws {
        try await primary.sql("CREATE TABLE IF NOT EXISTS shop.other (n INT)")
        var options = primary.rootOptions
        if chance() {
            options.user = TestAccount.application.user
            options.password = Secret(TestAccount.application.password)
        }
        note("by \(options.user)")
        let session = try await MySQLConnection.connect(options, deadline: .after(.seconds(5)))
        defer { session.abort() }
        let running = Task { try await session.query(statement, deadline: .after(.seconds(60))) }
        if holding {
            _ = try await running.value
        } else {
            try await eventually("the statement runs", within: .seconds(5)) {
                try await primary.ask(
                    "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'") == [["1"]]
            }
        }
        begin()
        let (status, said) = try await anyBackend().command(["switchover", "--timeout", "30s"])
        note("switchover ended with \(status) after \(began.map { $0.duration(to: .now).rounded } ?? "-") s")
        let now = try await cluster.settled(trial.writers)
        // It is done as well where a router was late.
        let isDone = status == 0 || said.contains("the switchover is done")
        if isDone != (now.name == replica.name) {
            violation("switchover ended with \(status), and \(now.name) is the primary: \(said)")
        }
        session.abort()
        _ = try? await running.value
        try await now.sql("DROP TABLE shop.other")
    }

    /// Drops the schema of the agents' records on the primary; the replica follows.
    fileprivate func dropSchema() async throws {
        trial.forgotten(try await cluster.promotions(on: primary))
        try await primary.sql("DROP DATABASE IF EXISTS repl_watchdog")
        try await replica.catchUp(with: primary)
    }

    private func uptimes() async throws -> [pid_t?] { [primary.pid, replica.pid] }
}

extension Duration {
    /// In seconds, for a note.
    var rounded: String { String(format: "%.1f", self / .seconds(1)) }
}
