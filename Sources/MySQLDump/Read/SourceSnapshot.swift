import MySQLWire

/// One session that stands in a consistent snapshot, and what was true in the instant it was taken.
struct SourceSnapshot: Sendable {
    let session: Session
    let gtidExecuted: String
    let serverUUID: String
    let threadID: String
    var warnings: [String] = []

    /// Opens a session that reads the server exactly as it is: no cap of the server's settings applies to it, no
    /// sql_mode changes what it prints, text comes as stored.
    static func openReader(_ options: ConnectionOptions, deadline: Deadline) async throws(DumpError) -> Session {
        let session = try await Session.open(options, deadline: deadline)
        var settings = [
            "sql_mode = ''", "time_zone = '+00:00'", "transaction_isolation = 'REPEATABLE-READ'",
            "net_write_timeout = 86400", "net_read_timeout = 86400", "wait_timeout = 86400",
            // Not DEFAULT: that is the global value, and that may be the cap.
            "sql_select_limit = 18446744073709551615", "max_execution_time = 0", "sql_big_selects = 1",
            "sql_quote_show_create = 1", "autocommit = 1", "completion_type = 0", "sql_safe_updates = 0",
            "sql_auto_is_null = 0", "information_schema_stats_expiry = 0",
        ]
        if session.version.isMySQL(atLeast: 8, 0, 17) { settings.append("print_identified_with_as_hex = 1") }
        if session.version.isMySQL(atLeast: 8, 0, 30) {
            settings.append("show_gipk_in_create_table_and_information_schema = 1")
        }
        try await session.run("SET NAMES utf8mb4", "set the character set")
        try await session.run("SET SESSION " + settings.joined(separator: ", "), "prepare the reading session")
        try await session.run("SET SESSION character_set_results = NULL", "ask for text as stored")
        return session
    }

    /// Takes the snapshot: DDL locked out for as long as the session lives, writes for the moment in which the
    /// snapshot begins and gtid_executed is read.
    static func take(
        from source: ConnectionOptions, options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) -> SourceSnapshot {
        let session = try await openReader(source, deadline: deadline)
        do {
            return try await take(on: session, options: options)
        } catch {
            session.connection.abort()
            throw error
        }
    }

    private static func take(on session: Session, options: DumpOptions) async throws(DumpError) -> SourceSnapshot {
        var warnings: [String] = []
        let seconds = max(1, min(options.lockTimeout.components.seconds, 3600))
        try await session.run("SET SESSION lock_wait_timeout = \(seconds)", "bound the wait for locks")

        // DDL, GRANT and CREATE USER wait until the dump is through; rows may be written.
        if let refusal = try await session.attempt("LOCK INSTANCE FOR BACKUP", "lock out DDL during the dump") {
            guard refusal.number == 1227 || refusal.number == 1045 else {
                throw refused(session, refusal, "lock out DDL during the dump (LOCK INSTANCE FOR BACKUP)")
            }
            warnings.append(
                "\(session.server): no BACKUP_ADMIN privilege, so changes of definitions were not locked out during the dump"
            )
        }
        // Waits for long statements without holding up writers, so that the next statement is short. LOCAL: without
        // it the flush is written to the binary log, as a transaction of this server's own.
        for statement in ["FLUSH LOCAL TABLES", "FLUSH TABLES WITH READ LOCK"] {
            if let refusal = try await session.attempt(statement, "take the short global read lock") {
                throw refused(session, refusal, "take the short global read lock (\(statement))")
            }
        }
        try await session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT", "begin the snapshot")
        let gtid = try await session.gtidExecuted()
        try await session.run("UNLOCK TABLES", "release the short global read lock")

        let identity = try await session.run("SELECT @@GLOBAL.server_uuid, CONNECTION_ID()", "identify the server")
        guard let uuid = identity.rows.first?.string(0), let thread = identity.rows.first?.string(1) else {
            throw DumpError(.unsupported, "\(session.server) does not tell its server_uuid")
        }
        return SourceSnapshot(
            session: session, gtidExecuted: gtid, serverUUID: uuid, threadID: thread, warnings: warnings)
    }

    private static func refused(_ session: Session, _ error: ServerError, _ purpose: String) -> DumpError {
        let remedy =
            switch error.number {
            case 1205, 3572: "; a statement on the source runs for long: wait for it or raise the lock timeout"
            case 1227, 1045, 1142: "; grant RELOAD and BACKUP_ADMIN to the dumping account"
            default: ""
            }
        return DumpError(
            .server(
                MySQLError(
                    .server, phase: .reply, server: session.server, purpose: purpose, message: error.message,
                    serverError: error)), "cannot begin the dump\(remedy)")
    }

    /// Proves that everything since `take` was read in one snapshot: the same session, the transaction still open.
    /// Some statements end a transaction without a word; inside one, SET TRANSACTION fails with 1568.
    func assertUnbroken() async throws(DumpError) {
        let thread = try await session.value("SELECT CONNECTION_ID()", "check the snapshot's session")
        let refusal = try await session.attempt(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "check that the snapshot is still open")
        guard thread == threadID, refusal?.number == 1568 else {
            throw DumpError(.mismatch, "\(session.server): the snapshot ended during the dump; the dump is of no use")
        }
    }
}
