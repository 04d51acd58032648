import Logging
import MySQLDump
import MySQLWire

/// The commands that make a server a copy of another. Two methods, clone and dump; what decided for or against each is
/// logged (`rebuild method`).
extension CommandRunner {
    /// Half a copy from here on. read_only keeps the application out while the import, which needs more than
    /// super_read_only allows, runs; persisted, for a server that restarts in the middle must not take writes either.
    func markForRebuild(_ replica: ServerID) async throws(AgentError) {
        let session = try session(replica)
        guard let marker = rebuild.marker else { throw notLookedAt(replica) }
        rebuild.isMarked = true
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run(session.persistReadOnly, purpose)
            try await session.run("SET GLOBAL super_read_only = OFF", purpose)
            for (table, columns) in LedgerSchema.rebuildTables {
                _ = try await OwnTable.isUsable(table, columns: columns, connection: session.connection) {
                    sql, what async throws(MySQLError) in try await session.run(sql, what)
                }
            }
            for statement in LedgerSchema.createMarker { try await session.run(statement, "mark the rebuild") }
            // First: a mark without it says nothing of what was saved.
            if let saved = rebuild.saved { try await session.run(LedgerSchema.writeSaved(saved), "mark the rebuild") }
            try await session.run(
                """
                REPLACE INTO ongoing_rebuild.marker (source, epoch, saved) VALUES
                    (\(SQLText.literal(marker.source)), \(marker.epoch), \(SQLText.literal(marker.saved)))
                """, "mark the rebuild")
            // A copy of another source was begun here before.
            try await session.run(
                "DELETE FROM ongoing_rebuild.marker WHERE source <> \(SQLText.literal(marker.source))",
                "mark the rebuild")
        }
        try await rollBackPrepared(session)
    }

    func copyData(_ replica: ServerID, from primary: ServerID, _ epoch: UInt64) async throws(AgentError) {
        let session = try session(replica)
        let objection = try await objectionToClone(session, replica, from: primary)
        logMethod("clone", replica, why: objection.map { "no: \($0)" } ?? "yes: both servers can")
        if objection == nil {
            switch try await clone(session, replica, from: primary) {
            case .ended:
                // The server has ended, and with it the session that held the lock.
                session.connection.abort()
                other = nil
                try await awaitRestart(replica)
                try await lock(replica)
                return try await finishClone(try self.session(replica), replica)
            case .failed(let why):
                logger.log(.cloneFailed, ["server": "\(name(replica))", "why": "\(why)"])
                // It may have taken the marker with it before it failed.
                try await markForRebuild(replica)
            }
        }
        logMethod("dump", replica, why: "yes: what is left")
        try await copyByDump(session, replica, from: primary, epoch)
    }

    /// One read of the primary, two ends: the replica, and a dump beside it.
    private func copyByDump(_ session: ServerSession, _ replica: ServerID, from primary: ServerID, _ epoch: UInt64)
        async throws(AgentError)
    {
        let from = configuration.connectionOptions(configuration.servers[primary])
        var to = configuration.connectionOptions(configuration.servers[replica])
        to.programName = ServerSession.copyProgram
        let path = executor.workingDirectory.dumpPath(
            cluster: configuration.cluster, server: primary, epoch: epoch)
        guard let known = rebuild.known else { throw notLookedAt(replica) }
        var options = Self.copyOptions
        // What was executed since its data was seen would be lost; and of a server that was wiped a record says nothing.
        options.wipesOnly = known.description
        options.duringWipe = [LedgerSchema.forgetSaved]
        let (target, copying, deadline, purpose) = (to, options, deadline, purpose)
        let report = try await executor.keeping([session.connection]) { () async throws(AgentError) in
            do throws(DumpError) {
                return try await MySQLDump.copy(
                    from: from, to: target, keeping: path, options: copying, deadline: deadline)
            } catch {
                throw AgentError(.dump(error), purpose)
            }
        }
        logger.log(
            .copied,
            [
                "server": "\(name(replica))", "rows": "\(report.rows)", "tables": "\(report.tables.count)",
                "file": "\(report.file ?? "none")",
            ])
        for warning in report.warnings { logger.log(.copyWarning, ["warning": "\(warning)"]) }
    }

    /// Only when it replicates is it a copy and no longer half of one; and only the session that holds the lock may say so.
    func removeMarker(_ replica: ServerID, from primary: ServerID) async throws(AgentError) {
        let session = try session(replica)
        let scheduler = try await executor.withSession(primary, purpose) { other async throws(AgentError) in
            try await executor.onServer(purpose) { () async throws(MySQLError) in
                try await other.run("SELECT @@global.event_scheduler AS state", purpose).rows.first?.string("state")
                    ?? ""
            }
        }
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            // A copy that failed once has left the scheduler off; the events themselves sleep on a replica.
            if scheduler == "ON" { try await session.run("SET GLOBAL event_scheduler = ON", purpose) }
            try await session.run("SET GLOBAL read_only = ON", purpose)
            try await session.forgetPersisted()
            try await session.run("DROP DATABASE IF EXISTS ongoing_rebuild", "remove the rebuild marker")
        }
    }

    /// Beside what operators asked for: a replica whose rebuilds do not help, or do not end, is not rebuilt for ever.
    func noteRebuild(of replica: ServerID, on primary: ServerID, _ epoch: UInt64, cause: String) async {
        let what = "note the rebuild of \(name(replica))"
        do {
            try await executor.withSession(primary, what) { session async throws(AgentError) in
                try await executor.onServer(what) { () async throws(MySQLError) in
                    try await session.run("SET SESSION sql_log_bin = 1", what)
                    try await session.run(
                        "DELETE FROM repl_watchdog.control WHERE name LIKE 'rebuilt:%' AND at < NOW() - INTERVAL 7 DAY",
                        what)
                    try await session.run(
                        """
                        REPLACE INTO repl_watchdog.control (name, value)
                        VALUES ('rebuilt:\(epoch):\(rebuild.number)', \(SQLText.literal(cause)))
                        """, what)
                }
            }
        } catch {
            logger.log(.rebuildNotRecorded, ["error": "\(error)"])
        }
    }

    /// Says what decided for or against a rebuild method.
    func logMethod(_ method: String, _ server: ServerID, why: String) {
        logger.log(.rebuildMethod, ["server": "\(name(server))", "method": "\(method)", "used": "\(why)"])
    }
}
