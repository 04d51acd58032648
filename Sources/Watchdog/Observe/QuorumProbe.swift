import MySQLWire

/// The questions of quorum mode: one statement a look on a primary, two on a replica, one more before the
/// first promotion, and more while an operation is under way.
struct QuorumProbe: Sendable {
    let locks: QuorumLocks
    let cluster: String

    init(_ configuration: Configuration) {
        locks = QuorumLocks(configuration)
        cluster = configuration.cluster
    }

    /// What an agent knows already, and asks besides.
    struct About: Sendable {
        /// The agents' tables were there at the last look: they are read along with the rest.
        var recorded = false
        /// The server_uuid that is known to belong at this address, empty where none is yet: another one is asked for
        /// its databases. Nil: no matter.
        var member: String?
        /// The server_uuids of the two servers, as far as they are known.
        var members: Set<String> = []
        /// By which lists agents go that are connected; asked now and then.
        var lists = false
        /// Other lists that are known: what their members say is counted.
        var foreign: [AgentList] = []
    }

    func look(_ options: ConnectionOptions, _ about: About = About(), deadline: Deadline) async -> ServerView {
        let connection: MySQLConnection
        do {
            connection = try await MySQLConnection.connect(options, deadline: deadline)
        } catch {
            return ServerProbe.classify(error)
        }
        do {
            let facts = try await facts(connection, about, deadline: deadline)
            await connection.close()
            return .up(facts)
        } catch {
            connection.abort()
            return ServerProbe.classify(error)
        }
    }

    /// `epoch uuid age count epoch uuid epoch uuid`: the newest row; the age of the last failover, and how many there were
    /// today; the newest row of a server that is known, and the newest of this one.
    private static func history(_ members: Set<String>) -> String {
        let names = members.sorted().map { ", \(SQLText.literal($0))" }.joined()
        let known = """
            (primary_uuid IN (@@server_uuid\(names)) OR primary_uuid IN (SELECT source_uuid
                FROM performance_schema.replication_connection_status))
            """
        let possible = "epoch <= \(PromotionRecord.highestEpoch)"
        func newest(_ condition: String) -> String {
            """
            IFNULL((SELECT CONCAT(epoch, ' ', REPLACE(primary_uuid, ' ', '_')) FROM repl_watchdog.history
                WHERE \(possible) AND \(condition) ORDER BY epoch DESC LIMIT 1), '- -')
            """
        }
        return """
            (SELECT CONCAT_WS(' ', \(newest("TRUE")),
                IFNULL((SELECT CAST((UNIX_TIMESTAMP(NOW(6)) - UNIX_TIMESTAMP(MAX(at))) * 1000 AS SIGNED)
                    FROM repl_watchdog.history WHERE (NOT \(PromotionReason.isSwitchover)) AND \(possible) AND \(known)), '-'),
                (SELECT COUNT(*) FROM repl_watchdog.history WHERE (NOT \(PromotionReason.isSwitchover))
                    AND at > NOW() - INTERVAL 1 DAY AND \(possible) AND \(known)),
                \(newest(known)), \(newest("primary_uuid = @@server_uuid"))))
            """
    }
    private static let control = """
        (SELECT CONCAT_WS(',', GROUP_CONCAT(CONCAT_WS(' ', name, value, IF(until IS NULL OR until > NOW(6), 1, 0))),
                CONCAT('rebuilt ', (SELECT COUNT(*) FROM repl_watchdog.control WHERE name LIKE 'rebuilt:%'
                    AND at > NOW() - INTERVAL 1 DAY AND at > IFNULL((SELECT MAX(at) FROM repl_watchdog.control
                        WHERE name = 'ack'), '1970-01-02')), ' 1'))
            FROM repl_watchdog.control WHERE name IN ('pause', 'ack'))
        """

    /// What an earlier look has found and a plain one cannot ask: information_schema, the lists of variables and the
    /// persisted ones hang as logins do while an account statement waits for its acknowledgement.
    struct Known: Sendable {
        var semiSync = false
        var bootsClosed = true
        var recorded = false
        var filtered = ""

        init(_ facts: ServerFacts) {
            filtered = facts.quorum?.filtered ?? ""
            semiSync = facts.quorum?.semiSync.installed == true
            bootsClosed = facts.quorum?.bootsClosed == true
            recorded = facts.quorum?.recorded == true
        }

        /// As performance_schema.global_variables would list them.
        fileprivate var variables: String {
            guard semiSync else { return "NULL" }
            let switches = ["enabled", "wait_no_replica"].map {
                "'rpl_semi_sync_source_\($0)=', IF(@@global.rpl_semi_sync_source_\($0), 'ON', 'OFF')"
            }
            let values = ["wait_point", "timeout", "wait_for_replica_count"].map {
                "'rpl_semi_sync_source_\($0)=', @@global.rpl_semi_sync_source_\($0)"
            }
            return "CONCAT(\((switches + values).joined(separator: ", ',', ")))"
        }

