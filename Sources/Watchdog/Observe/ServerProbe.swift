import MySQLWire

/// Asks one server everything that a diagnosis needs, on a connection of its own, within one deadline.
struct ServerProbe: Sendable {
    let options: ConnectionOptions
    let cluster: String

    func look(deadline: Deadline) async -> ServerView {
        let connection: MySQLConnection
        do {
            connection = try await MySQLConnection.connect(options, deadline: deadline)
        } catch {
            return Self.classify(error)
        }
        defer { connection.abort() }
        do {
            let facts = try await Self.facts(connection, cluster: cluster, deadline: deadline)
            await connection.close()
            return .up(facts)
        } catch {
            return Self.classify(error)
        }
    }

    // MARK: What a failure proves

    /// Errors by which a living server turns a client away: too many connections, host blocked, user limits,
    /// shutdown or start-up under way.
    private static let aliveErrors: Set<UInt16> = [1040, 1053, 1129, 1158, 1159, 1160, 1161, 1203, 1226, 3032, 3168]

    static func classify(_ error: MySQLError) -> ServerView {
        let why = Remedy.explain(error)
        if let server = error.serverError {
            return aliveErrors.contains(server.number) ? .refusing(why) : .ownFault(why)
        }
        switch error.code {
        case .refused: return .downHard(why)
        case .timeout where error.phase == .resolve: return .ownFault(why)
        case .timeout where [.greeting, .tls, .authentication, .command, .reply].contains(error.phase):
            return .stalled(why)
        case .timeout, .unreachable, .closed: return .downSoft(why)
        default: return .ownFault(why)
        }
    }

    // MARK: The questions

    static func facts(
        _ connection: MySQLConnection, cluster: String, deadline: Deadline
    ) async throws(MySQLError) -> ServerFacts {
        let version = connection.serverVersion
        guard version.flavor == .mysql else {
            throw MySQLError(
                .configuration, phase: .command, server: connection.address.description,
                purpose: "look at the server", message: "\(version) has no MySQL GTIDs: this agent watches MySQL")
        }
        let variables = try await connection.query(
            """
            SELECT @@server_uuid AS uuid, @@server_id AS id, @@gtid_mode AS gtid_mode,
                @@global.read_only AS read_only, @@global.super_read_only AS super_read_only,
                @@global.gtid_executed AS executed, @@global.gtid_purged AS purged,
                \(AgentLock.held(LedgerSchema.operationLock(cluster))) AS operation
            FROM \(AgentLock.own)
            """, purpose: "read the server's state", deadline: deadline)
        guard let row = variables.rows.first, let uuid = row.string("uuid"), let id = row.int("id"),
            let executed = GTIDSet(row.string("executed") ?? ""), let purged = GTIDSet(row.string("purged") ?? "")
        else {
            throw MySQLError(
                .protocolViolation, phase: .reply, server: connection.address.description,
                purpose: "read the server's state", message: "the answer cannot be read")
        }
        var facts = ServerFacts(
            uuid: uuid.lowercased(), serverID: UInt64(clamping: id), version: version,
            gtidMode: row.string("gtid_mode") == "ON", readOnly: row.int("read_only") == 1,
            superReadOnly: row.int("super_read_only") == 1, executed: executed, purged: purged,
            operationLocked: row.int("operation") == 1)
        facts.channels = try await connection.query(
            Dialect(version: version).status, purpose: "read the replication status", deadline: deadline
        ).rows.map { ReplicationChannel($0) }
        try await readTables(connection, into: &facts, deadline: deadline)
        if facts.channels.isEmpty { facts.schemas = try await schemas(connection, deadline) }
        return facts
    }

    /// The databases of a server that may be a stranger.
    static func schemas(_ connection: MySQLConnection, _ deadline: Deadline) async throws(MySQLError) -> [String] {
        try await connection.query(Stranger.sql, purpose: "see whether the server has databases", deadline: deadline)
            .rows.compactMap { $0.string(0) }
    }

    private static func readTables(
        _ connection: MySQLConnection, into facts: inout ServerFacts, deadline: Deadline
    ) async throws(MySQLError) {
        let found = try await connection.query(
            """
            SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables
            WHERE table_schema IN ('ongoing_failover', 'ongoing_rebuild', 'repl_watchdog')
            """, purpose: "look for the ledger", deadline: deadline)
        let tables = Set(found.rows.compactMap { $0.string(0)?.lowercased() })
        if tables.contains("ongoing_failover.status"),
            let rows = try await table(connection, LedgerSchema.read, "read the ledger", deadline)
        {
            facts.ledger = rows.compactMap(ledgerRow)
        }
        if tables.contains("ongoing_rebuild.marker"),
            let rows = try await table(
                connection, "SELECT source, epoch, saved FROM ongoing_rebuild.marker", "look for a rebuild", deadline),
            let row = rows.first
        {
            facts.rebuilding = RebuildMarker(
                source: row.string("source") ?? "", epoch: UInt64(row.string("epoch") ?? "") ?? 0,
                saved: row.string("saved") ?? "")
        }
        if tables.contains("repl_watchdog.history"),
            let rows = try await table(
                connection,
                """
                (SELECT epoch, primary_uuid FROM repl_watchdog.history WHERE epoch <= \(PromotionRecord.highestEpoch)
                    ORDER BY epoch DESC LIMIT 1)
                UNION ALL
                (SELECT epoch, primary_uuid FROM repl_watchdog.history WHERE epoch <= \(PromotionRecord.highestEpoch)
                    AND primary_uuid = @@server_uuid ORDER BY epoch DESC LIMIT 1)
                """, "read the history", deadline)
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

    static func ledgerRow(_ row: Row) -> LedgerRow? {
        guard let signal = row.string("event").flatMap({ Signal($0) }),
            let id = row.string("id").flatMap({ UInt64($0) }),
            let epoch = row.string("epoch").flatMap({ UInt64($0) }), epoch <= PromotionRecord.highestEpoch
        else { return nil }
        return LedgerRow(
            id: id, signal: signal, agent: row.string("agent") ?? "",
            epoch: epoch, seen: row.string("seen") ?? "",
            session: row.string("session").flatMap { UInt64($0) } ?? 0, alive: row.int("alive") == 1,
            age: row.int("age") ?? 0, witnessed: row.string("witnessed").flatMap { GTIDSet($0) } ?? GTIDSet(),
            sync: row.int("sync") == 1)
    }
}
