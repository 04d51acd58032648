import MySQLWire

/// The one statement by which a server is asked.
struct ServerQuestion {
    let cluster: String
    /// Nil: what only quorum mode asks for is left out.
    let locks: QuorumLocks?
    /// The agents' tables are read along with the rest.
    var recorded = false
    /// The server_uuids of the two servers, as far as they are known.
    var members: Set<String> = []
    /// What an earlier look has found: it is not asked for again.
    var known: ServerProbe.Known?

    /// The columns of the answer, by which they are read.
    enum Column: String, CaseIterable {
        case seesPrimary, unreachable, dead, async, routersStuck, here, present, switchover, request, operation
        case uuid, flags, executed, purged, variables, semiSync, acknowledgers, startsClosed, receiver, tables, history
        case control, channels, ledgerRows, filters, clock

        static let plain: [Column] = [.operation, .uuid, .flags, .executed, .purged, .tables, .channels]
    }

    var sql: String {
        let columns =
            locks.map { locks in
                Column.allCases.map { "\(plain($0) ?? quorum($0, locks)) AS `\($0.rawValue)`" }
            } ?? Column.plain.compactMap { column in plain(column).map { "\($0) AS `\(column.rawValue)`" } }
        return "SELECT \(columns.joined(separator: ",\n    "))\nFROM \(AgentLock.own)"
    }

    private func plain(_ column: Column) -> String? {
        switch column {
        case .operation: AgentLock.held(LedgerSchema.operationLock(cluster))
        case .uuid: "@@server_uuid"
        case .flags:
            """
            CONCAT_WS(' ', @@server_id, @@gtid_mode, @@global.read_only, @@global.super_read_only,
                @@global.offline_mode, @@global.performance_schema)
            """
        case .executed: "@@global.gtid_executed"
        case .purged: "@@global.gtid_purged"
        case .tables: known?.tables ?? Self.tables
        case .channels: "(SELECT COUNT(*) FROM performance_schema.replication_connection_configuration)"
        default: nil
        }
    }

    private func quorum(_ column: Column, _ locks: QuorumLocks) -> String {
        switch column {
        case .seesPrimary: locks.column(.seesPrimary)
        case .unreachable: locks.column(.unreachable)
        case .dead: locks.column(.dead)
        case .async: locks.column(.async)
        case .routersStuck: locks.column(.routerStuck)
        case .here: locks.column(.here)
        case .present: locks.presenceColumn
        case .switchover: AgentLock.held(QuorumLocks.switchover(cluster))
        case .request:
            """
            \(AgentLock.held(QuorumLocks.failover(cluster))) + 2 * \(AgentLock.held(QuorumLocks.loss(cluster)))
                + 4 * \(AgentLock.held(QuorumLocks.resume(cluster)))
                + 8 * \(AgentLock.held(QuorumLocks.trust(cluster)))
            """
        case .variables: known?.variables ?? Self.variables
        case .semiSync:
            """
            (SELECT GROUP_CONCAT(CONCAT(variable_name, '=', variable_value)) FROM performance_schema.global_status
                WHERE variable_name IN ('Rpl_semi_sync_source_status', 'Rpl_semi_sync_source_clients',
                    'Rpl_semi_sync_source_wait_sessions', 'Uptime'))
            """
        case .acknowledgers: SemiSync.acknowledgers
        case .startsClosed: known.map { $0.bootsClosed ? "'ON'" : "'OFF'" } ?? Self.persisted
        case .receiver:
            """
            (SELECT GROUP_CONCAT(CONCAT(count_received_heartbeats, last_heartbeat_timestamp,
                last_queued_transaction_end_queue_timestamp, queueing_transaction_start_queue_timestamp))
                FROM performance_schema.replication_connection_status)
            """
        // The status variables are read in one pass.
        case .clock: "UNIX_TIMESTAMP()"
        case .history: recorded ? Self.history(members) : "NULL"
        case .control: recorded ? Self.control : "NULL"
        case .ledgerRows: recorded ? "(SELECT COUNT(*) FROM ongoing_failover.status)" : "NULL"
        case .filters:
            // One that was taken away leaves a row without a rule.
            """
            (SELECT COUNT(*) FROM performance_schema.replication_applier_filters WHERE filter_rule <> '')
                + (SELECT COUNT(*) FROM performance_schema.replication_applier_global_filters WHERE filter_rule <> '')
            """
        case .operation, .uuid, .flags, .executed, .purged, .tables, .channels: "NULL"
        }
    }

