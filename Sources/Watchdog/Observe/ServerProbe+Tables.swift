import MySQLWire

/// What lies in tables.
extension ServerProbe {
    /// The plain depth: the newest promotion on record is taken as it stands there.
    func readTables(
        _ connection: MySQLConnection, _ answer: ServerAnswer, into facts: inout ServerFacts, deadline: Deadline
    ) async throws(MySQLError) {
        let tables = answer.tables
        var misshapen: Set<String> = []
        if tables.contains("ongoing_failover.status"),
            let rows = try await own(
                "ongoing_failover.status", connection, LedgerSchema.read, "read the ledger", &misshapen, deadline)
        {
            facts.ledger = rows.compactMap(LedgerRow.init)
        }
        facts.rebuilding = try await marker(connection, tables, &misshapen, deadline)
        if tables.contains("repl_watchdog.history"),
            let rows = try await own(
                "repl_watchdog.history", connection, ServerQuestion.newestPromotions, "read the history", &misshapen,
                deadline)
        {
            let found = rows.map {
                Promotion(
                    epoch: UInt64($0.string("epoch") ?? "") ?? 0,
                    primary: ($0.string("primary_uuid") ?? "").lowercased())
            }
            facts.promotion = found.first
            facts.ownPromotion = found.dropFirst().first
        }
    }

    func readTables(
        _ connection: MySQLConnection, _ answer: ServerAnswer, _ members: Set<String>, into facts: inout ServerFacts,
        _ quorum: inout QuorumFacts, deadline: Deadline
    ) async throws(MySQLError) {
        let tables = answer.tables
        // After the locks: whoever is not among the voters now does not belong to a failover attempt of before.
        if answer.recorded ? answer.number(.ledgerRows) != 0 : tables.contains("ongoing_failover.status"),
            let rows = try await own(
                "ongoing_failover.status", connection, LedgerSchema.read, "read the ledger", &quorum.misshapen, deadline
            )
        {
            facts.ledger = rows.compactMap(LedgerRow.init).ledger
        }
        facts.rebuilding = try await marker(connection, tables, &quorum.misshapen, deadline)
        var (history, control) = (answer.text(.history), answer.text(.control))
        if !answer.recorded {
            func read(_ name: String, _ expression: String) async throws(MySQLError) -> String? {
                guard tables.contains("repl_watchdog.\(name)") else { return nil }
                return try await own(
                    "repl_watchdog.\(name)", connection, "SELECT \(expression) AS entries", "read the \(name)",
                    &quorum.misshapen, deadline)?.first?.string("entries")
            }
            history = try await read("history", ServerQuestion.history(members))
            control = try await read("control", ServerQuestion.control)
        }
        Self.note(history, control, members, &facts, &quorum)
        quorum.recorded = tables.isSuperset(of: LedgerSchema.standingTables) && quorum.misshapen.isEmpty
    }

    /// Whatever columns an older or newer version may give it: a row that names a source is a marker.
    private func marker(
        _ connection: MySQLConnection, _ tables: Set<String>, _ misshapen: inout Set<String>, _ deadline: Deadline
    ) async throws(MySQLError) -> RebuildMarker? {
        let name = "ongoing_rebuild.marker"
        guard tables.contains(name),
            let row = try await own(
                name, connection, "SELECT * FROM \(name) LIMIT 1", "look for a rebuild", &misshapen, deadline)?.first
        else { return nil }
        guard let source = row.string("source") else {
            misshapen.insert(name)
            return nil
        }
        return RebuildMarker(
            source: source, epoch: UInt64(row.string("epoch") ?? "") ?? 0,
            saved: row.string("saved") ?? "")
    }

    /// What a table of the agents holds; nil where it has just gone, or is not as they made it: that must not keep
    /// anybody from seeing that the server is well.
    private func own(
        _ table: String, _ connection: MySQLConnection, _ sql: String, _ purpose: String,
        _ misshapen: inout Set<String>, _ deadline: Deadline
    ) async throws(MySQLError) -> [Row]? {
        do {
            return try await Self.table(connection, sql, purpose, deadline)
        } catch {
            guard let number = error.number, LedgerSchema.otherShape.contains(number) else { throw error }
            misshapen.insert(table)
            return nil
        }
    }

