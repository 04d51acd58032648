import Logging
import MySQLDump
import MySQLWire

/// The commands of a rebuild. Three methods; what decided for or against each is logged (`rebuild method`).
extension CommandRunner {
    /// The server is marked before, and the mark goes only when it replicates.
    private static var options: DumpOptions {
        var options = DumpOptions()
        options.excludedSchemas = [LedgerSchema.schema, LedgerSchema.rebuild]
        options.marksTarget = false
        return options
    }

    private static var savingOptions: DumpOptions {
        var options = options
        options.disableEvents = false
        // Never committed, and gone with the rebuild: they must not keep it from being made.
        options.leavesPrepared = true
        return options
    }

    // MARK: Before anything is touched

    func requireRoom(_ replica: ServerID) async throws(AgentError) {
        try executor.workingDirectory.checkExists()
        let size: UInt64
        do {
            size = try await MySQLDump.estimateSize(
                of: configuration.connectionOptions(configuration.servers[replica]), options: Self.options,
                deadline: .after(.seconds(30)))
        } catch {
            throw AgentError(.dump(error), purpose)
        }
        try executor.workingDirectory.check(roomFor: size)
    }

    /// What the replica lacks that the primary's data needs is told before it is saved, marked or wiped. A clone needs
    /// nothing of this.
    func requireCopyable(_ replica: ServerID, from primary: ServerID) async throws(AgentError) {
        guard !configuration.rebuild.clone else { return }
        do {
            try await MySQLDump.assertCopyable(
                from: configuration.connectionOptions(configuration.servers[primary]),
                to: configuration.connectionOptions(configuration.servers[replica]), options: Self.options,
                deadline: .after(.seconds(60)))
        } catch {
            throw AgentError(.dump(error), purpose)
        }
    }

