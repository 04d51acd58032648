import Logging
import MySQLWire

/// The second rebuild method: the clone plugin copies the primary's pages over the replica's. What it brings with
/// it that a replica must not have (running events, the ledger) is put right before replication starts.
extension CommandRunner {
    enum CloneOutcome: Sendable {
        /// The pages are there; the server has ended, or starts anew by itself.
        case ended
        case failed(String)
    }

    /// Looks whether the clone plugin will do, and makes it ready on both servers.
    /// - Returns: why not; nil if it will.
    func objectionToClone(
        _ session: ServerSession, _ replica: ServerID, from primary: ServerID
    ) async throws(AgentError) -> String? {
        guard configuration.rebuild.clone else {
            return "not allowed: rebuild.clone is false"
        }
        let recipient = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await cloneSide(session)
        }
        let donor = try await executor.withSession(primary, purpose) { other async throws(AgentError) in
            try await executor.onServer(purpose) { () async throws(MySQLError) in try await cloneSide(other) }
        }
        let condition = CloneCondition(
            allowed: configuration.rebuild.clone, restarts: !configuration.rebuild.restart.isEmpty, donor: donor,
            recipient: recipient, donorIsReachable: donorEndpoint(primary) != nil)
        if let objection = condition.objection { return objection }
        do {
            try await activateClone(session)
        } catch {
            return "the plugin cannot be loaded on \(name(replica)): \(error)"
        }
        return try await executor.withSession(primary, purpose) { other async throws(AgentError) in
            do {
                try await activateClone(other)
                return nil
            } catch {
                return "the plugin cannot be loaded on \(name(primary)): \(error)"
            }
        }
    }

    private func cloneSide(_ session: ServerSession) async throws(MySQLError) -> CloneCondition.Side {
        let row = try await session.run(
            """
            SELECT CONCAT_WS(' ', @@version_compile_os, @@version_compile_machine, @@innodb_page_size) AS platform,
                COUNT(*) AS others
            FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB'
                AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
            """, "see whether the server can be cloned"
        ).rows.first
        return CloneCondition.Side(
            version: session.version, platform: row?.string("platform") ?? "", otherTables: Int(row?.int("others") ?? 0)
        )
    }

    private func activateClone(_ session: ServerSession) async throws(MySQLError) {
        let status = try await session.run(
            "SELECT plugin_status AS status FROM information_schema.plugins WHERE plugin_name = 'clone'",
            "look for the clone plugin"
        ).rows.first?.string("status")
        if status != "ACTIVE" {
            try await session.run("INSTALL PLUGIN clone SONAME 'mysql_clone.so'", "load the clone plugin")
        }
    }

    private func donorEndpoint(_ primary: ServerID) -> (host: String, port: UInt16)? {
        guard case .tcp(let host, let port) = configuration.replication.peer ?? configuration.servers[primary] else {
            return nil
        }
        return (host, port)
    }

    /// Replaces everything on the replica. It has been saved and marked; its GTID history goes first, for the clone
    /// drops the marker with everything else, and a clone that stops half-way must not claim a single transaction.
    func clone(
        _ session: ServerSession, _ replica: ServerID, from primary: ServerID
    ) async throws(AgentError) -> CloneOutcome {
        guard let donor = donorEndpoint(primary) else { return .failed("the primary has no address") }
        guard let known = rebuild.known else { return .failed("it was not looked at") }
        let since = try await executor.onServer(purpose) { () async throws(MySQLError) -> String? in
            // What holds after the restart: closed, and no event runs.
            try await session.run(session.persistReadOnly, purpose)
            let scheduler = try await session.run("SELECT @@global.event_scheduler AS state", purpose).rows.first?
                .string("state")
            if scheduler != "DISABLED" { try await session.run("SET PERSIST event_scheduler = OFF", purpose) }
            try await session.run("SET GLOBAL super_read_only = OFF", purpose)
            try await session.run(session.dialect.resetAll, purpose, within: .seconds(30))
            let since = try await session.run(
                "SELECT GTID_SUBTRACT(@@global.gtid_executed, \(SQLText.literal(known.description))) AS since",
                "see that nothing was executed since the data was saved"
            ).rows.first?.string("since")
            guard since == "" else { return since ?? "an unknown set" }
            try await session.run(
                session.version.isMySQL(atLeast: 8, 2) ? "RESET BINARY LOGS AND GTIDS" : "RESET MASTER",
                "forget the GTID history of what is to be replaced", within: .seconds(30))
            try await session.run(LedgerSchema.forgetSaved, purpose)
            try await session.run(
                "SET GLOBAL clone_valid_donor_list = \(SQLText.literal("\(donor.host):\(donor.port)"))",
                "name the server to clone from")
            return nil
        }
        if let since {
            throw AgentError(
                .refused, "\(purpose): \(name(replica)) has executed \(since) since its data was saved: look again")
        }
        // What is executed from here on is none of what was saved, whatever its numbers.
        (rebuild.known, rebuild.saved) = (GTIDSet(), nil)
        let credentials = configuration.credentials
        let password = credentials.source.password(for: configuration.servers[primary])
        let encrypted = [TLSMode.required, .verifyCA, .verifyIdentity].contains(credentials.tls)
        let sql = """
            CLONE INSTANCE FROM \(SQLText.literal(credentials.user))@\(SQLText.literal(donor.host)):\(donor.port) \
            IDENTIFIED BY \(SQLText.literal(password.reveal()))\(encrypted ? " REQUIRE SSL" : "")
            """
        let outcome = await runClone(sql, session, replica, deadline: deadline)
        if case .failed = outcome {
            try await executor.onServer(purpose) { () async throws(MySQLError) in
                try await session.run("RESET PERSIST IF EXISTS event_scheduler", purpose)
            }
        }
        return outcome
    }

    /// On a session of its own; the one that holds the lock is kept awake meanwhile for as long as the server lives.
    private func runClone(
        _ sql: String, _ session: ServerSession, _ replica: ServerID, deadline: Deadline
    ) async -> CloneOutcome {
        let connection = session.connection
        let awake = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(2))
                _ = try? await connection.ping(deadline: .after(.seconds(4)))
            }
        }
        defer { awake.cancel() }
        do throws(MySQLError) {
            let worker = try await ServerSession.open(configuration, replica)
            do throws(MySQLError) {
                _ = try await worker.connection.query(
                    sql, purpose: "clone \(name(replica.other))", deadline: deadline)
                await worker.close()
                // It answered, so it runs: only possible if it did not have to start anew.
                return .ended
            } catch {
                worker.connection.abort()
                throw error
            }
        } catch {
            // 3707: cloned, and ended because nobody is there who would start it again. A lost connection: it starts
            // anew. Both are seen to be true afterwards.
            if error.number == 3707 || error.serverError == nil && error.code == .closed { return .ended }
            return .failed("\(Remedy.explain(error))")
        }
    }

    /// Has the server started again, and waits until it answers.
    func awaitRestart(_ replica: ServerID) async throws(AgentError) {
        let deadline = Deadline.after(configuration.rebuild.restartTimeout)
        var lastError: (any Error)?
        var next = Deadline.after(.seconds(2))
        while !deadline.hasPassed {
            if await answers(replica) { return }
            // Not at once: it may still be ending, and two servers on one folder are worse than none.
            if next.hasPassed {
                let (host, port) = hostAndPort(replica)
                let command = configuration.rebuild.restart.map {
                    $0.replacing("{server}", with: "\(replica)").replacing("{host}", with: host)
                        .replacing("{port}", with: port)
                }
                do throws(RouterError) {
                    try await RouterCommand.run(
                        command, purpose: "start \(name(replica)) again", deadline: .after(.seconds(60)))
                } catch {
                    lastError = error
                    logger.log(.restartFailed, ["error": "\(error)"])
                }
                next = .after(.seconds(10))
            }
            do { try await Task.sleep(for: .milliseconds(250)) } catch {
                throw AgentError(.timeout, "\(purpose): cancelled")
            }
        }
        throw AgentError(
            .timeout,
            "\(purpose): it was cloned, but has not come back within \(configuration.rebuild.restartTimeout); start it, the "
                + "agents go on then" + (lastError.map { " (\($0))" } ?? ""))
    }

    private func hostAndPort(_ id: ServerID) -> (String, String) {
        guard case .tcp(let host, let port) = configuration.servers[id] else { return ("localhost", "") }
        return (host, "\(port)")
    }

    private func answers(_ id: ServerID) async -> Bool {
        do throws(MySQLError) {
            let session = try await ServerSession.open(configuration, id)
            // A server that is ending still answers what it was asked before.
            _ = try await session.run(
                "SELECT STATE FROM performance_schema.clone_status WHERE STATE = 'Completed'", "see that it is back")
            await session.close()
            return true
        } catch {
            return false
        }
    }

    /// Proves that the clone is whole, and takes out of it what belongs to the primary alone.
    func finishClone(
        _ session: ServerSession, _ replica: ServerID
    ) async throws(AgentError) {
        let status = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run(
                "SELECT STATE, ERROR_NO, REPLACE(GTID_EXECUTED, '\\n', '') AS executed FROM performance_schema.clone_status",
                "see how the clone ended"
            ).rows.first
        }
        guard status?.string("STATE") == "Completed", status?.int("ERROR_NO") == 0 else {
            throw AgentError(
                .refused,
                "\(purpose): the clone is not complete (\(status?.string("STATE") ?? "no state"), "
                    + "error \(status?.int("ERROR_NO") ?? -1))"
            )
        }
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run("SET GLOBAL super_read_only = OFF", purpose)
            if configuration.mode == .quorum {
                try await session.clearLedger()
            } else {
                try await session.run(LedgerSchema.drop, "remove the ledger from the clone")
            }
            try await executor.putEventsToSleep(session)
            try await session.run("RESET PERSIST IF EXISTS event_scheduler", purpose)
        }
        logger.log(.cloned, ["server": "\(name(replica))", "gtid_executed": "\(status?.string("executed") ?? "")"])
    }
}
