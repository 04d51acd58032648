import Logging
import MySQLWire

/// The user-level locks of the agents. GET_LOCK needs no privilege: a lock says something only where a session of the
/// agents' own account holds it.
enum AgentLock {
    /// The account that this session logged in with. A host holds no @, a user may.
    private static let me = "LEFT(USER(), CHAR_LENGTH(USER()) - LOCATE('@', REVERSE(USER())))"

    /// A table `own` of one row for a FROM: `ids` lists the sessions of the agents' account. NULL where the server cannot
    /// say who is who (performance_schema is off, or has no room for all threads): then every holder counts.
    static let own = """
        (SELECT IF(SUM(processlist_id = CONNECTION_ID()) > 0 AND (SELECT variable_value
                FROM performance_schema.global_status WHERE variable_name = 'Performance_schema_thread_instances_lost') = 0,
            JSON_ARRAYAGG(processlist_id), NULL) AS ids
        FROM performance_schema.threads WHERE processlist_user = \(me) AND processlist_id IS NOT NULL) own
        """

    /// An expression that is 1 where an agent holds the lock; beside `own` in the FROM.
    static func held(_ name: String) -> String {
        let holder = "IS_USED_LOCK(\(SQLText.literal(name)))"
        return "COALESCE(JSON_CONTAINS(own.ids, CAST(\(holder) AS JSON)), own.ids IS NULL AND \(holder) IS NOT NULL)"
    }

    /// The same, for where there is no FROM.
    static func alone(_ condition: String) -> String { "(SELECT \(condition) FROM \(own))" }

    /// Takes a lock. A session of another account that holds it is ended: it has no business with it, and would keep the
    /// agents from electing anybody for as long as it likes.
    /// - Parameters:
    ///   - seconds: how long an agent that holds it is waited for.
    ///   - run: one statement on the session that is to hold it.
    static func take(
        _ name: String, wait seconds: Int = 0, logger: Logger? = nil,
        _ run: (String, String) async throws(MySQLError) -> ResultSet
    ) async throws(MySQLError) -> Bool {
        let what = "take the lock \(name)"
        func isTaken(within seconds: Int) async throws(MySQLError) -> Bool {
            try await run("SELECT GET_LOCK(\(SQLText.literal(name)), \(seconds)) AS taken", what)
                .rows.first?.int("taken") == 1
        }
        if try await isTaken(within: 0) { return true }
        let evicted = try await evict(name, logger, run)
        guard evicted || seconds > 0 else { return false }
        return try await isTaken(within: max(1, seconds))
    }

    /// - Returns: whether somebody else held it, and was ended.
    private static func evict(
        _ name: String, _ logger: Logger?, _ run: (String, String) async throws(MySQLError) -> ResultSet
    ) async throws(MySQLError) -> Bool {
        let found = try await run(
            """
            SELECT processlist_id AS id, CONCAT(IFNULL(processlist_user, ''), '@', IFNULL(processlist_host, '')) AS account
            FROM performance_schema.threads
            WHERE processlist_id = IS_USED_LOCK(\(SQLText.literal(name))) AND NOT processlist_user <=> \(me)
            """, "see who holds the lock \(name)")
        guard let row = found.rows.first, let id = row.int("id") else { return false }
        let metadata: Logger.Metadata = [
            "lock": "\(name)", "session": "\(id)", "account": "\(PrintableText.line(row.string("account") ?? ""))",
        ]
        do throws(MySQLError) {
            _ = try await run("KILL \(id)", "end a session that holds a lock of the agents")
        } catch {
            guard let number = error.number, [1094, 1095, 1227].contains(number) else { throw error }
            if number == 1094 { return true }
            logger?.error("a lock of the agents is held by an account that cannot be ended", metadata: metadata)
            return false
        }
        logger?.warning("a session of another account held a lock of the agents, and was ended", metadata: metadata)
        return true
    }
}
