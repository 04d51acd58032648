import MySQLWire

/// A primary that has lost its replica, without a fallback: its clients' commits wait for an acknowledgement that will
/// never come. KILL does not end that wait, and `SET GLOBAL super_read_only` waits behind it.
extension Executor {
    /// Closes such a server so that none of those clients is told that its row is there: while the closing session keeps
    /// every new write away and waits for the hung commits, the clients' sessions are ended (KILL closes their sockets
    /// at once), and only then the commits are let go.
    func closeOverHungCommits(_ session: ServerSession, _ what: String) async throws(MySQLError) {
        let helper = try await ServerSession.open(configuration, session.server)
        defer { helper.connection.abort() }
        let closing = Task { () async -> Result<Void, MySQLError> in
            do throws(MySQLError) {
                try await session.run("SET GLOBAL super_read_only = ON", what)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        let released: Result<Void, MySQLError>
        do throws(MySQLError) {
            try await release(behind: session, helper, what)
            released = .success(())
        } catch {
            released = .failure(error)
        }
        try await closing.value.get()
        try released.get()
    }

    private func release(behind session: ServerSession, _ helper: ServerSession, _ what: String)
        async throws(MySQLError)
    {
        // Its own statement gives up after lock_wait_timeout, 5 s.
        for _ in 0..<40 {
            let state = try await helper.run(
                """
                SELECT processlist_state LIKE 'Waiting for % lock' AS waits FROM performance_schema.threads
                WHERE processlist_id = \(session.connection.connectionID) AND processlist_command = 'Query'
                """, what)
            // Nothing to see: the statement is still on its way there, or over already.
            guard let waits = state.rows.first?.int("waits") else {
                try? await Task.sleep(for: .milliseconds(50))
                continue
            }
            if waits == 1 {
                _ = try await helper.endClients(except: spared)
                let installed = try await helper.run(
                    """
                    SELECT 1 FROM performance_schema.global_variables
                    WHERE variable_name = 'rpl_semi_sync_source_enabled' AND variable_value = 'ON'
                    """, what)
                if !installed.rows.isEmpty {
                    try await helper.run("SET GLOBAL rpl_semi_sync_source_enabled = OFF", what)
                }
                return
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }
}
