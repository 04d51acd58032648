import MySQLWire

/// A server at a known address that was never part of this cluster: another machine has been given the address, or the
/// configuration names the wrong one. Nothing of it may be replaced.
enum Stranger {
    /// The question, for a server that replicates from nobody.
    static let sql = """
        SELECT schema_name AS name FROM information_schema.schemata
        WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'ongoing_failover',
            'ongoing_rebuild', 'repl_watchdog')
        ORDER BY schema_name LIMIT 4
        """

    /// Whether this may be one: it has databases, and shares not a single transaction with what the cluster has executed.
    /// A member that was restored or cloned has some of them, a new replica has no databases yet.
    /// - Parameter history: what the other server, or this agent's memory of the primary, has executed.
    static func isOne(_ facts: ServerFacts, history: GTIDSet) -> Bool {
        guard facts.channels.isEmpty, facts.rebuilding == nil, let schemas = facts.schemas, !schemas.isEmpty else {
            return false
        }
        return facts.executed.subtracting(history) == facts.executed
    }

    /// What is said of it.
    static func text(_ server: String, uuid: String, _ schemas: [String]) -> String {
        let list = schemas.prefix(3).joined(separator: ", ") + (schemas.count > 3 ? ", ..." : "")
        return
            "\(server) is a server that was never part of this cluster (server_uuid \(uuid), no transaction in "
            + "common) and has databases of its own (\(list)): nothing of it is replaced. Correct the address; or drop its "
            + "databases, if they may go: then it becomes a replica"
    }
}