    /// `epoch uuid age count epoch uuid epoch uuid`: the newest row; the age of the last failover, and how many there were
    /// today; the newest row of a server that is known, and the newest of this one.
    static func history(_ members: Set<String>) -> String {
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
        // The two servers' clocks may differ by some minutes. What is dated much later than now says nothing of how long ago
        // it was.
        let counts = "(NOT \(PromotionReason.isNoFailover)) AND \(possible) AND \(known)"
        return """
            (SELECT CONCAT_WS(' ', \(newest("TRUE")),
                IFNULL((SELECT CAST((UNIX_TIMESTAMP(NOW(6)) - UNIX_TIMESTAMP(LEAST(MAX(at), NOW(6)))) * 1000 AS SIGNED)
                    FROM repl_watchdog.history WHERE \(counts) AND at < NOW() + INTERVAL 1 HOUR), '-'),
                (SELECT COUNT(*) FROM repl_watchdog.history WHERE \(counts)
                    AND at BETWEEN NOW() - INTERVAL 1 DAY AND NOW() + INTERVAL 1 DAY),
                \(newest(known)), \(newest("primary_uuid = @@server_uuid"))))
            """
    }
    /// `name value active,...`, with `rebuilt COUNT 1` for all rebuilds that count, and `cause:NAME COUNT 1` for each cause.
    static let control = """
        (SELECT CONCAT_WS(',', GROUP_CONCAT(CONCAT_WS(' ', name, value, IF(until IS NULL OR until > NOW(6), 1, 0))),
                CONCAT('rebuilt ', (SELECT COUNT(*) FROM repl_watchdog.control WHERE \(recentRebuild)), ' 1'),
                (SELECT GROUP_CONCAT(CONCAT('cause:', value, ' ', times, ' 1')) FROM (SELECT value, COUNT(*) AS times
                    FROM repl_watchdog.control WHERE \(recentRebuild) GROUP BY value) AS causes))
            FROM repl_watchdog.control WHERE name IN ('pause', 'ack'))
        """
    private static let recentRebuild = """
        name LIKE 'rebuilt:%' AND at > NOW() - INTERVAL 1 DAY
            AND at > IFNULL((SELECT MAX(at) FROM repl_watchdog.control WHERE name = 'ack'), '1970-01-02')
        """

    /// The plain depth's: the newest row, and the newest that names this server.
    static let newestPromotions = """
        (SELECT epoch, primary_uuid FROM repl_watchdog.history WHERE epoch <= \(PromotionRecord.highestEpoch)
            ORDER BY epoch DESC LIMIT 1)
        UNION ALL
        (SELECT epoch, primary_uuid FROM repl_watchdog.history WHERE epoch <= \(PromotionRecord.highestEpoch)
            AND primary_uuid = @@server_uuid ORDER BY epoch DESC LIMIT 1)
        """

    private static let variables = """
        (SELECT GROUP_CONCAT(CONCAT(variable_name, '=', variable_value))
            FROM performance_schema.global_variables WHERE variable_name LIKE 'rpl\\_semi\\_sync\\_source\\_%'
                OR variable_name IN ('replica_skip_errors', 'slave_skip_errors', 'replica_exec_mode', 'slave_exec_mode',
                    'relay_log_recovery', 'sync_relay_log', 'sync_binlog', 'innodb_flush_log_at_trx_commit'))
        """
    private static let persisted = """
        (SELECT variable_value FROM performance_schema.persisted_variables WHERE variable_name = 'super_read_only'
            AND @@global.persisted_globals_load)
        """
    private static let tables = """
        (SELECT GROUP_CONCAT(CONCAT(table_schema, '.', table_name)) FROM information_schema.tables
            WHERE table_schema IN ('ongoing_failover', 'ongoing_rebuild', 'repl_watchdog'))
        """
}
