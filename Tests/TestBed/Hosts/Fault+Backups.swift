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
        Fault("S87", "events that are on, off, and made by another client, when the primary dies", .failover) {
            context in
            let before = try await context.makeEvents()
            try await context.dies()
            try await context.sees(before, on: context.replica)
            // The former primary runs none of them when it is back.
            try await eventually("the former primary's events sleep", within: .seconds(30)) {
                try await context.primary.ask("SELECT COUNT(*) FROM information_schema.EVENTS WHERE STATUS = 'ENABLED'")
                    == [["0"]]
            }
        },
        Fault("S87b", "events that are on and off, and a switchover", .failover) { context in
            let before = try await context.makeEvents(waiting: false)
            context.begin()
            let (status, said) = try await context.anyBackend().command(["switchover", "--timeout", "30s"])
            if status != 0 { context.violation("switchover ended with \(status): \(said)") }
            try await context.failedOver(within: .seconds(12))
            try await context.sees(before, on: context.replica)
        },
        Fault("S88", "SOURCE_DELAY on the replica, then the primary dies", .failover) { context in
            try await context.record()
            try await context.replica.sql(
                "STOP REPLICA SQL_THREAD; CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 600; START REPLICA SQL_THREAD")
            await context.wait(.seconds(5))
            try await context.dies()
        },
        Fault("S88b", "SOURCE_DELAY on the replica, and a switchover", .failover) { context in
            try await context.record()
            try await context.replica.sql(
                "STOP REPLICA SQL_THREAD; CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 600; START REPLICA SQL_THREAD")
            await context.wait(.seconds(3))
            context.begin()
            let (status, said) = try await context.anyBackend().command(["switchover", "--timeout", "30s"])
            if status != 0 { context.violation("switchover ended with \(status): \(said)") }
            try await context.failedOver(within: .seconds(12))
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

    func record() async throws {
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

    /// The primary's process, until another server takes writes; whatever else is under way goes on meanwhile.
    func dies() async throws {
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

    private static let eventFacts = """
        SELECT EVENT_NAME, STATUS, SQL_MODE, TIME_ZONE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DEFINER,
            HEX(EVENT_DEFINITION), INTERVAL_VALUE, ON_COMPLETION FROM information_schema.EVENTS
        WHERE EVENT_SCHEMA = 'shop' AND EVENT_NAME LIKE 's87%' ORDER BY 1
        """

    /// - Parameter waiting: until the replica knows which are on.
    /// - Returns: what the primary says of them.
    fileprivate func makeEvents(waiting: Bool = true) async throws -> [[String?]] {
        try await record()
        try await primary.sql(
            """
            DROP EVENT IF EXISTS shop.s87_off; DROP EVENT IF EXISTS shop.s87_later; DROP EVENT IF EXISTS shop.s87_on;
            CREATE EVENT shop.s87_off ON SCHEDULE EVERY 1 SECOND DISABLE DO DELETE FROM shop.no_such_table LIMIT 1;
            CREATE EVENT shop.s87_later ON SCHEDULE EVERY 1 SECOND ENABLE DO SET @b = 1;
            ALTER EVENT shop.s87_later DISABLE;
            SET NAMES latin1; SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES', time_zone = '+05:00';
            CREATE DEFINER = 'app'@'%' EVENT shop.s87_on ON SCHEDULE EVERY 1 HOUR ON COMPLETION PRESERVE DO SET @a = 'x\\';
            """)
        // As a client of another character set sends it.
        let latin = try await MySQLConnection.connect(primary.rootOptions, deadline: .after(.seconds(5)))
        for statement in [
            Array("SET NAMES latin1".utf8), Array("DROP EVENT IF EXISTS shop.s87_gr".utf8) + [0xFC] + Array("n".utf8),
            Array("CREATE EVENT shop.s87_gr".utf8) + [0xFC]
                + Array("n ON SCHEDULE EVERY 1 HOUR COMMENT 'x' DO SET @c = '".utf8) + [0xFC] + Array("'".utf8),
        ] { _ = try await latin.query(statement, deadline: .after(.seconds(5))) }
        await latin.close()
        if waiting {
            try await eventually("the replica has the list of events", within: .seconds(30)) {
                let list = try? await replica.ask(
                    "SELECT status FROM repl_watchdog.events WHERE event_name LIKE 's87%' ORDER BY event_name")
                return list == [["ENABLED"], ["DISABLED"], ["DISABLED"], ["ENABLED"]]
            }
        } else {
            try await eventually("the replica has the events", within: .seconds(10)) {
                try await replica.ask(Self.eventFacts).count == 4
            }
        }
        return try await primary.ask(Self.eventFacts)
    }

    /// Nothing of an event is changed, nor whether it is on.
    fileprivate func sees(_ before: [[String?]], on server: MySQLServer) async throws {
        try await eventually("the events are awake", within: .seconds(10)) {
            try await server.ask(Self.eventFacts).filter { $0[1] == "ENABLED" }.count >= 2
        }
        let after = try await server.ask(Self.eventFacts)
        if after != before { violation("the events were \(before), and are \(after)") }
    }
}
