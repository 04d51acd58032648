import MySQLWire

/// Finds the moment in which all snapshots begin, and its GTID set. Writers are not held up for more than
/// `DumpOptions.writerPause` at a time, and not at all where a moment comes by itself in which nothing commits.
///
/// FLUSH TABLES WITH READ LOCK is not used: it holds up every writer for as long as one statement runs, and a flush that
/// is broken off keeps later readers of the same table waiting for that statement.
struct SnapshotLock {
    /// The first one locks out DDL.
    let sessions: [Session]
    let side: Session
    let options: DumpOptions

    private var first: Session { sessions[0] }

    func take() async throws(DumpError) -> SourceSnapshot {
        var warnings: [String] = []
        let patience = max(1, min(options.lockTimeout.components.seconds, 3600))
        let deadline = Deadline.after(.seconds(patience))
        for session in sessions + [side] {
            try await session.run("SET SESSION lock_wait_timeout = \(patience)", "bound the wait for locks")
        }
        // DDL, GRANT and CREATE USER wait until the dump is through; rows may be written.
        let refusal = try await first.attempt("LOCK INSTANCE FOR BACKUP", "lock out DDL during the dump")
        if let refusal {
            guard refusal.isDenial else {
                throw DumpError(
                    refusal, on: first, "lock out DDL during the dump (LOCK INSTANCE FOR BACKUP)",
                    "cannot begin the dump; a change of definitions is under way: wait for it")
            }
            warnings.append(
                "\(first.server): no BACKUP_ADMIN privilege, so changes of definitions were not locked out during the "
                    + "dump; they were compared before and after it")
        }
        // Before the snapshots: whatever is changed from here on is seen at the end.
        let definitions =
            refusal == nil ? nil : try await Definitions.read(side, excluded: options.excludedSchemas)
        let moment = try await MomentSearch(
            sessions: sessions, side: side, options: options, deadline: deadline
        ).find { warnings.append($0) }
        try await reachEveryTable(within: deadline)
        return try await SourceSnapshot(
            sessions: sessions, gtidExecuted: moment.gtid, definitions: definitions, warnings: warnings)
    }

    /// A table that somebody holds under LOCK TABLES ... WRITE is found before a target is touched. Waiting for one holds
    /// up nobody else, and nothing stays locked: who wants such a lock later must not wait for the whole dump, with
    /// every writer behind it.
    private func reachEveryTable(within deadline: Deadline) async throws(DumpError) {
        var tables: [Catalog.Table] = []
        for schema in try await Catalog.schemas(side, excluded: options.excludedSchemas) {
            tables += try await Catalog.tables(side, schema: schema).filter { !$0.isView && $0.engine == "InnoDB" }
        }
        try await first.run("SAVEPOINT reached", "see that the tables can be read")
        for start in stride(from: 0, to: tables.count, by: 50) {
            let part = tables[start..<min(start + 50, tables.count)]
            let seconds = max(1, deadline.remaining.components.seconds)
            try await first.run("SET SESSION lock_wait_timeout = \(seconds)", "bound the wait for locks")
            let selects = part.map { "(SELECT 1 FROM \($0.quoted) LIMIT 0)" }.joined(separator: " UNION ALL ")
            guard let refusal = try await first.attempt(selects, "see that the tables can be read") else { continue }
            let names = part.map(\.quoted).joined(separator: ", ")
            throw DumpError(
                refusal, on: first, "see that the tables can be read: \(names)",
                refusal.number == 1205
                    ? "cannot begin the dump; one of these tables is locked by a session (LOCK TABLES ... WRITE): \(names)"
                    : "cannot begin the dump; one of these tables cannot be read: \(names)")
        }
        try await first.run("ROLLBACK TO SAVEPOINT reached", "let the tables go")
        for session in sessions {
            // Nobody waits for a reader that waits.
            try await session.run("SET SESSION lock_wait_timeout = 86400", "wait for as long as the dump takes")
        }
    }
}

extension ServerError {
    /// A privilege is missing.
    var isDenial: Bool { [1227, 1045, 1142, 1044].contains(number) }
}

extension DumpError {
    /// - Parameter message: what follows from the refusal, and what to do about it.
    init(_ refusal: ServerError, on session: Session, _ purpose: String, _ message: String) {
        self.init(
            .server(
                MySQLError(
                    .server, phase: .reply, server: session.server, purpose: purpose, message: refusal.message,
                    serverError: refusal)), message)
    }
}
