import MySQLWire

/// Sessions whose commits hang. A full disk under the binary log lets everything through that is not written there, an
/// agent's own row as well; only those who wait for it show it. Commits that wait for a replica's acknowledgement are
/// another matter: whoever waits behind one of those is left out.
struct StuckCommits: Sendable {
    /// How long each has waited, in seconds, by its connection id.
    var waits: [UInt64: Int64] = [:]

    /// A commit that takes longer than this is looked at again.
    static let patience = 4

    private static let sql = """
        SELECT processlist_id, processlist_time FROM performance_schema.threads
        WHERE processlist_state IN
                ('waiting for handler commit', 'Waiting for commit lock', 'Waiting for global read lock')
            AND processlist_time >= \(patience) AND processlist_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM performance_schema.threads
                WHERE processlist_id IS NOT NULL AND processlist_state LIKE 'Waiting for semi-sync ACK%')
        """

    static func find(_ connection: MySQLConnection, deadline: Deadline) async throws(MySQLError) -> StuckCommits {
        let answer = try await connection.query(sql, purpose: "see whether commits hang", deadline: deadline)
        var found = StuckCommits()
        for row in answer.rows {
            if let id = row.string("processlist_id").flatMap({ UInt64($0) }), let time = row.int("processlist_time") {
                found.waits[id] = time
            }
        }
        return found
    }

    /// A session that waits still: a long statement is seen at its commit once, a commit that hangs every time.
    func hang(since before: StuckCommits) -> Bool {
        waits.contains { id, time in before.waits[id].map { time > $0 } ?? false }
    }

    /// The longest wait, in milliseconds.
    var longest: Int64 { (waits.values.max() ?? 0) * 1_000 }
}