        /// All that there may be: reading one that is not there says so.
        fileprivate var tables: String {
            let tables =
                ["ongoing_failover.status", "ongoing_rebuild.marker"]
                + (recorded ? LedgerSchema.standingTables.subtracting(["ongoing_failover.status"]).sorted() : [])
            return SQLText.literal(tables.joined(separator: ","))
        }
    }

    private static let variables = """
        (SELECT GROUP_CONCAT(CONCAT(variable_name, '=', variable_value))
            FROM performance_schema.global_variables WHERE variable_name LIKE 'rpl\\_semi\\_sync\\_source\\_%'
                OR variable_name IN ('replica_skip_errors', 'slave_skip_errors', 'replica_exec_mode', 'slave_exec_mode'))
        """
    private static let persisted = """
        (SELECT variable_value FROM performance_schema.persisted_variables WHERE variable_name = 'super_read_only'
            AND @@global.persisted_globals_load)
        """
    private static let tables = """
        (SELECT GROUP_CONCAT(CONCAT(table_schema, '.', table_name)) FROM information_schema.tables
            WHERE table_schema IN ('ongoing_failover', 'ongoing_rebuild', 'repl_watchdog'))
        """

    /// The columns of the one statement, by which they are read.
    private enum Column: String, CaseIterable {
        case seesPrimary, unreachable, dead, async, here, present, switchover, request, operation
        case uuid, flags, executed, purged, variables, semiSync, acknowledgers, startsClosed, receiver, tables, history,
            control
        case channels, ledgerRows, filters
    }

    private func expression(_ column: Column, _ recorded: Bool, _ members: Set<String>, _ known: Known?) -> String {
        switch column {
        case .seesPrimary: locks.column(.seesPrimary)
        case .unreachable: locks.column(.unreachable)
        case .dead: locks.column(.dead)
        case .async: locks.column(.async)
        case .here: locks.column(.here)
        case .present: locks.presenceColumn
        case .switchover: AgentLock.held(QuorumLocks.switchover(cluster))
        case .request:
            """
            \(AgentLock.held(QuorumLocks.failover(cluster))) + 2 * \(AgentLock.held(QuorumLocks.loss(cluster)))
                + 4 * \(AgentLock.held(QuorumLocks.resume(cluster)))
            """
        case .operation: AgentLock.held(LedgerSchema.operationLock(cluster))
        case .uuid: "@@server_uuid"
        case .flags:
            "CONCAT(@@server_id, ' ', @@gtid_mode, ' ', @@global.read_only, ' ', @@global.super_read_only)"
        case .executed: "@@global.gtid_executed"
        case .purged: "@@global.gtid_purged"
        case .variables: known?.variables ?? Self.variables
        case .semiSync:
            """
            (SELECT GROUP_CONCAT(CONCAT(variable_name, '=', variable_value)) FROM performance_schema.global_status
                WHERE variable_name IN ('Rpl_semi_sync_source_status', 'Rpl_semi_sync_source_clients',
                    'Rpl_semi_sync_source_wait_sessions'))
            """
        case .acknowledgers: SemiSync.acknowledgers
        case .startsClosed: known.map { $0.bootsClosed ? "'ON'" : "'OFF'" } ?? Self.persisted
        case .receiver:
            """
            (SELECT GROUP_CONCAT(CONCAT(count_received_heartbeats, last_heartbeat_timestamp,
                last_queued_transaction_end_queue_timestamp, queueing_transaction_start_queue_timestamp))
                FROM performance_schema.replication_connection_status)
            """
        case .tables: known?.tables ?? Self.tables
        case .history: recorded ? Self.history(members) : "NULL"
        case .control: recorded ? Self.control : "NULL"
        case .channels: "(SELECT COUNT(*) FROM performance_schema.replication_connection_configuration)"
        case .ledgerRows: recorded ? "(SELECT COUNT(*) FROM ongoing_failover.status)" : "NULL"
        case .filters:
            """
            (SELECT COUNT(*) FROM performance_schema.replication_applier_filters)
                + (SELECT COUNT(*) FROM performance_schema.replication_applier_global_filters)
            """
        }
    }

    private func sql(_ recorded: Bool, _ members: Set<String>, _ known: Known? = nil) -> String {
        let columns = Column.allCases.map { "\(expression($0, recorded, members, known)) AS `\($0.rawValue)`" }
        return "SELECT \(columns.joined(separator: ",\n    "))\nFROM \(AgentLock.own)"
    }

    private static func text(_ row: Row?, _ column: Column) -> String? { row?.string(column.rawValue) }
    private static func number(_ row: Row?, _ column: Column) -> Int64? { row?.int(column.rawValue) }

