import Logging
import MySQLDump
import MySQLWire

/// The commands of a rebuild before anything is destroyed: what must be so, and what is saved.
extension CommandRunner {
    /// The server is marked before, and the mark goes only when it replicates.
    static var copyOptions: DumpOptions {
        var options = DumpOptions()
        options.excludedSchemas = [LedgerSchema.schema, LedgerSchema.rebuild]
        options.marksTarget = false
        return options
    }

    private static var savingOptions: DumpOptions {
        var options = copyOptions
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
                of: configuration.connectionOptions(configuration.servers[replica]), options: Self.copyOptions,
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
        try await requireNothingPrepared(primary)
        do {
            try await MySQLDump.assertCopyable(
                from: configuration.connectionOptions(configuration.servers[primary]),
                to: configuration.connectionOptions(configuration.servers[replica]), options: Self.copyOptions,
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

    func notLookedAt(_ replica: ServerID) -> AgentError {
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
        let prepared = try await prepared(session)
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
            Prepared XA transactions, whose rows are not in the dump, rolled back before the data goes: \
            \(prepared.map { $0.isEmpty ? "none" : $0.map(\.xid).sorted().joined(separator: "; ") } ?? "cannot be seen")
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
}
