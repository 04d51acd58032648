import MySQLWire

extension Executor {
    /// Stops receiver and applier of a server whose channel is about to be reset.
    ///
    /// `STOP REPLICA` waits a minute for the rest of a transaction that the applier's coordinator has begun to hand out
    /// (MySQL 8.0 to 9.7, `SLAVE_WAIT_GROUP_DONE`). Of a transaction whose source died in the middle of it the rest will
    /// not come. A coordinator that is killed, and not told to stop before it has seen that, does not wait; what is half
    /// applied is rolled back. Its GTID is in neither set, so nothing that counts as received is lost.
    func stopReplication(
        _ connection: MySQLConnection, _ what: String, within limit: Duration = .seconds(8)
    ) async throws(MySQLError) {
        let dialect = Dialect(version: connection.serverVersion)
        let deadline = Deadline.after(limit)
        func run(_ sql: String) async throws(MySQLError) -> ResultSet {
            try await connection.query(sql, purpose: what, deadline: deadline)
        }
        // Without a receiver nothing is begun any more.
        _ = try await run(dialect.stopReceiver)
        let half = try await run(
            """
            SELECT t.processlist_id AS id FROM performance_schema.replication_applier_status_by_coordinator c
                JOIN performance_schema.threads t ON t.thread_id = c.thread_id
            WHERE c.service_state = 'ON' AND (c.processing_transaction <> '' OR EXISTS (
                SELECT 1 FROM performance_schema.replication_applier_status_by_worker w
                WHERE w.channel_name = c.channel_name AND w.applying_transaction <> ''))
            """)
        for row in half.rows {
            guard let id = row.int("id") else { continue }
            do throws(MySQLError) {
                _ = try await run("KILL \(id)")
            } catch {
                if error.number != 1094 { throw error }
            }
        }
        while !half.rows.isEmpty {
            let running = try await run(
                "SELECT 1 FROM performance_schema.replication_applier_status_by_coordinator WHERE service_state = 'ON'")
            if running.rows.isEmpty { break }
            do { try await Task.sleep(for: .milliseconds(10)) } catch { break }
        }
        _ = try await run(dialect.stop)
    }
}