    /// - Parameter known: the plain form of the look, for a server that greets no new session.
    func facts(
        _ connection: MySQLConnection, _ about: About = About(), known: Known? = nil, deadline: Deadline
    ) async throws(MySQLError) -> ServerFacts {
        let version = connection.serverVersion
        var recorded = about.recorded
        let answer: ResultSet
        do {
            answer = try await ServerProbe.read(
                connection, sql(recorded, about.members, known), "read the server's state", deadline)
        } catch {
            guard recorded, let number = error.number, LedgerSchema.unreadable.contains(number) else { throw error }
            // They were there a moment ago: the server is being rebuilt, or somebody has changed them.
            recorded = false
            answer = try await ServerProbe.read(
                connection, sql(false, about.members, known), "read the server's state", deadline)
        }
        let words = Self.text(answer.rows.first, .flags)?.split(separator: " ") ?? []
        guard let row = answer.rows.first, let uuid = Self.text(row, .uuid), words.count == 4,
            let id = UInt64(words[0]),
            let executed = GTIDSet(Self.text(row, .executed) ?? ""), let purged = GTIDSet(Self.text(row, .purged) ?? "")
        else {
            throw MySQLError(
                .protocolViolation, phase: .reply, server: connection.address.description,
                purpose: "read the server's state", message: "the answer cannot be read")
        }
        var facts = ServerFacts(
            uuid: uuid.lowercased(), serverID: id, version: version, gtidMode: words[1] == "ON",
            readOnly: words[2] == "1", superReadOnly: words[3] == "1", executed: executed, purged: purged,
            operationLocked: Self.number(row, .operation) == 1)
        if Self.number(row, .channels) != 0 {
            facts.channels = try await connection.query(
                Dialect(version: version).status, purpose: "read the replication status", deadline: deadline
            ).rows.map { ReplicationChannel($0) }
        }
        var quorum = quorum(row)
        let tables = Set((Self.text(row, .tables) ?? "").lowercased().split(separator: ",").map(String.init))
        quorum.control = try await readTables(
            connection, tables, recorded ? row : nil, about.members, into: &facts, &quorum, deadline: deadline)
        quorum.recorded = tables.isSuperset(of: LedgerSchema.standingTables) && quorum.misshapen.isEmpty
        quorum.strangers = try await strangers(connection, row, deadline: deadline)
        quorum.here = QuorumLocks.set(Self.text(row, .here))
        quorum.filtered = known?.filtered ?? Self.filters(row)
        try await readLists(connection, about, &quorum, deadline: deadline)
        facts.quorum = quorum
        if let member = about.member, known == nil, facts.channels.isEmpty, facts.uuid != member {
            facts.schemas = try await ServerProbe.schemas(connection, deadline)
        }
        return facts
    }

    private func quorum(_ row: Row) -> QuorumFacts {
        var quorum = QuorumFacts()
        quorum.seesPrimary = QuorumLocks.set(Self.text(row, .seesPrimary))
        quorum.unreachable = QuorumLocks.set(Self.text(row, .unreachable))
        quorum.dead = QuorumLocks.set(Self.text(row, .dead))
        quorum.async = QuorumLocks.set(Self.text(row, .async))
        quorum.switchoverAsked = Self.number(row, .switchover) == 1
        let asked = Self.number(row, .request) ?? 0
        quorum.failoverAsked = asked & 1 != 0
        quorum.lossAccepted = asked & 2 != 0
        quorum.resumeAsked = asked & 4 != 0
        quorum.semiSync = SemiSync(
            variables: Self.text(row, .variables), status: Self.text(row, .semiSync),
            acknowledgers: Self.text(row, .acknowledgers))
        quorum.bootsClosed = Self.text(row, .startsClosed) == "ON"
        quorum.receiverMark = StableHash.of(Self.text(row, .receiver) ?? "")
        return quorum
    }

    /// What makes a replica's data differ although it lacks no GTID.
    /// https://dev.mysql.com/doc/refman/8.4/en/replication-options-replica.html
    private static func filters(_ row: Row) -> String {
        let set = SemiSync.pairs(Self.text(row, .variables))
        var found: [String] = []
        if let count = Self.number(row, .filters), count > 0 { found.append("replication filters") }
        for name in ["replica_skip_errors", "slave_skip_errors"] {
            if let value = set[name], !["OFF", ""].contains(value.uppercased()) { found.append("\(name) = \(value)") }
        }
        for name in ["replica_exec_mode", "slave_exec_mode"] {
            if let value = set[name], value.uppercased() != "STRICT" { found.append("\(name) = \(value)") }
        }
        return found.joined(separator: ", ")
    }

    // MARK: What lies in tables

