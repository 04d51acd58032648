import MySQLWire

/// Every table locked by name, for a blink. The wait for the locks is what holds writers up, so it is ended from beside
/// when it takes too long: lock_wait_timeout counts whole seconds.
struct TableLocks {
    enum Outcome<Value: Sendable>: Sendable {
        case held(Value)
        /// Not in time, and why.
        case busy(String)
    }

    /// Takes the locks: beginning a transaction gives up LOCK TABLES, so no session of the snapshot can.
    let side: Session
    /// Idle meanwhile; ends the wait.
    let killer: Session
    /// The longest wait for the locks.
    let pause: Duration

    /// - Parameters:
    ///   - excluded: schemas that are not locked.
    ///   - body: runs while nobody can write to a table; must be quick.
    func hold<Value: Sendable>(
        excluded: Set<String>, _ body: () async throws(DumpError) -> Value
    ) async throws(DumpError) -> Outcome<Value> {
        var tables: [String] = []
        for schema in try await Catalog.schemas(side, excluded: excluded) {
            for table in try await Catalog.tables(side, schema: schema) where !table.isView && table.holdsRows {
                tables.append("\(table.quoted) READ")
            }
        }
        for table in try await SystemHomes.tables(side) where !table.isView && table.holdsRows {
            tables.append("\(table.quoted) READ")
        }
        guard !tables.isEmpty else { return .held(try await body()) }
        if let writer = try await longWriter() { return .busy(writer) }
        // If this program stops in the middle, the server ends the session, and with it the locks.
        try await side.run("SET SESSION wait_timeout = 1", "bound the lock of all tables")
        let refusal = try await lock("LOCK TABLES " + tables.joined(separator: ", "))
        let outcome: Outcome<Value>
        switch refusal?.number {
        case nil:
            outcome = .held(try await body())
            try await side.run("UNLOCK TABLES", "release the lock")
        case 1317, 1205, 3024:
            outcome = .busy("\(tables.count) tables could not be locked within \(pause)")
        default:
            guard let refusal else { preconditionFailure() }
            throw DumpError(
                refusal, on: side, "lock every table for the moment of the snapshot",
                "cannot begin the dump: there was no moment in which nothing committed, and the tables cannot be locked for "
                    + "one" + (refusal.isDenial ? "; grant LOCK TABLES to the dumping account" : ""))
        }
        try await side.run("SET SESSION wait_timeout = 86400", "wait for as long as the dump takes")
        return outcome
    }

    /// LOCK TABLES, ended when it has waited for long enough.
    /// - Returns: the refusal.
    private func lock(_ sql: String) async throws(DumpError) -> ServerError? {
        let id = try await side.value("SELECT CONNECTION_ID()", "identify the session") ?? "0"
        let (killer, pause) = (killer, pause)
        let watch = Task {
            do { try await Task.sleep(for: pause) } catch { return false }
            // A task of its own: to cancel a statement under way would close its session.
            return await Task {
                _ = try? await killer.attempt("KILL QUERY \(id)", "end the wait for the lock of all tables")
                return true
            }.value
        }
        let result: Result<ServerError?, DumpError>
        do throws(DumpError) {
            result = .success(try await side.attempt(sql, "lock every table for the moment of the snapshot"))
        } catch {
            result = .failure(error)
        }
        watch.cancel()
        if await watch.value, case .success(nil) = result {
            // Too late for the wait: it may hit the next statement instead, and the locks were long to come anyway.
            _ = try await side.attempt("DO 0", "take what may come of a late KILL QUERY")
        }
        return try result.get()
    }

    /// One that holds rows it has written for longer than an instant: LOCK TABLES would wait for its end.
    private func longWriter() async throws(DumpError) -> String? {
        let before = try await writers()
        guard !before.isEmpty else { return nil }
        // The server's list is up to 100 ms old.
        do { try await Task.sleep(for: .milliseconds(150)) } catch { throw DumpError(.cancelled, "cancelled") }
        let after = try await writers()
        guard let (_, thread) = before.first(where: { after[$0.key] != nil }) else { return nil }
        return "a transaction that writes stays open (thread \(thread); information_schema.innodb_trx)"
    }

    /// Threads by transaction; empty where PROCESS is not granted.
    private func writers() async throws(DumpError) -> [String: String] {
        do {
            let found = try await side.connection.query(
                """
                SELECT trx_id AS trx_id, trx_mysql_thread_id AS thread_id FROM information_schema.innodb_trx
                WHERE trx_rows_modified > 0 LIMIT 1000
                """,
                purpose: "look for transactions that write", deadline: side.deadline)
            return Dictionary(
                found.rows.compactMap { row in row.string("trx_id").map { ($0, row.string("thread_id") ?? "?") } }
            ) { first, _ in first }
        } catch {
            guard error.serverError != nil, side.connection.isOpen else {
                throw DumpError(error, "look for transactions that write")
            }
            return [:]
        }
    }
}
