import MySQLWire

/// The session that turns a server into a copy of another: everything it does stays out of that server's binary log.
struct Target: Sendable {
    let session: Session
    /// Sessions for rows alone, as many as `options.loaders`.
    let loaders: [Session]
    let options: DumpOptions
    /// The account that this session runs as; never dropped, never stripped of its grants.
    let own: Accounts.Account
    /// event_scheduler as it was.
    let scheduler: String
    /// It was an unfinished copy already.
    let wasMarked: Bool

    /// Opens the session and looks whether the server can be a target. Nothing on it is changed but the session's
    /// own settings (and, for a moment, max_allowed_packet, which a session takes from the global one).
    static func open(
        _ target: ConnectionOptions, options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) -> Target {
        let sessions = try await openWide(target, count: 1 + max(1, options.loaders), deadline: deadline)
        do {
            for session in sessions { try await settle(session) }
            return try await prepare(sessions[0], loaders: Array(sessions[1...]), options: options)
        } catch {
            for session in sessions { session.connection.abort() }
            throw error
        }
    }

    /// Breaks off whatever runs on the target.
    func abort() {
        for session in [session] + loaders { session.connection.abort() }
    }

    func close() async {
        for session in [session] + loaders { await session.close() }
    }

    /// Sessions that take statements of up to 1 GiB: a row that fitted the source must fit here.
    private static func openWide(
        _ target: ConnectionOptions, count: Int, deadline: Deadline
    ) async throws(DumpError) -> [Session] {
        let first = try await Session.open(target, deadline: deadline)
        let before = try await first.value("SELECT @@GLOBAL.max_allowed_packet", "read max_allowed_packet")
        try await first.run("SET GLOBAL max_allowed_packet = 1073741824", "raise max_allowed_packet for the import")
        var sessions: [Session] = []
        do {
            for _ in 0..<count { sessions.append(try await Session.open(target, deadline: deadline)) }
        } catch {
            if let before { _ = try? await first.attempt("SET GLOBAL max_allowed_packet = \(before)", "put it back") }
            await first.close()
            for session in sessions { session.connection.abort() }
            throw error
        }
        if let before {
            try await first.run("SET GLOBAL max_allowed_packet = \(before)", "put max_allowed_packet back")
        }
        await first.close()
        return sessions
    }

    private static func settle(_ session: Session) async throws(DumpError) {
        var settings = [
            "sql_log_bin = 0", "sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'", "time_zone = '+00:00'",
            "foreign_key_checks = 0",
            "unique_checks = 0", "autocommit = 1", "completion_type = 0", "net_read_timeout = 86400",
            "net_write_timeout = 86400", "wait_timeout = 86400", "lock_wait_timeout = 60",
            "sql_select_limit = 18446744073709551615", "max_execution_time = 0", "sql_safe_updates = 0",
            "sql_big_selects = 1", "sql_quote_show_create = 1",
            // A table whose rows might not fit is one that the source has.
            "innodb_strict_mode = 0",
        ]
        if session.version.isMySQL(atLeast: 8, 0, 17) { settings.append("print_identified_with_as_hex = 1") }
        try await session.run("SET NAMES utf8mb4", "set the character set")
        try await session.run(
            "SET SESSION " + settings.joined(separator: ", "),
            "prepare the importing session (nothing of it may be logged)")
        guard try await session.value("SELECT @@SESSION.sql_log_bin", "see that nothing is logged") == "0" else {
            throw DumpError(
                .unsupported,
                "\(session.server): sql_log_bin could not be switched off; grant SESSION_VARIABLES_ADMIN to the importing account"
            )
        }
    }

    private static func prepare(
        _ session: Session, loaders: [Session], options: DumpOptions
    ) async throws(DumpError) -> Target {
        let facts = try await session.run(
            """
            SELECT @@GLOBAL.super_read_only AS super_read_only, @@GLOBAL.event_scheduler AS event_scheduler, \
            @@GLOBAL.gtid_mode AS gtid_mode, SUBSTRING_INDEX(CURRENT_USER(), '@', -1) AS host, \
            LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - LOCATE('@', REVERSE(CURRENT_USER()))) AS user
            """, "read the target's settings")
        guard let row = facts.rows.first else { throw DumpError(.unsupported, "\(session.server) answered nothing") }
        guard row.string("super_read_only") == "0" else {
            throw DumpError(
                .unsupported,
                "\(session.server): super_read_only is ON; switch it off for the import (read_only may stay on)")
        }
        let mode = row.string("gtid_mode")
        guard mode?.uppercased() == "ON" else {
            throw DumpError(
                .unsupported, "\(session.server): gtid_mode is \(mode ?? "NULL"), ON is needed for an import")
        }
        let running = try await session.value(
            """
            SELECT (SELECT COUNT(*) FROM performance_schema.replication_connection_status WHERE SERVICE_STATE <> 'OFF') \
            + (SELECT COUNT(*) FROM performance_schema.replication_applier_status WHERE SERVICE_STATE <> 'OFF')
            """, "see whether replication runs on the target")
        guard running == "0" else {
            throw DumpError(
                .unsupported,
                "\(session.server): replication runs on the target; STOP REPLICA and RESET REPLICA ALL first")
        }
        return Target(
            session: session, loaders: loaders, options: options,
            own: .init(user: row.string("user") ?? "", host: row.string("host") ?? ""),
            scheduler: row.string("event_scheduler") ?? "",
            wasMarked: try await RebuildMark.source(session) != nil)
    }