    /// Reads `history` and `name value active,...`.
    private static func note(
        _ history: String?, _ entries: String?, _ members: Set<String>, _ facts: inout ServerFacts,
        _ quorum: inout QuorumFacts
    ) {
        var control = Control()
        let words = (history ?? "").split(separator: " ").map(String.init)
        if words.count == 8 {
            func promotion(_ place: Int) -> Promotion? {
                UInt64(words[place]).map { Promotion(epoch: $0, primary: words[place + 1].lowercased()) }
            }
            (facts.promotion, quorum.foreignRecord) = PromotionRecord(newest: promotion(0), newestKnown: promotion(4))
                .believed(on: facts.uuid, sources: facts.channels.map(\.sourceUUID), members: members)
            facts.ownPromotion = promotion(6)
            control.lastFailover = Int64(words[2])
            control.failoversToday = Int(words[3]) ?? 0
        }
        for entry in (entries ?? "").split(separator: ",") {
            let words = entry.split(separator: " ").map(String.init)
            guard words.count == 3 else { continue }
            switch words[0] {
            case "pause": control.paused = words[2] == "1"
            case "ack": control.acknowledged = UInt64(words[1]) ?? 0
            case "rebuilt": control.rebuildsToday = Int(words[1]) ?? 0
            case let name where name.hasPrefix("cause:"):
                control.rebuildCauses[String(name.dropFirst(6))] = Int(words[1]) ?? 0
            default: break
            }
        }
        quorum.control = control
    }

    /// The databases of a server that may be a stranger.
    func schemas(_ connection: MySQLConnection, _ deadline: Deadline) async throws(MySQLError) -> [String] {
        try await connection.query(Stranger.sql, purpose: "see whether the server has databases", deadline: deadline)
            .rows.compactMap { $0.string("name") }
    }

    /// Rows of a table that another agent may drop at any moment; nil if it just did.
    static func table(
        _ connection: MySQLConnection, _ sql: String, _ purpose: String, _ deadline: Deadline
    ) async throws(MySQLError) -> [Row]? {
        do {
            return try await read(connection, sql, purpose, deadline).rows
        } catch {
            if let number = error.number, [1049, 1146, 1412].contains(number) { return nil }
            throw error
        }
    }

    /// A question that changes nothing. It is asked again where the server has ended it because of a deadlock, as happens
    /// while a rebuild drops the tables that it reads (ER_LOCK_DEADLOCK): nothing follows from that.
    static func read(
        _ connection: MySQLConnection, _ sql: String, _ purpose: String, _ deadline: Deadline
    ) async throws(MySQLError) -> ResultSet {
        for _ in 0..<4 {
            do {
                return try await connection.query(sql, purpose: purpose, deadline: deadline)
            } catch {
                guard error.number == 1213 else { throw error }
            }
        }
        return try await connection.query(sql, purpose: purpose, deadline: deadline)
    }
}

extension LedgerRow {
    /// Nil for a row that no agent of this protocol has written.
    init?(_ row: Row) {
        guard let signal = row.string("event").flatMap({ Signal($0) }),
            let id = row.string("id").flatMap({ UInt64($0) }),
            let epoch = row.string("epoch").flatMap({ UInt64($0) }), epoch <= PromotionRecord.highestEpoch
        else { return nil }
        self.init(
            id: id, signal: signal, agent: row.string("agent") ?? "",
            epoch: epoch, seen: row.string("seen") ?? "",
            session: row.string("session").flatMap { UInt64($0) } ?? 0, alive: row.int("alive") == 1,
            age: row.int("age") ?? 0, witnessed: row.string("witnessed").flatMap { GTIDSet($0) } ?? GTIDSet(),
            sync: row.int("sync") == 1)
    }
}
