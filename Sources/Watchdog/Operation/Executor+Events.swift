import Logging
import MySQLWire

/// Events run on the primary and sleep on its replica. A replica does not know which of them were off: whatever comes by
/// replication is SLAVESIDE_DISABLED there, also what was created with DISABLE. So the primary's own list is kept in
/// `repl_watchdog.events`, and an event is switched on only where it is known that it was on.
/// https://dev.mysql.com/doc/refman/8.4/en/replication-features-invoked.html
extension Executor {
    /// STATUS by `schema.name`.
    typealias EventStatuses = [String: String]

    /// An event with what it was made under: ALTER EVENT gives it the settings of the session that sends it.
    private struct Event {
        var schema: String
        var name: String
        var definer: String
        var sqlMode: String
        var characterSet: String
        var collation: String
        var timeZone: String

        var key: String { "\(schema).\(name)" }

        init?(_ row: Row) {
            guard let schema = row.string("EVENT_SCHEMA"), let name = row.string("EVENT_NAME"),
                let definer = row.string("DEFINER"), let sqlMode = row.string("SQL_MODE"),
                let characterSet = row.string("CHARACTER_SET_CLIENT"),
                let collation = row.string("COLLATION_CONNECTION"), let timeZone = row.string("TIME_ZONE")
            else { return nil }
            (self.schema, self.name, self.definer) = (schema, name, definer)
            (self.sqlMode, self.characterSet, self.collation, self.timeZone) = (
                sqlMode, characterSet, collation, timeZone
            )
        }

        static let columns =
            "EVENT_SCHEMA, EVENT_NAME, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, TIME_ZONE"

        var settings: String {
            """
            SET SESSION sql_mode = \(SQLText.literal(sqlMode)), time_zone = \(SQLText.literal(timeZone)),
                collation_connection = \(SQLText.literal(collation)), character_set_client = \(SQLText.literal(characterSet))
            """
        }

        /// - Parameter status: ENABLE, DISABLE or DISABLE ON REPLICA.
        func alter(_ status: String) -> String {
            let split = definer.lastIndex(of: "@") ?? definer.endIndex
            let account =
                SQLText.name(String(definer[..<split])) + "@" + SQLText.name(String(definer[split...].dropFirst()))
            // Without DEFINER the agent would become the definer.
            return "ALTER DEFINER=\(account) EVENT \(SQLText.name(schema)).\(SQLText.name(name)) \(status)"
        }
    }

    /// Changes the status of an event and nothing else of it.
    private func alter(
        _ event: Event, _ status: String, _ connection: MySQLConnection, _ what: String
    ) async throws(MySQLError) {
        func run(_ sql: [UInt8]) async throws(MySQLError) -> ResultSet {
            try await connection.query(sql, purpose: what, deadline: .after(.seconds(8)))
        }
        let sql = event.alter(status)
        var statement = Array(sql.utf8)
        if event.characterSet != "utf8mb4", sql.utf8.contains(where: { $0 >= 0x80 }) {
            // Names as the event's own character set writes them, which is what the server will read.
            let converted = "CAST(CONVERT(\(SQLText.literal(sql)) USING \(event.characterSet)) AS BINARY)"
            let answer = try await run(Array("SELECT \(converted) AS converted".utf8))
            if let bytes = answer.rows.first?.bytes("converted") { statement = bytes }
        }
        _ = try await run(Array(event.settings.utf8))
        let result: Result<Void, MySQLError>
        do throws(MySQLError) {
            _ = try await run(statement)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        _ = try await run(Array("SET NAMES utf8mb4".utf8))
        _ = try await run(Array("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = DEFAULT".utf8))
        try result.get()
    }

    // MARK: What is on

    /// On a server that is primary, or was until it was fenced a moment ago.
    func eventStatuses(_ session: ServerSession, _ what: String) async throws(MySQLError) -> EventStatuses {
        let found = try await session.run(
            """
            SELECT CONCAT(EVENT_SCHEMA, '.', EVENT_NAME) AS event, STATUS AS status
            FROM information_schema.EVENTS LIMIT 10000
            """, what)
        return Self.statuses(found)
    }

    private static let recorded = """
        SELECT CONCAT(event_schema, '.', event_name) AS event, status AS status FROM repl_watchdog.events LIMIT 20000
        """

    private static func statuses(_ found: ResultSet) -> EventStatuses {
        Dictionary(
            found.rows.compactMap { row in
                row.string("event").flatMap { key in row.string("status").map { (key, $0) } }
            }
        ) { first, _ in first }
    }

    /// Writes the primary's list down where it has changed. In quiet times; what is written replicates.
    func keepEvents(_ primary: ServerID) async throws(AgentError) {
        let what = "keep the list of events of \(name(primary))"
        try await withSession(primary, what) { session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in
                let now = try await eventStatuses(session, what)
                let isThere = try await session.run(
                    """
                    SELECT COUNT(*) AS tables FROM information_schema.TABLES
                    WHERE TABLE_SCHEMA = 'repl_watchdog' AND TABLE_NAME = 'events'
                    """, what
                ).rows.first?.int("tables")
                guard isThere == 1 || !now.isEmpty else { return }
                try await session.run("SET SESSION sql_log_bin = 1, lock_wait_timeout = 2", what)
                if isThere != 1 {
                    // It would wait for a backup's lock, and the replica's applier too: later, then.
                    guard try await Self.holders(.backup, session.connection, deadline: .after(.seconds(4))).isEmpty
                    else { return }
                    for statement in LedgerSchema.createEvents { try await session.run(statement, what) }
                }
                let kept = Self.statuses(try await session.run(Self.recorded, what))
                guard kept != now else { return }
                try await session.run("START TRANSACTION", what)
                try await session.run("DELETE FROM repl_watchdog.events", what)
                let names = try await session.run(
                    """
                    SELECT EVENT_SCHEMA AS event_schema, EVENT_NAME AS event_name, STATUS AS status
                    FROM information_schema.EVENTS LIMIT 10000
                    """, what)
                // Values, not a SELECT: by statement a replica would read its own.
                let values = names.rows.map { row in
                    let columns = ["event_schema", "event_name", "status"]
                    return "(" + columns.map { SQLText.literal(row.string($0) ?? "") }.joined(separator: ", ") + ")"
                }
                if !values.isEmpty {
                    try await session.run(
                        "INSERT INTO repl_watchdog.events (event_schema, event_name, status) VALUES "
                            + values.joined(separator: ", "), what)
                }
                try await session.run("COMMIT", what)
            }
        }
    }