    /// Makes the server empty. The mark goes up first, then the GTID history goes: from here until the end the server
    /// claims no transaction that it may not have, and says itself that it is half a copy.
    func wipe(source: String) async throws(DumpError) {
        if options.marksTarget {
            for statement in RebuildMark.set(source: source) {
                try await session.run(statement, "mark the target as an unfinished copy")
            }
        }
        if scheduler.uppercased() == "ON" {
            try await session.run("SET GLOBAL event_scheduler = OFF", "keep events from running during the import")
        }
        try await forgetHistory()
        for statement in options.duringWipe { try await session.run(statement, "while the target is wiped") }
        let readOnly = Set(try await Catalog.readOnlySchemas(session))
        for schema in try await Catalog.schemas(session, excluded: options.excludedSchemas) {
            if readOnly.contains(schema) {
                try await session.run(
                    "ALTER DATABASE \(SQLText.name(schema)) READ ONLY = 0",
                    "let the target's schema \(schema) be dropped")
            }
            try await session.run("DROP DATABASE \(SQLText.name(schema))", "drop the target's schema \(schema)")
        }
    }

    /// Drops the accounts that the source does not have.
    func dropSurplus(keeping accounts: [Accounts.Account]) async throws(DumpError) {
        let wanted = Set(accounts)
        for account in try await Accounts.list(session) where !wanted.contains(account) && account != own {
            try await session.run(
                "DROP USER IF EXISTS \(account.quoted)",
                "drop account \(account.quoted), which the source does not have")
        }
    }

    /// From here the server claims the source's history.
    func claim(_ gtid: String) async throws(DumpError) {
        let before = try await session.gtidExecuted()
        guard before.isEmpty else {
            throw mismatch("the target made transactions of its own during the import (\(before)); import again")
        }
        guard !gtid.isEmpty else { return }
        try await session.run(
            "SET GLOBAL gtid_purged = \(SQLText.literal(gtid))", "claim the source's GTID set on the target")
        let after = try await session.value(
            """
            SELECT GTID_SUBSET(@@GLOBAL.gtid_executed, \(SQLText.literal(gtid))) \
            AND GTID_SUBSET(\(SQLText.literal(gtid)), @@GLOBAL.gtid_executed)
            """, "read the target's GTID set back")
        guard after == "1" else { throw mismatch("gtid_executed of the target is not what was set") }
    }

    /// Runs what a server refuses under read_only even to its administrators. Clients stay out meanwhile:
    /// offline_mode ends their sessions and lets none of them in.
    func unlocked<Value>(_ body: () async throws(DumpError) -> Value) async throws(DumpError) -> Value {
        guard try await session.value("SELECT @@GLOBAL.read_only", "see whether the target is read-only") == "1" else {
            return try await body()
        }
        let offline = try await session.value("SELECT @@GLOBAL.offline_mode", "see whether clients are let in") == "1"
        if !offline { try await session.run("SET GLOBAL offline_mode = ON", "keep clients out for a moment") }
        try await session.run("SET GLOBAL read_only = OFF", "let a histogram be written")
        let value = try await body()
        try await session.run("SET GLOBAL read_only = ON", "close the target again")
        if !offline { try await session.run("SET GLOBAL offline_mode = OFF", "let clients in again") }
        return value
    }

    /// The very last statement: it is a copy now, and no longer half of one.
    func clearMark() async throws(DumpError) {
        guard options.marksTarget else { return }
        try await session.run(RebuildMark.clear, "take the mark of an unfinished copy away")
    }

    /// Puts back what an import changed for its own time, also what one that was killed has left.
    func restoreSettings() async throws(DumpError) {
        if wasMarked, try await session.value("SELECT @@GLOBAL.offline_mode", "see whether clients are let in") == "1" {
            try await session.run("SET GLOBAL offline_mode = OFF", "let clients in again")
        }
        if scheduler.uppercased() == "ON" {
            try await session.run("SET GLOBAL event_scheduler = ON", "switch the event scheduler on again")
        }
    }

    func mismatch(_ message: String) -> DumpError { DumpError(.mismatch, "\(session.server): \(message)") }
}