    private func readTables(
        _ connection: MySQLConnection, _ tables: Set<String>, _ record: Row?, _ members: Set<String>,
        into facts: inout ServerFacts, _ quorum: inout QuorumFacts, deadline: Deadline
    ) async throws(MySQLError) -> Control {
        // After the locks: whoever is not among the voters now does not belong to a failover attempt of before.
        if record.map({ Self.number($0, .ledgerRows) != 0 }) ?? tables.contains("ongoing_failover.status"),
            let rows = try await own(
                "ongoing_failover.status", connection, LedgerSchema.read, "read the ledger", &quorum.misshapen, deadline
            )
        {
            facts.ledger = rows.compactMap(ServerProbe.ledgerRow).ledger
        }
        if tables.contains("ongoing_rebuild.marker"),
            let row = try await ServerProbe.table(
                connection, "SELECT source, epoch, saved FROM ongoing_rebuild.marker", "look for a rebuild", deadline)?
                .first
        {
            facts.rebuilding = RebuildMarker(
                source: row.string("source") ?? "", epoch: UInt64(row.string("epoch") ?? "") ?? 0,
                saved: row.string("saved") ?? "")
        }
        if let record {
            return Self.note(Self.text(record, .history), Self.text(record, .control), members, &facts, &quorum)
        }
        var parts: [String?] = []
        for (table, expression) in [("history", Self.history(members)), ("control", Self.control)] {
            let name = "repl_watchdog.\(table)"
            let rows =
                tables.contains(name)
                ? try await own(
                    name, connection, "SELECT \(expression)", "read the \(table)", &quorum.misshapen, deadline)
                : nil
            parts.append(rows?.first?.string(0))
        }
        return Self.note(parts[0], parts[1], members, &facts, &quorum)
    }

    /// What a table of the agents holds; nil where it has just gone, or is not as they made it: that must not keep
    /// anybody from seeing that the server is well.
    private func own(
        _ table: String, _ connection: MySQLConnection, _ sql: String, _ purpose: String,
        _ misshapen: inout Set<String>, _ deadline: Deadline
    ) async throws(MySQLError) -> [Row]? {
        do {
            return try await ServerProbe.table(connection, sql, purpose, deadline)
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
    ) -> Control {
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
            default: break
            }
        }
        return control
    }

    /// Other lists of agents: who goes by one, and what their members say.
    private func readLists(
        _ connection: MySQLConnection, _ about: About, _ quorum: inout QuorumFacts, deadline: Deadline
    ) async throws(MySQLError) {
        if about.lists {
            // The agents' own account only: anybody may call itself what it likes.
            let found = try await connection.query(
                """
                SELECT DISTINCT a.attr_value FROM performance_schema.session_connect_attrs a
                    JOIN performance_schema.threads t ON t.processlist_id = a.processlist_id
                WHERE a.attr_name = 'program_name' AND a.attr_value LIKE 'repl-watchdog protocol=%'
                    AND t.processlist_user = SUBSTRING_INDEX(USER(), '@', 1)
                """, purpose: "see which lists agents go by", deadline: deadline)
            quorum.lists = found.rows.compactMap { $0.string(0).flatMap { AgentList(program: $0) } }
                .filter { $0.digest != locks.digest }
        }
        guard !about.foreign.isEmpty else { return }
        let parts = about.foreign.flatMap {
            [
                locks.count([.unreachable, .dead], of: $0, among: about.foreign),
                locks.count([.async], of: $0, among: about.foreign),
            ]
        }
        let row = try await connection.query(
            "SELECT \(parts.joined(separator: ", ")) FROM \(AgentLock.own)",
            purpose: "count the agents of another list", deadline: deadline
        ).rows.first
        for (place, list) in about.foreign.enumerated() {
            quorum.listCounts[list.digest] = ListCount(
                votes: Int(row?.int(2 * place) ?? 0), async: Int(row?.int(2 * place + 1) ?? 0))
        }
    }

    /// Configured agents that are connected here with another configuration, and in what it differs.
    private func strangers(
        _ connection: MySQLConnection, _ row: Row, deadline: Deadline
    ) async throws(MySQLError) -> [String: String] {
        let others = QuorumLocks.set(Self.text(row, .present)).subtracting(QuorumLocks.set(Self.text(row, .here)))
        guard !others.isEmpty else { return [:] }
        var out: [String: String] = [:]
        for name in others.names(locks.agents) {
            let found = try await connection.query(
                """
                SELECT attr_value FROM performance_schema.session_connect_attrs
                WHERE attr_name = 'program_name' AND processlist_id = IS_USED_LOCK(\(SQLText.literal(locks.presence(name))))
                """, purpose: "see how another agent's configuration differs", deadline: deadline)
            out[name] = found.rows.first?.string(0) ?? ""
        }
        return out
    }
}
