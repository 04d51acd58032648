import Logging
import MySQLDump
import MySQLWire

extension Executor {
    /// Lets a server replicate by GTID from where it stands: nothing is destroyed.
    func resume(_ replica: ServerID, from primary: ServerID, ledger: LedgerSession) async throws(AgentError) {
        let what = "replicate on \(name(replica)) from \(name(primary))"
        logMethod("gtid", replica, why: "yes: \(name(primary)) has all of its transactions, and all that it lacks")
        try await guarding(replica, ledger, what) { session async throws(AgentError) in
            let state = try await onServer(what) { () async throws(MySQLError) in
                try await session.facts(cluster: configuration.cluster)
            }
            try await refuseErrant(replica, state, from: primary, what)
            let link = state.channels.isEmpty ? try await newLink(to: primary, former: nil, what) : nil
            try await onServer(what) { () async throws(MySQLError) in
                if let link { try await changeSource(session, to: primary, link) }
                try await disableSemiSyncOnReplica(session)
            }
            try await startApplying(session, what)
        }
    }

    /// Nothing that the primary lacks may be left on its replica: between the look that chose this step and the lock, what
    /// was under way there may have been committed. What the primary itself made may wait there for an acknowledgement.
    private func refuseErrant(
        _ replica: ServerID, _ state: ServerFacts, from primary: ServerID, _ what: String
    ) async throws(AgentError) {
        // In router-led mode both servers take writes.
        guard configuration.mode == .quorum else { return }
        guard state.superReadOnly else { throw AgentError(.refused, "\(what): it is not closed any more: look again") }
        let source = try await withSession(primary, what) { session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in
                try await session.facts(cluster: configuration.cluster)
            }
        }
        let errant = state.executed.errant(beside: source.executed, of: source.uuid)
        guard errant.isEmpty else {
            throw AgentError(.refused, "\(what): it holds \(errant), which \(name(primary)) lacks: look again")
        }
    }

    /// How long an applier that was interrupted is left alone before it is started again.
    private static let startPauses: [Duration] = [.seconds(1), .seconds(2), .seconds(4)]

    /// Starts replication, again where its applier is interrupted by what passes: a lock, a full disk, a thread that was
    /// killed. Nothing is wrong with the data, so nothing that a rebuild would mend.
    private func startApplying(_ session: ServerSession, _ what: String) async throws(AgentError) {
        for pause in Self.startPauses + [.zero] {
            try await onServer(what) { () async throws(MySQLError) in
                try await session.run(session.dialect.start, what)
            }
            guard case .interrupted(let why)? = try await awaitReplication(session, what) else { return }
            logger.warning(
                "the applier was interrupted", metadata: ["server": "\(name(session.server))", "error": "\(why)"])
            guard pause > .zero else {
                throw AgentError(
                    .refused,
                    "\(what): \(why); it was started \(Self.startPauses.count + 1) times: end the cause, it is "
                        + "started again, and no rebuild would mend it")
            }
            do { try await Task.sleep(for: pause) } catch { throw AgentError(.timeout, "\(what): cancelled") }
        }
    }

    private func changeSource(
        _ session: ServerSession, to primary: ServerID, _ link: ChannelLink
    ) async throws(MySQLError) {
        let replication = configuration.replication
        let sql = session.dialect.changeSource(
            to: replication.peer ?? configuration.servers[primary], user: replication.user,
            password: replication.source.refreshed(), link: link)
        try await session.run(sql, "name the source")
    }

    /// Waits until replication runs or has failed; the next look tells which.
    @discardableResult
    private func awaitReplication(
        _ session: ServerSession, _ what: String
    ) async throws(AgentError) -> ReplicationChannel.Health? {
        let deadline = Deadline.after(.seconds(20))
        while !deadline.hasPassed {
            let health = try await onServer(what) { () async throws(MySQLError) in
                try await session.run(session.dialect.status, what).rows.first.map(ReplicationChannel.init)?.health
            }
            switch health {
            case .running?, .broken?, .interrupted?: return health
            case .disconnected?, .stopped?, nil: break
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return nil }
        }
        return nil
    }

    /// Saves what the server holds, then makes it a copy of the primary and lets it replicate.
    /// - Parameter reopen: whether the server took writes before, and must do so again if nothing comes of it.
    func rebuild(
        _ replica: ServerID, from primary: ServerID, why: String, epoch: UInt64, reopen: Bool,
        foreign: [AgentList] = [], ledger: LedgerSession
    ) async throws(AgentError) {
        let what = "rebuild \(name(replica)) from \(name(primary))"
        logger.notice("rebuild", metadata: ["server": "\(name(replica))", "why": "\(why)"])
        logMethod("gtid", replica, why: "no: \(why)")
        let deadline = Deadline.after(configuration.safety.operationTimeout)
        var options = DumpOptions()
        options.excludedSchemas = [LedgerSchema.schema, LedgerSchema.rebuild]
        // It is marked before, and the mark goes only when it replicates.
        options.marksTarget = false
        try await checkRoom(replica, options, what)
        try await checkCopyable(replica, from: primary, options, what)
        try await disableSemiSyncByMajority(ledger, foreign)

        let (cloned, former) = try await guarding(replica, ledger, what) { session async throws(AgentError) in
            let former = try await onServer(what) { () async throws(MySQLError) in
                try await currentLink(session.connection, what)
            }
            let marker = try await secure(
                session, replica, primary, options: options, epoch: epoch, reopen: reopen, deadline: deadline, what)
            let objection = try await objectionToClone(session, replica, from: primary, what)
            logMethod("clone", replica, why: objection.map { "no: \($0)" } ?? "yes: both servers can")
            if objection == nil {
                switch try await clone(session, replica, from: primary, deadline: deadline, what) {
                case .ended: return (true, former)
                case .failed(let why):
                    logger.error("clone failed", metadata: ["server": "\(name(replica))", "why": "\(why)"])
                    // It may have taken the marker with it before it failed.
                    try await markForRebuild(session, marker: marker, what)
                }
            }
            logMethod("dump", replica, why: "yes: what is left")
            try await copy(session, replica, primary, options: options, epoch: epoch, deadline: deadline, what)
            try await join(session, to: primary, former, what)
            return (false, former)
        }
        guard cloned else { return await noteRebuild(of: replica, on: primary, epoch: epoch) }
        try await awaitRestart(replica, what)
        try await guarding(replica, ledger, what) { session async throws(AgentError) in
            try await finishClone(session, replica, from: primary, what)
            try await join(session, to: primary, former, what)
        }
        await noteRebuild(of: replica, on: primary, epoch: epoch)
    }

    /// Beside what operators asked for: a replica whose rebuilds do not help is not rebuilt for ever.
    private func noteRebuild(of replica: ServerID, on primary: ServerID, epoch: UInt64) async {
        guard configuration.mode == .quorum else { return }
        let what = "note the rebuild of \(name(replica))"
        do {
            try await withSession(primary, what) { session async throws(AgentError) in
                try await onServer(what) { () async throws(MySQLError) in
                    try await session.run("SET SESSION sql_log_bin = 1", what)
                    try await session.run(
                        "DELETE FROM repl_watchdog.control WHERE name LIKE 'rebuilt:%' AND at < NOW() - INTERVAL 7 DAY",
                        what)
                    try await session.run(
                        """
                        REPLACE INTO repl_watchdog.control (name, value)
                        VALUES ('rebuilt:\(epoch)', \(SQLText.literal(name(replica))))
                        """, what)
                }
            }
        } catch {
            logger.warning("the rebuild is not on record", metadata: ["error": "\(error)"])
        }
    }

    /// Says what decided for or against a rebuild method.
    private func logMethod(_ name: String, _ server: ServerID, why: String) {
        logger.notice(
            "rebuild method", metadata: ["server": "\(self.name(server))", "method": "\(name)", "used": "\(why)"])
    }

    /// Lets a finished copy replicate, and says that it is one.
    private func join(
        _ session: ServerSession, to primary: ServerID, _ former: ChannelLink?, _ what: String
    ) async throws(AgentError) {
        let link = try await newLink(to: primary, former: former, what)
        try await onServer(what) { () async throws(MySQLError) in
            try await changeSource(session, to: primary, link)
            try await disableSemiSyncOnReplica(session)
            try await session.run(session.dialect.start, what)
        }
        try await awaitReplication(session, what)
        let scheduler = try await eventScheduler(primary, what)
        try await onServer(what) { () async throws(MySQLError) in
            // A copy that failed once has left the scheduler off; the events themselves sleep on a replica.
            if scheduler == "ON" { try await session.run("SET GLOBAL event_scheduler = ON", what) }
            // Only now is it a copy and no longer half of one; and only the session that holds the lock may say so.
            try await session.run("SET GLOBAL read_only = ON", what)
            try await session.forgetPersisted()
            try await session.run("DROP DATABASE IF EXISTS ongoing_rebuild", "remove the rebuild marker")
        }
    }

    private func eventScheduler(_ id: ServerID, _ what: String) async throws(AgentError) -> String {
        try await withSession(id, what) { session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in
                try await session.run("SELECT @@global.event_scheduler", what).rows.first?.string(0) ?? ""
            }
        }
    }

    /// Room for two dumps, seen before anything is touched.
    private func checkRoom(_ replica: ServerID, _ options: DumpOptions, _ what: String) async throws(AgentError) {
        try workingDirectory.checkExists()
        let size: UInt64
        do {
            size = try await MySQLDump.estimateSize(
                of: configuration.connectionOptions(configuration.servers[replica]), options: options,
                deadline: .after(.seconds(30)))
        } catch {
            throw AgentError(.dump(error), what)
        }
        try workingDirectory.check(roomFor: size)
    }

    /// What the replica lacks that the primary's data needs is told before it is saved, marked or wiped. A clone needs
    /// nothing of this.
    private func checkCopyable(
        _ replica: ServerID, from primary: ServerID, _ options: DumpOptions, _ what: String
    ) async throws(AgentError) {
        guard !configuration.rebuild.clone else { return }
        do {
            try await MySQLDump.assertCopyable(
                from: configuration.connectionOptions(configuration.servers[primary]),
                to: configuration.connectionOptions(configuration.servers[replica]), options: options,
                deadline: .after(.seconds(60)))
        } catch {
            throw AgentError(.dump(error), what)
        }
    }

    // MARK: Before anything is destroyed

    /// Closes the server, saves what it holds and marks it. Afterwards its data may be replaced.
    private func secure(
        _ session: ServerSession, _ replica: ServerID, _ primary: ServerID, options: DumpOptions, epoch: UInt64,
        reopen: Bool, deadline: Deadline, _ what: String
    ) async throws(AgentError) -> RebuildMarker {
        do {
            let (state, source, wasOpen) = try await quiesce(session, replica, primary, what)
            // A half-made copy has nothing of its own, unless it was restarted and took writes.
            if let marker = state.rebuilding, !wasOpen {
                logger.notice("data was saved before", metadata: ["saved": "\(marker.saved)"])
                return marker
            }
            let saved = try await save(
                session, replica, state: state, source: source, options: options, epoch: epoch, deadline: deadline)
            let marker = RebuildMarker(source: source.uuid, epoch: epoch, saved: saved)
            try await markForRebuild(session, marker: marker, what)
            return marker
        } catch {
            if reopen { await reopenAfterFailure(session, what) }
            throw error
        }
    }

    /// Lets a server that nothing was done to take writes again, as it did before. Over the session that holds the
    /// lock there: if that is lost, somebody else is at work and knows better.
    private func reopenAfterFailure(_ session: ServerSession, _ what: String) async {
        do {
            try await onServer(what) { () async throws(MySQLError) in
                let state = try await session.facts(cluster: configuration.cluster)
                if state.rebuilding == nil { try await session.open() }
            }
        } catch {
            logger.error("\(name(session.server)) stays read-only", metadata: ["error": "\(error)"])
        }
    }

    /// Stops everything that changes the server that is to be rebuilt, and reads both servers: the replica first, for
    /// the primary's set only grows.
    private func quiesce(
        _ session: ServerSession, _ replica: ServerID, _ primary: ServerID, _ what: String
    ) async throws(AgentError) -> (replica: ServerFacts, primary: ServerFacts, wasOpen: Bool) {
        let before = try await onServer(what) { () async throws(MySQLError) in
            try await session.facts(cluster: configuration.cluster)
        }
        try await onServer(what) { () async throws(MySQLError) in try await close(session) }
        let state = try await onServer(what) { () async throws(MySQLError) in
            if !before.channels.isEmpty { try await stopReplication(session.connection, what, within: .seconds(30)) }
            return try await session.facts(cluster: configuration.cluster)
        }
        let source = try await withSession(primary, what) { session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in
                try await session.facts(cluster: configuration.cluster)
            }
        }
        guard state.uuid != source.uuid else {
            throw AgentError(.refused, "\(what): both addresses lead to one server")
        }
        guard source.rebuilding == nil else {
            throw AgentError(.refused, "\(what): \(name(primary)) is itself a half-made copy")
        }
        guard source.channels.isEmpty else {
            throw AgentError(.refused, "\(what): \(name(primary)) is a replica")
        }
        // The lock may have been waited for while others promoted it.
        if configuration.mode == .quorum, let promotion = state.ownPromotion,
            promotion.epoch > source.ownPromotion?.epoch ?? 0
        {
            throw AgentError(
                .refused,
                "\(what): it was promoted in epoch \(promotion.epoch), of which \(name(primary)) knows nothing: "
                    + "decide which server is right")
        }
        let lost = state.executed.subtracting(source.executed).from(uuid: source.uuid)
        guard state.rebuilding != nil || lost.isEmpty else {
            throw AgentError(
                .refused,
                "\(what): it holds \(lost), which \(name(primary)) made and has lost: decide which server is right")
        }
        return (state, source, !before.readOnly)
    }

    /// The tables that these transactions touched; if they cannot be listed, why. The dump has the rows all the same.
    private func tables(
        of surplus: GTIDSet, on id: ServerID, keeping session: ServerSession, deadline: Deadline
    ) async -> String {
        let what = "list the tables of transactions that only \(name(id)) has"
        let executor = self
        do throws(AgentError) {
            return try await keeping([session.connection]) { () async throws(AgentError) in
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

    /// Dumps what the server holds into the working directory and lists the transactions that only it has.
    private func save(
        _ session: ServerSession, _ replica: ServerID, state: ServerFacts, source: ServerFacts, options: DumpOptions,
        epoch: UInt64, deadline: Deadline
    ) async throws(AgentError) -> String {
        let from = configuration.connectionOptions(configuration.servers[replica])
        let what = "save the data of \(name(replica))"
        let path = workingDirectory.dumpPath(cluster: configuration.cluster, server: replica, epoch: epoch)
        var saving = options
        saving.disableEvents = false
        // Never committed, and gone with the rebuild: they must not keep it from being made.
        saving.leavesPrepared = true
        let saveOptions = saving
        let report = try await keeping([session.connection]) { () async throws(AgentError) in
            do throws(DumpError) {
                let report = try await MySQLDump.dump(from: from, to: path, options: saveOptions, deadline: deadline)
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
        let tables = await tables(of: surplus, on: replica, keeping: session, deadline: deadline)
        try WorkingDirectory.write(
            """
            Data of server \(name(replica)), server_uuid \(state.uuid), as it was before it was rebuilt from \
            \(name(replica.other)), server_uuid \(source.uuid), in epoch \(epoch).
            Dump: \(path)
            Transactions that only this server had (not on the primary): \(surplus.isEmpty ? "none" : "\(surplus)")
            Transactions by table: \(tables)
            gtid_executed: \(state.executed)

            """, to: path + ".txt")
        logger.notice(
            "saved",
            metadata: [
                "server": "\(name(replica))", "file": "\(path)", "rows": "\(report.rows)",
                "only_here": "\(surplus.isEmpty ? "none" : "\(surplus)")",
            ])
        for warning in report.warnings { logger.warning("dump: \(warning)") }
        if !surplus.isEmpty {
            logger.warning(
                "transactions that the primary lacks are kept in the saved dump only",
                metadata: ["gtids": "\(surplus)", "file": "\(path)"])
        }
        return "\(configuration.agent.name):\(path)"
    }

    /// Marks the server as half a copy before the first of its rows is touched. read_only keeps the application out
    /// while the import, which needs more than super_read_only allows, runs; persisted, for a server that restarts in
    /// the middle must not take writes either.
    private func markForRebuild(
        _ session: ServerSession, marker: RebuildMarker, _ what: String
    ) async throws(AgentError) {
        try await onServer(what) { () async throws(MySQLError) in
            try await session.run(session.persistReadOnly, what)
            try await session.run("SET GLOBAL super_read_only = OFF", what)
            for statement in LedgerSchema.createMarker { try await session.run(statement, "mark the rebuild") }
            try await session.run(
                """
                REPLACE INTO ongoing_rebuild.marker (source, epoch, saved) VALUES
                    (\(SQLText.literal(marker.source)), \(marker.epoch), \(SQLText.literal(marker.saved)))
                """, "mark the rebuild")
        }
    }

    // MARK: The copy

    private func copy(
        _ session: ServerSession, _ replica: ServerID, _ primary: ServerID, options: DumpOptions, epoch: UInt64,
        deadline: Deadline, _ what: String
    ) async throws(AgentError) {
        try await onServer(what) { () async throws(MySQLError) in
            try await session.run(session.persistReadOnly, what)
            try await session.run("SET GLOBAL super_read_only = OFF", what)
            try await session.run(session.dialect.resetAll, what, within: .seconds(30))
        }
        let from = configuration.connectionOptions(configuration.servers[primary])
        var to = configuration.connectionOptions(configuration.servers[replica])
        to.programName = ServerSession.copyProgram
        let target = to
        // One read of the primary, two ends: the replica, and a dump beside it.
        let path = workingDirectory.dumpPath(cluster: configuration.cluster, server: primary, epoch: epoch)
        let report = try await keeping([session.connection]) { () async throws(AgentError) in
            do throws(DumpError) {
                return try await MySQLDump.copy(
                    from: from, to: target, keeping: path, options: options, deadline: deadline)
            } catch {
                throw AgentError(.dump(error), what)
            }
        }
        logger.notice(
            "copied",
            metadata: [
                "server": "\(name(replica))", "rows": "\(report.rows)", "tables": "\(report.tables.count)",
                "file": "\(report.file ?? "none")",
            ])
        for warning in report.warnings { logger.warning("copy: \(warning)") }
    }
}
