import MySQLWire

/// Sessions that stand in one consistent snapshot, and what was true in the instant it was taken.
struct SourceSnapshot: Sendable {
    /// Reads definitions, and holds the lock that keeps them as they are.
    let session: Session
    /// Read rows, in the same snapshot.
    let readers: [Session]
    let gtidExecuted: String
    let serverUUID: String
    /// Of `session` and then of each reader: a session that came back would be another one.
    private let threads: [String]
    /// What the definitions were, where they could not be locked.
    private let definitions: Definitions?
    let warnings: [String]

    var all: [Session] { [session] + readers }

    /// Takes the snapshot: DDL locked out for as long as the session lives; writers go on.
    /// - Parameter side: stays outside of the snapshot.
    static func take(
        from source: ConnectionOptions, side: Session, options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) -> SourceSnapshot {
        var sessions: [Session] = []
        do throws(DumpError) {
            // All of them before the lock is taken, so that it is not held for a slow connect.
            for _ in 0...max(1, options.readers) {
                sessions.append(try await openReader(source, deadline: deadline))
            }
            return try await SnapshotLock(sessions: sessions, side: side, options: options).take()
        } catch {
            for session in sessions { session.connection.abort() }
            throw error
        }
    }

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

    init(
        sessions: [Session], gtidExecuted: String, definitions: Definitions?, warnings: [String]
    ) async throws(DumpError) {
        session = sessions[0]
        readers = Array(sessions[1...])
        self.gtidExecuted = gtidExecuted
        self.definitions = definitions
        self.warnings = warnings
        guard let uuid = try await session.value("SELECT @@GLOBAL.server_uuid", "identify the server") else {
            throw DumpError(.unsupported, "\(sessions[0].server) does not tell its server_uuid")
        }
        serverUUID = uuid
        var threads: [String] = []
        for session in sessions {
            threads.append(try await session.value("SELECT CONNECTION_ID()", "identify the session") ?? "")
        }
        self.threads = threads
    }

    /// Proves that everything since `take` was read in one snapshot: the same sessions, the transactions still open.
    /// Some statements end a transaction without a word; inside one, SET TRANSACTION fails with 1568. And where
    /// definitions could not be locked, that nobody changed one: a table that was renamed after the tables were listed
    /// is missed or read twice.
    func assertUnbroken(_ side: Session, options: DumpOptions) async throws(DumpError) {
        for (session, expected) in zip(all, threads) {
            let thread = try await session.value("SELECT CONNECTION_ID()", "check the snapshot's session")
            let refusal = try await session.attempt(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "check that the snapshot is still open")
            guard thread == expected, refusal?.number == 1568 else {
                throw DumpError(
                    .mismatch, "\(session.server): the snapshot ended during the dump; the dump is of no use")
            }
        }
        guard let definitions else { return }
        guard try await Definitions.read(side, excluded: options.excludedSchemas) == definitions else {
            throw DumpError(
                .mismatch,
                "\(session.server): a definition was changed during the dump, which is of no use; "
                    + "grant BACKUP_ADMIN to the dumping account, so that it can lock definitions, or dump again")
        }
    }

    func close() async { for session in all { await session.close() } }
    func abort() { for session in all { session.connection.abort() } }
}
