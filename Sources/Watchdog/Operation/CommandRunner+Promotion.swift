import Logging
import MySQLWire

/// The commands of a failover and a switchover, up to the record.
extension CommandRunner {
    func fenceWrites(_ id: ServerID) async throws(AgentError) {
        let session = try session(id)
        let what = "stop writes on \(name(id))"
        let isOpen = try await executor.onServer(what) { () async throws(MySQLError) in
            // Unknown counts as open: what may have been written there is saved.
            try await session.run("SELECT @@global.read_only AS is_closed", what).rows.first?.int("is_closed") != 1
        }
        // Noted before: done a second time, it finds closed what it has closed itself.
        rebuild.wasOpen = rebuild.wasOpen || isOpen
        try await executor.onServer(what) { () async throws(MySQLError) in try await executor.close(session) }
    }

    func liftDelay(_ id: ServerID) async throws(AgentError) {
        let connection = try connection(id)
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await executor.liftDelay(connection, purpose)
        }
    }

    /// What has arrived by now is all that will.
    func stopReceiver(_ id: ServerID) async throws(AgentError) {
        try await run(Dialect(version: ledger.version).stopReceiver, on: id, "stop the receiver of \(name(id))")
        logger.log(.receiverStopped, ["server": "\(name(id))"])
    }

    private func channel(_ what: String) async throws(MySQLError) -> ReplicationChannel? {
        try await ledger.run(Dialect(version: ledger.version).status, what).rows.first.map(ReplicationChannel.init)
    }

    func startApplier(_ id: ServerID) async throws(AgentError) {
        let what = "let \(name(id)) apply what has arrived"
        let dialect = Dialect(version: ledger.version)
        try await executor.onServer(what) { () async throws(MySQLError) in
            guard let channel = try await channel(what) else { return }
            if channel.delay > 0 {
                try await executor.liftDelay(ledger.connection, what)
                try await ledger.run(dialect.stopReceiver, what)
            }
            try await executor.endHolders(.whatHoldsUpTheApplier, ledger)
            switch channel.health {
            case .broken: break
            case .running, .stopped, .disconnected, .interrupted:
                if !channel.applierRuns { try await ledger.run(dialect.startApplier, what) }
            }
        }
    }

    /// A few seconds; the next look decides whether to go on.
    func awaitRelayLog(_ id: ServerID) async throws(AgentError) {
        let what = "let \(name(id)) apply what has arrived"
        try await executor.onServer(what) { () async throws(MySQLError) in
            guard let channel = try await channel(what) else { return }
            try await ledger.run(
                "SELECT WAIT_FOR_EXECUTED_GTID_SET(\(SQLText.literal(channel.retrieved.description)), 3)", what)
        }
    }

    /// A few seconds; the next look decides whether to go on.
    func catchUp(_ new: ServerID, from old: ServerID) async throws(AgentError) {
        let what = "let \(name(new)) apply what \(name(old)) has"
        let executed = try await executor.withSession(old, what) { session async throws(AgentError) in
            try await executor.onServer(what) { () async throws(MySQLError) in
                try await session.run("SELECT @@global.gtid_executed AS executed", what).rows.first?.string("executed")
                    ?? ""
            }
        }
        let dialect = Dialect(version: ledger.version)
        try await executor.onServer(what) { () async throws(MySQLError) in
            try await executor.liftDelay(ledger.connection, what)
            switch try await channel(what)?.health {
            case .stopped?:
                try await ledger.run(dialect.start, "start replication to fetch the rest")
            case .interrupted?:
                try await ledger.run(dialect.startApplier, "start the applier that was interrupted")
            case .disconnected?:
                // A receiver that has used up its retries stays off, and one that waits a minute between two of them
                // comes late: the old primary is there now.
                try await ledger.run(dialect.stopReceiver, "let the receiver connect at once")
                try await ledger.run(dialect.startReceiver, "let the receiver connect at once")
            case .running?, .broken?, nil: break
            }
            if configuration.mode == .quorum { try await executor.endHolders(.whatHoldsUpTheApplier, ledger) }
            let reached = try await ledger.run(
                "SELECT WAIT_FOR_EXECUTED_GTID_SET(\(SQLText.literal(executed)), 3) AS late", what)
            logger.log(.drain, ["server": "\(name(new))", "complete": "\(reached.rows.first?.int("late") == 0)"])
        }
    }

    func allowRecord(_ id: ServerID) async throws(AgentError) {
        try await run("SET GLOBAL read_only = ON", on: id, purpose)
        try await run("SET GLOBAL super_read_only = OFF", on: id, "let the promotion be recorded (read_only stays ON)")
    }

    /// A server without a channel has nothing to stop.
    func stopReplication(_ id: ServerID) async throws(AgentError) {
        let connection = try connection(id)
        let limit: Duration = ledger.server == id ? .seconds(8) : .seconds(30)
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            let status = Dialect(version: connection.serverVersion).status
            let channels = try await connection.query(status, purpose: purpose, deadline: .after(.seconds(8)))
            guard !channels.rows.isEmpty else { return }
            try await executor.stopReplication(connection, purpose, within: limit)
        }
    }

    func resumeReplication(_ id: ServerID) async throws(AgentError) {
        try await run(Dialect(version: ledger.version).start, on: id, "let \(name(id)) replicate again")
    }

    /// Once more under the lock: a server that is fenced has a set that stands still.
    func requireFenced(_ old: ServerID) async throws(AgentError) {
        let (facts, events) = try await executor.withSession(old, purpose) { session async throws(AgentError) in
            try await executor.onServer(purpose) { () async throws(MySQLError) in
                let facts = try await session.facts(cluster: configuration.cluster)
                // Where that fails there is the record.
                return (facts, try? await executor.eventStatuses(session, purpose))
            }
        }
        guard facts.superReadOnly else {
            throw AgentError(.refused, "\(purpose): \(name(old)) takes writes again, it must be fenced first")
        }
        source = (facts, events)
    }

    func requireDrained(_ id: ServerID, _ undrained: String) async throws(AgentError) {
        guard let source else { throw AgentError(.refused, "\(purpose): the old primary was not looked at") }
        let state = try await ledgerFacts()
        let allowed = GTIDSet(undrained) ?? GTIDSet()
        let missing = source.facts.executed.subtracting(state.executed)
        let unapplied = (state.channels.first?.retrieved ?? GTIDSet()).subtracting(state.executed)
        guard missing.isSubset(of: allowed), unapplied.isSubset(of: allowed) else {
            try await resumeReplication(id)
            throw AgentError(
                .refused, "\(purpose): it still lacks \(missing.union(unapplied)), replication was resumed")
        }
        stopped = state
    }

    func requireApplied(_ id: ServerID, _ epoch: UInt64, acceptLoss: Bool) async throws(AgentError) {
        let state = try await ledgerFacts()
        let recorded = state.ownPromotion.map { $0.epoch >= epoch } ?? false
        let unapplied = (state.channels.first?.retrieved ?? GTIDSet()).subtracting(state.executed)
        guard recorded || unapplied.isEmpty || acceptLoss else {
            try await resumeReplication(id)
            throw AgentError(.refused, "\(purpose): it has not applied \(unapplied), replication was resumed")
        }
        stopped = state
    }

    /// The promotion of this operation is on record already: whoever recorded it was called away.
    var isRecorded: Bool { stopped?.ownPromotion.map { $0.epoch >= context.epoch } ?? false }

    func wakeEvents() async {
        if !isRecorded { await executor.wakeEvents(source?.events, ledger) }
    }

    /// - Parameter heard: the newest row of the ledger that the decision rests on. Whoever has followed since may know
    ///   of a greater loss: then nothing is recorded. Nil where nothing can be lost.
    func record(_ id: ServerID, _ epoch: UInt64, _ reason: PromotionReason, heard: UInt64?) async throws(AgentError) {
        guard let stopped else { throw AgentError(.refused, "\(purpose): its replication was not seen to be stopped") }
        if isRecorded { return }
        if let heard, let late = stopped.ledger?.first(where: { $0.follows(in: epoch, after: heard) }) {
            throw PromotionWriter.late(late.agent)
        }
        let link = try await executor.onServer("record the promotion") { () async throws(MySQLError) in
            try await executor.currentLink(ledger.connection, "read the settings of the channel that ends")
        }
        try await PromotionWriter(
            executor: executor, ledger: ledger, epoch: epoch, new: stopped,
            old: source?.facts.uuid ?? stopped.channels.first?.sourceUUID ?? "", reason: reason, heard: heard,
            link: link
        ).write()
        logger.log(
            .promoted,
            [
                "server": "\(name(id))", "epoch": "\(epoch)", "gtid_executed": "\(stopped.executed)",
                "reason": "\(reason.code.rawValue)", "why": "\(reason.text)",
            ])
    }

    /// Only the channel: its relay logs and its source.
    func resetChannel(_ id: ServerID) async throws(AgentError) {
        let connection = try connection(id)
        if id != ledger.server {
            let link = try await executor.onServer(purpose) { () async throws(MySQLError) in
                try await executor.currentLink(connection, purpose)
            }
            rebuild.link = link ?? rebuild.link
        }
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await connection.query(
                Dialect(version: connection.serverVersion).resetAll, purpose: purpose, deadline: .after(.seconds(30)))
        }
    }
}
