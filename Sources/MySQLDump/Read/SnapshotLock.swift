import MySQLWire

/// The moment in which nothing moves: locks, begins the snapshots, reads gtid_executed, and unlocks.
struct SnapshotLock {
    /// The first one takes the locks.
    let sessions: [Session]
    let side: Session
    let options: DumpOptions

    private var first: Session { sessions[0] }

    func take() async throws(DumpError) -> SourceSnapshot {
        var warnings: [String] = []
        let seconds = max(1, min(options.lockTimeout.components.seconds, 3600))
        for session in sessions + [side] {
            try await session.run("SET SESSION lock_wait_timeout = \(seconds)", "bound the wait for locks")
        }
        // DDL, GRANT and CREATE USER wait until the dump is through; rows may be written.
        let refusal = try await first.attempt("LOCK INSTANCE FOR BACKUP", "lock out DDL during the dump")
        if let refusal {
            guard Self.isDenied(refusal) else {
                throw refused(refusal, "lock out DDL during the dump (LOCK INSTANCE FOR BACKUP)")
            }
            warnings.append(
                "\(first.server): no BACKUP_ADMIN privilege, so changes of definitions were not locked out during the "
                    + "dump; they were compared before and after it")
        }
        let holder = try await lockWrites(definitionsLocked: refusal == nil, warn: { warnings.append($0) })
        for session in sessions {
            try await session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT", "begin the snapshot")
        }
        let gtid = try await first.gtidExecuted()
        // While writes are locked, so is DDL.
        let definitions =
            refusal == nil ? nil : try await Definitions.read(side, excluded: options.excludedSchemas)
        try await holder.run("UNLOCK TABLES", "release the lock")
        return try await SourceSnapshot(
            sessions: sessions, gtidExecuted: gtid, definitions: definitions, warnings: warnings)
    }

    /// - Returns: the session that holds the lock.
    private func lockWrites(definitionsLocked: Bool, warn: (String) -> Void) async throws(DumpError) -> Session {
        // The first waits for long statements without holding up writers, so that the second is short. LOCAL: without
        // it the flush is written to the binary log, as a transaction of this server's own.
        for statement in ["FLUSH LOCAL TABLES", "FLUSH TABLES WITH READ LOCK"] {
            guard let refusal = try await first.attempt(statement, "take the short global read lock") else { continue }
            guard Self.isDenied(refusal) else {
                throw refused(refusal, "take the short global read lock (\(statement))")
            }
            // Next best: every table by name. Sound only if no table can come up meanwhile.
            guard definitionsLocked else {
                throw refused(refusal, "take the short global read lock (\(statement))")
            }
            try await lockTables(instead: refusal)
            warn(
                "\(first.server): no RELOAD or FLUSH_TABLES privilege; every table was locked by name for the moment of "
                    + "the snapshot")
            return side
        }
        return first
    }

    /// On a session of its own: beginning a transaction gives up LOCK TABLES.
    private func lockTables(instead refusal: ServerError) async throws(DumpError) {
        var tables: [String] = []
        for schema in try await Catalog.schemas(side, excluded: options.excludedSchemas) {
            for table in try await Catalog.tables(side, schema: schema) where !table.isView && table.holdsRows {
                tables.append("\(table.quoted) READ")
            }
        }
        guard !tables.isEmpty else { return }
        if let second = try await side.attempt(
            "LOCK TABLES " + tables.joined(separator: ", "), "lock every table for the moment of the snapshot")
        {
            throw refused(Self.isDenied(second) ? refusal : second, "lock every table for the moment of the snapshot")
        }
    }

    private static func isDenied(_ error: ServerError) -> Bool { [1227, 1045, 1142, 1044].contains(error.number) }

    private func refused(_ error: ServerError, _ purpose: String) -> DumpError {
        let remedy =
            switch error.number {
            case 1205, 3572:
                "; a statement on the source runs for long: wait for it or raise the lock timeout"
            case _ where Self.isDenied(error):
                "; grant RELOAD (or FLUSH_TABLES) and BACKUP_ADMIN to the dumping account, or LOCK TABLES and BACKUP_ADMIN"
            default: ""
            }
        return DumpError(
            .server(
                MySQLError(
                    .server, phase: .reply, server: first.server, purpose: purpose, message: error.message,
                    serverError: error)), "cannot begin the dump\(remedy)")
    }
}

/// A digest of all that DDL can change.
struct Definitions: Equatable, Sendable {
    private let digest: [UInt8]

    /// - Parameter session: one that is in no transaction.
    static func read(_ session: Session, excluded: Set<String>) async throws(DumpError) -> Definitions {
        let hash = SHA256Stream()
        let left = Catalog.systemSchemas.union(excluded).sorted().map(SQLText.literal).joined(separator: ", ")
        for (view, schema, columns) in [
            ("SCHEMATA", "SCHEMA_NAME", "SCHEMA_NAME, DEFAULT_COLLATION_NAME"),
            ("TABLES", "TABLE_SCHEMA", "TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, CREATE_TIME"),
            ("COLUMNS", "TABLE_SCHEMA", "TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, EXTRA"),
            ("STATISTICS", "TABLE_SCHEMA", "TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME"),
            ("VIEWS", "TABLE_SCHEMA", "TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION"),
            ("ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, LAST_ALTERED"),
            ("TRIGGERS", "TRIGGER_SCHEMA", "TRIGGER_SCHEMA, TRIGGER_NAME, CREATED, ACTION_ORDER"),
            ("EVENTS", "EVENT_SCHEMA", "EVENT_SCHEMA, EVENT_NAME, LAST_ALTERED"),
        ] {
            let order = columns.split(separator: ",").indices.map { "\($0 + 1)" }.joined(separator: ", ")
            let result = try await session.run(
                "SELECT \(columns) FROM information_schema.\(view) WHERE \(schema) NOT IN (\(left)) ORDER BY \(order)",
                "read what the definitions are")
            for row in result.rows {
                for column in row.columns.indices {
                    let value = row.bytes(column)
                    // With its length, so that no two rows read alike.
                    for part in [Array("\(value?.count ?? -1):".utf8), value ?? []] {
                        part.withUnsafeBytes { hash.add($0) }
                    }
                }
            }
        }
        return Definitions(digest: hash.digest())
    }
}