    // MARK: A new primary

    /// Events that slept on the replica run on the primary if they ran on the one before. One that cannot be altered is
    /// no reason to stop.
    /// - Parameter known: as the former primary has them, where it could be asked.
    func wakeEvents(_ known: EventStatuses?, _ ledger: LedgerSession) async {
        let what = "wake the events of the new primary"
        do {
            let sleeping = try await ledger.run(
                """
                SELECT \(Event.columns) FROM information_schema.EVENTS
                WHERE STATUS IN ('SLAVESIDE_DISABLED', 'REPLICA_SIDE_DISABLED')
                """, what
            ).rows.compactMap { Event($0) }
            guard !sleeping.isEmpty else { return }
            var statuses = known
            if statuses == nil { statuses = try await recordedEvents(ledger, what) }
            var unknown: [String] = []
            for event in sleeping {
                switch statuses?[event.key]?.uppercased() {
                case "ENABLED": await wake(event, "ENABLE", ledger, what)
                case "DISABLED": await wake(event, "DISABLE", ledger, what)
                // Somebody has put it to sleep on the primary itself.
                case .some: break
                case nil: unknown.append(event.key)
                }
            }
            if !unknown.isEmpty {
                logger.log(
                    .eventsStayOff,
                    [
                        "server": "\(name(ledger.server))",
                        "events": "\(unknown.prefix(20).map(PrintableText.line).joined(separator: ", "))",
                        "remedy": "ALTER EVENT ... ENABLE for those that shall run",
                    ])
            }
        } catch {
            ledger.connection.abort()
            logger.log(.eventsStayDisabled, ["error": "\(error)"])
        }
    }

    private func wake(_ event: Event, _ status: String, _ ledger: LedgerSession, _ what: String) async {
        do {
            try await ledger.run("SET SESSION sql_log_bin = 1", what)
            do throws(MySQLError) {
                try await alter(event, status, ledger.connection, what)
            } catch {
                guard error.serverError != nil, ledger.isOpen else { throw error }
                logger.log(.eventsStayDisabled, ["name": "\(PrintableText.line(event.key))", "error": "\(error)"])
            }
            try await ledger.run("SET SESSION sql_log_bin = 0", "leave the history alone again")
        } catch {
            // What it would write to the binary log from here on is not known.
            ledger.connection.abort()
            logger.log(.eventsStayDisabled, ["error": "\(error)"])
        }
    }

    /// - Returns: nil where nothing was ever written down.
    private func recordedEvents(_ ledger: LedgerSession, _ what: String) async throws(MySQLError) -> EventStatuses? {
        do {
            return Self.statuses(try await ledger.run(Self.recorded, what))
        } catch {
            guard let number = error.number, LedgerSchema.unreadable.contains(number) else { throw error }
            return nil
        }
    }

    // MARK: A new replica

    /// Lets no event of the primary's run on its clone.
    func putEventsToSleep(_ session: ServerSession) async throws(MySQLError) {
        let what = "keep events from running on the replica"
        let running = try await session.run(
            "SELECT \(Event.columns) FROM information_schema.EVENTS WHERE STATUS = 'ENABLED'", what)
        let status = session.version.isMySQL(atLeast: 8, 4) ? "DISABLE ON REPLICA" : "DISABLE ON SLAVE"
        for row in running.rows {
            guard let event = Event(row) else { continue }
            try await alter(event, status, session.connection, what)
        }
    }
}