    /// The replica is read first, for the primary's set only grows.
    func requireRebuildable(_ replica: ServerID, from primary: ServerID) async throws(AgentError) {
        let session = try session(replica)
        let state = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.facts(cluster: configuration.cluster)
        }
        let source = try await facts(primary)
        guard state.uuid != source.uuid else {
            throw AgentError(.refused, "\(purpose): both addresses lead to one server")
        }
        guard source.rebuilding == nil else {
            throw AgentError(.refused, "\(purpose): \(name(primary)) is itself a half-made copy")
        }
        guard source.channels.isEmpty else {
            throw AgentError(.refused, "\(purpose): \(name(primary)) is a replica")
        }
        // The lock may have been waited for while others promoted it.
        if configuration.mode == .quorum, let promotion = state.ownPromotion,
            promotion.epoch > source.ownPromotion?.epoch ?? 0
        {
            throw AgentError(
                .refused,
                "\(purpose): it was promoted in epoch \(promotion.epoch), of which \(name(primary)) knows nothing: "
                    + "decide which server is right")
        }
        let lost = state.executed.lost(by: source.executed, of: source.uuid)
        guard state.rebuilding != nil || lost.isEmpty else {
            throw AgentError(
                .refused,
                "\(purpose): it holds \(lost), which \(name(primary)) made and has lost: decide which server is right")
        }
        (rebuild.replica, rebuild.source) = (state, source)
    }

    // MARK: What is saved

    /// A half-made copy has nothing of its own, unless it was opened and took writes: it is open now, or its GTID sets
    /// say so (`HalfCopy`).
    func saveData(_ replica: ServerID, from primary: ServerID, _ epoch: UInt64) async throws(AgentError) {
        let session = try session(replica)
        guard let state = rebuild.replica, let source = rebuild.source else { throw notLookedAt(replica) }
        rebuild.known = state.executed
        var written = GTIDSet()
        if let marker = state.rebuilding {
            let record = try await savedBefore(session)
            written = HalfCopy.written(
                executed: state.executed, purged: state.purged, uuid: state.uuid, source: source.executed, saved: record
            )
            if written.isEmpty, !rebuild.wasOpen {
                logger.log(.savedBefore, ["saved": "\(marker.saved)"])
                (rebuild.marker, rebuild.saved) = (marker, record)
                return
            }
        }
        let saved = try await save(session, replica, state: state, source: source, written, epoch: epoch)
        rebuild.marker = RebuildMarker(source: source.uuid, epoch: epoch, saved: saved)
        rebuild.saved = state.executed
    }

    /// What a half-made copy had executed when its data was saved; nil where that is not on record, as after an import.
    private func savedBefore(_ session: ServerSession) async throws(AgentError) -> GTIDSet? {
        let what = "see what was saved"
        let text = try await executor.onServer(what) { () async throws(MySQLError) -> String? in
            do throws(MySQLError) {
                return try await session.run(LedgerSchema.readSaved, what).rows.first?.string("executed")
            } catch {
                guard let number = error.number, LedgerSchema.unreadable.contains(number) else { throw error }
                return nil
            }
        }
        return text.flatMap { GTIDSet($0) }
    }

    private func notLookedAt(_ replica: ServerID) -> AgentError {
        AgentError(.refused, "\(purpose): \(name(replica)) was not looked at, or its data not saved")
    }

    /// Dumps what the server holds into the working directory and lists the transactions that only it has.
    private func save(
        _ session: ServerSession, _ replica: ServerID, state: ServerFacts, source: ServerFacts, _ written: GTIDSet,
        epoch: UInt64
    ) async throws(AgentError) -> String {
        let from = configuration.connectionOptions(configuration.servers[replica])
        let what = "save the data of \(name(replica))"
        let path = executor.workingDirectory.dumpPath(cluster: configuration.cluster, server: replica, epoch: epoch)
        let options = Self.savingOptions
        let deadline = deadline
        let report = try await executor.keeping([session.connection]) { () async throws(AgentError) in
            do throws(DumpError) {
                let report = try await MySQLDump.dump(from: from, to: path, options: options, deadline: deadline)
                // What is about to be destroyed exists in this file alone: it is unpacked to its last byte before.
                let read = try await MySQLDump.verify(path)
                guard read.tables == report.tables, read.gtidExecuted == report.gtidExecuted else {
                    throw DumpError(.incomplete(path: path), "\(path) reads back as something else than was written")
                }
                return report
            } catch {
                throw AgentError(.dump(error), what)
            }
        }
        let surplus = state.executed.subtracting(source.executed)
        let tables = await tables(of: surplus.union(written), on: replica, keeping: session, deadline: deadline)
        try WorkingDirectory.write(
            """
            Data of server \(name(replica)), server_uuid \(state.uuid), as it was before it was rebuilt from \
            \(name(replica.other)), server_uuid \(source.uuid), in epoch \(epoch).
            Dump: \(path)
            Transactions that only this server had (not on the primary): \(surplus.isEmpty ? "none" : "\(surplus)")
            Its own since it became half a copy, by numbers that the primary may have for others: \
            \(written.subtracting(surplus).isEmpty ? "none" : "\(written.subtracting(surplus))")
            Transactions by table: \(tables)
            gtid_executed: \(state.executed)

            """, to: path + ".txt")
        logger.log(
            .saved,
            [
                "server": "\(name(replica))", "file": "\(path)", "rows": "\(report.rows)",
                "only_here": "\(surplus.isEmpty ? "none" : "\(surplus)")",
            ])
        for warning in report.warnings { logger.log(.dumpWarning, ["warning": "\(warning)"]) }
        if !surplus.isEmpty {
            logger.log(.surplus, ["gtids": "\(surplus)", "file": "\(path)"])
        }
        return "\(configuration.agent.name):\(path)"
    }

    /// The tables that these transactions touched; if they cannot be listed, why. The dump has the rows all the same.
    private func tables(
        of surplus: GTIDSet, on id: ServerID, keeping session: ServerSession, deadline: Deadline
    ) async -> String {
        let what = "list the tables of transactions that only \(name(id)) has"
        let executor = executor
        do throws(AgentError) {
            return try await executor.keeping([session.connection]) { () async throws(AgentError) in
                try await executor.withSession(id, what) { reader async throws(AgentError) in
                    try await executor.onServer(what) { () async throws(MySQLError) in
                        try await SurplusTables.find(
                            surplus, on: reader, deadline: min(deadline, .after(.seconds(120))))
                    }
                }
            }
        } catch {
            return "not listed: \(error)"
        }
    }

    /// Lets a server that nothing was done to take writes again, as it did before. Over the session that holds the lock
    /// there: if that is lost, somebody else is at work and knows better. One that this plan began to mark stays closed
    /// even where no mark is seen: a clone takes the mark away with everything else.
    func reopenUnmarked(_ id: ServerID) async throws(AgentError) {
        guard let session = other, session.server == id, !rebuild.isMarked else { return }
        // A replica that lost its channel meanwhile, and be it to a clone, cannot say what it lacks.
        let replicates = context.ledger?.kind == .recover
        let opened = try await executor.onServer("open \(name(id)) again") { () async throws(MySQLError) in
            let state = try await session.facts(cluster: configuration.cluster)
            guard state.rebuilding == nil, !replicates || !state.channels.isEmpty else { return false }
            try await session.open()
            return true
        }
        if opened { logger.log(.opened, ["server": "\(name(id))"]) }
    }

    // MARK: The copy

    /// Half a copy from here on. read_only keeps the application out while the import, which needs more than
    /// super_read_only allows, runs; persisted, for a server that restarts in the middle must not take writes either.
    func markForRebuild(_ replica: ServerID) async throws(AgentError) {
        let session = try session(replica)
        guard let marker = rebuild.marker else { throw notLookedAt(replica) }
        rebuild.isMarked = true
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run(session.persistReadOnly, purpose)
            try await session.run("SET GLOBAL super_read_only = OFF", purpose)
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
        var options = Self.options
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

    /// Beside what operators asked for: a replica whose rebuilds do not help is not rebuilt for ever.
    func noteRebuild(of replica: ServerID, on primary: ServerID, _ epoch: UInt64) async {
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
                        VALUES ('rebuilt:\(epoch):\(rebuild.number)', \(SQLText.literal(name(replica))))
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
