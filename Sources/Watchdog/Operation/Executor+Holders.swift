import Logging
import MySQLWire

/// Clients whose locks stand in the way of an operation that a majority of the agents has decided on. They are ended: a
/// backup can be repeated, and the service cannot wait for one.
extension Executor {
    enum Hindrance {
        /// A global read lock: not even a row can be written.
        case readLock
        /// That, or the lock of a backup: replication cannot be stopped (error 3857), no table made, no event altered.
        case backup
        /// The lock of a backup, or any other, that a statement of the replication's applier waits for at this moment.
        case whatHoldsUpTheApplier

        /// Which of the locks `g` it is.
        fileprivate var condition: String {
            switch self {
            case .readLock: Self.globalRead
            case .backup: "\(Self.globalRead) OR \(Self.backupLock)"
            case .whatHoldsUpTheApplier:
                """
                \(Self.globalRead) OR g.lock_status = 'GRANTED' AND EXISTS (
                    SELECT 1 FROM performance_schema.metadata_locks p
                        JOIN performance_schema.threads a ON a.thread_id = p.owner_thread_id
                    WHERE p.lock_status = 'PENDING' AND p.object_type = g.object_type
                        AND p.object_schema <=> g.object_schema AND p.object_name <=> g.object_name
                        AND (a.name LIKE 'thread/sql/replica%' OR a.name LIKE 'thread/sql/slave%'))
                """
            }
        }

        private static let backupLock = "g.object_type = 'BACKUP LOCK' AND g.lock_type = 'SHARED'"
        /// Also one that waits itself: everything after it waits too.
        private static let globalRead = "g.object_type IN ('GLOBAL', 'COMMIT') AND g.lock_type = 'SHARED'"
    }

    /// A client's session that holds such a lock.
    struct Holder: Sendable {
        var id: Int64
        var account: String
        /// The kinds of locks by which it stands in the way.
        var locks: String
        var text: String { "connection \(id) of \(account) (\(locks))" }
    }

    /// Those who stand in the way on a server. An agent at work is none: it holds a lock of the agents.
    static func holders(
        _ hindrance: Hindrance, _ connection: MySQLConnection, deadline: Deadline
    ) async throws(MySQLError) -> [Holder] {
        var found = try await ofMetadata(hindrance, connection, deadline)
        if case .whatHoldsUpTheApplier = hindrance { found += try await ofRows(connection, deadline) }
        return found
    }

    /// Clients whose row locks the applier waits for at this moment.
    /// https://dev.mysql.com/doc/refman/8.4/en/performance-schema-data-lock-waits-table.html
    private static func ofRows(_ connection: MySQLConnection, _ deadline: Deadline) async throws(MySQLError) -> [Holder]
    {
        try await read(
            """
            SELECT t.processlist_id AS id,
                CONCAT(IFNULL(t.processlist_user, ''), '@', IFNULL(t.processlist_host, '')) AS account, 'ROW' AS locks
            FROM performance_schema.data_lock_waits w
                JOIN performance_schema.threads a ON a.thread_id = w.requesting_thread_id
                JOIN performance_schema.threads t ON t.thread_id = w.blocking_thread_id
            WHERE t.type = 'FOREGROUND' AND t.processlist_id <> CONNECTION_ID()
                AND t.name NOT LIKE 'thread/sql/replica%' AND t.name NOT LIKE 'thread/sql/slave%'
                AND (a.name LIKE 'thread/sql/replica%' OR a.name LIKE 'thread/sql/slave%')
            GROUP BY 1, 2
            """, connection, deadline)
    }

    private static func ofMetadata(
        _ hindrance: Hindrance, _ connection: MySQLConnection, _ deadline: Deadline
    ) async throws(MySQLError) -> [Holder] {
        try await read(
            """
            SELECT t.processlist_id AS id,
                CONCAT(IFNULL(t.processlist_user, ''), '@', IFNULL(t.processlist_host, '')) AS account,
                GROUP_CONCAT(DISTINCT g.object_type) AS locks
            FROM performance_schema.metadata_locks g
                JOIN performance_schema.threads t ON t.thread_id = g.owner_thread_id
            WHERE t.type = 'FOREGROUND' AND t.processlist_id <> CONNECTION_ID()
                AND t.name NOT LIKE 'thread/sql/replica%' AND t.name NOT LIKE 'thread/sql/slave%'
                AND NOT (t.processlist_user = SUBSTRING_INDEX(USER(), '@', 1) AND EXISTS (
                    SELECT 1 FROM performance_schema.metadata_locks u
                    WHERE u.owner_thread_id = g.owner_thread_id AND u.object_type = 'USER LEVEL LOCK'
                        AND u.object_name LIKE 'wd:%'))
                AND (\(hindrance.condition))
            GROUP BY 1, 2
            """, connection, deadline)
    }

    private static func read(
        _ sql: String, _ connection: MySQLConnection, _ deadline: Deadline
    ) async throws(MySQLError) -> [Holder] {
        try await connection.query(sql, purpose: "see whose locks stand in the way", deadline: deadline).rows.compactMap
        {
            row in
            row.int("id").map { Holder(id: $0, account: row.string("account") ?? "", locks: row.string("locks") ?? "") }
        }
    }

    /// Ends them on the server of the ledger, and waits a moment until their locks are gone.
    func endHolders(_ hindrance: Hindrance, _ ledger: LedgerSession) async throws(MySQLError) {
        let deadline = Deadline.after(.seconds(2))
        var ended: Set<Int64> = []
        repeat {
            let found = try await Self.holders(hindrance, ledger.connection, deadline: .after(.seconds(4)))
            if found.isEmpty { return }
            for holder in found where !ended.contains(holder.id) {
                ended.insert(holder.id)
                try await end(holder, ledger)
            }
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        } while !deadline.hasPassed
    }

    private func end(_ holder: Holder, _ ledger: LedgerSession) async throws(MySQLError) {
        logger.log(.sessionEnded, ["server": "\(name(ledger.server))", "session": "\(holder.text)"])
        do {
            try await ledger.run("KILL \(holder.id)", "end the session that stands in the way")
        } catch {
            // Gone by itself; or an account above ours, whose session the server will not let us end.
            guard let number = error.number, [1094, 1095, 1227].contains(number) else { throw error }
        }
    }
}
