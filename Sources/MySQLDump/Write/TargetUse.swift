import MySQLWire

/// What a server holds that is about to be wiped, and who uses it.
public struct TargetUse: Sendable, Hashable {
    /// Its schemas with the number of their tables, at most 1,000 of them.
    public var schemas: [(name: String, tables: Int)] { names.map { ($0, counts[$0] ?? 0) } }
    /// Why it is in use: by whom. Empty where nobody is seen.
    public private(set) var users: [String] = []
    private var names: [String] = []
    private var counts: [String: Int] = [:]

    /// Asks a server; changes nothing.
    public static func look(_ target: ConnectionOptions, deadline: Deadline) async throws(DumpError) -> TargetUse {
        let session = try await Session.open(target, deadline: deadline)
        do throws(DumpError) {
            var use = TargetUse()
            let held = try await session.run(
                """
                SELECT s.schema_name AS schema_name, COUNT(t.table_name) AS tables FROM information_schema.schemata s
                    LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name
                WHERE s.schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
                GROUP BY s.schema_name ORDER BY s.schema_name LIMIT 1000
                """, "see what the target holds")
            for row in held.rows {
                guard let name = row.string("schema_name") else { continue }
                use.names.append(name)
                use.counts[name] = Int(row.int("tables") ?? 0)
            }
            use.users = try await users(session)
            await session.close()
            return use
        } catch {
            session.connection.abort()
            throw error
        }
    }

    private static func users(_ session: Session) async throws(DumpError) -> [String] {
        let what = "see who uses the target"
        var users: [String] = []
        let clients = try await session.run(
            """
            SELECT COUNT(*) AS sessions, GROUP_CONCAT(DISTINCT processlist_user) AS users
            FROM performance_schema.threads
            WHERE type = 'FOREGROUND' AND processlist_user IS NOT NULL
                AND processlist_user NOT IN ('system user', 'event_scheduler', SUBSTRING_INDEX(USER(), '@', 1))
                AND processlist_command NOT LIKE 'Binlog Dump%' AND processlist_command <> 'Daemon'
                AND name NOT LIKE 'thread/sql/replica%' AND name NOT LIKE 'thread/sql/slave%'
            """, what)
        if let row = clients.rows.first, let count = row.int("sessions"), count > 0 {
            users.append("\(count) sessions of clients (\(row.string("users") ?? ""))")
        }
        let replicas = try await session.run(
            """
            SELECT COUNT(*) AS sessions FROM performance_schema.threads
            WHERE processlist_command LIKE 'Binlog Dump%'
            """, what)
        if let count = replicas.rows.first?.int("sessions"), count > 0 { users.append("\(count) replicas") }
        let agents = try await session.run(
            """
            SELECT COUNT(DISTINCT processlist_id) AS sessions FROM performance_schema.session_connect_attrs
            WHERE attr_name = 'program_name' AND attr_value LIKE 'repl-watchdog protocol=%'
                AND processlist_id <> CONNECTION_ID()
            """, what)
        if let count = agents.rows.first?.int("sessions"), count > 0 { users.append("agents of a cluster") }
        return users
    }
}
