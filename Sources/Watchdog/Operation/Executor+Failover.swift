import Logging
import MySQLWire

extension Executor {
    /// Stops writes on a server, even those of administrators.
    func fence(_ id: ServerID, ledger: LedgerSession) async throws(AgentError) {
        let what = "stop writes on \(name(id))"
        try await guarding(id, ledger, what) { session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in try await close(session) }
        }
    }

    /// Bounded: a lock that somebody holds makes it fail instead of wait, and a late effect is impossible because the
    /// session ends with the failure. A client that holds LOCK TABLES would keep it away for ever, so that client's
    /// session is ended.
    func close(_ session: ServerSession) async throws(MySQLError) {
        let what = "stop writes on \(name(session.server))"
        do throws(MySQLError) {
            // Every new write waits behind this statement, and clients' sessions are ended after it anyway.
            try await session.run("SET SESSION lock_wait_timeout = 2", what)
            try await session.run("SET GLOBAL super_read_only = ON", what)
            try await session.run("SET SESSION lock_wait_timeout = 5", what)
        } catch {
            guard error.number == 1205 else { throw error }
            try await session.run("SET SESSION lock_wait_timeout = 5", what)
            _ = try await session.endClients(except: spared)
            if configuration.mode == .quorum {
                try await closeOverHungCommits(session, what)
            } else {
                try await session.run("SET GLOBAL super_read_only = ON", what)
            }
        }
        let ended = try await session.endClients(except: spared)
        logger.notice("fenced", metadata: ["server": "\(name(session.server))", "sessions_ended": "\(ended)"])
    }

    /// Accounts whose sessions are never ended: the agents' own and replication's.
    var spared: [String] { [configuration.credentials.user, configuration.replication.user] }

    /// Waits a few seconds for the new primary to apply what the old one has; the next look decides whether to go on.
    func drain(from old: ServerID, to new: ServerID, ledger: LedgerSession) async throws(AgentError) {
        let what = "let \(name(new)) apply what \(name(old)) has"
        let executed = try await withSession(old, what) { session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in
                try await session.run("SELECT @@global.gtid_executed", what).rows.first?.string(0) ?? ""
            }
        }
        try await onServer(what) { () async throws(MySQLError) in
            try await liftDelay(ledger.connection, what)
            let status = try await ledger.run(Dialect(version: ledger.version).status, what)
            let dialect = Dialect(version: ledger.version)
            switch status.rows.first.map(ReplicationChannel.init)?.health {
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
            if configuration.mode == .quorum { try await endHolders(.whatHoldsUpTheApplier, ledger) }
            let reached = try await ledger.run(
                "SELECT WAIT_FOR_EXECUTED_GTID_SET(\(SQLText.literal(executed)), 3)", what)
            logger.notice(
                "drain", metadata: ["server": "\(name(new))", "complete": "\(reached.rows.first?.int(0) == 0)"])
        }
    }

    /// Ends the replica's replication for good.
    func promote(
        _ new: ServerID, undrained: String, epoch: UInt64, reason: String, ledger: LedgerSession
    ) async throws(AgentError) {
        let old = new.other
        let dialect = Dialect(version: ledger.version)
        let what = "promote \(name(new))"
        // Once more under the lock: the old primary is fenced, so its set stands still.
        let (before, events) = try await withSession(old, what) { session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in
                let facts = try await session.facts(cluster: configuration.cluster)
                // Where that fails there is the record.
                return (facts, try? await eventStatuses(session, what))
            }
        }
        guard before.superReadOnly else {
            throw AgentError(.refused, "\(what): \(name(old)) takes writes again, it must be fenced first")
        }
        try await onServer(what) { () async throws(MySQLError) in
            if configuration.mode == .quorum { try await endHolders(.backup, ledger) }
            try await stopReplication(ledger.connection, what)
        }
        let state = try await onServer(what) { () async throws(MySQLError) in
            try await ServerProbe.facts(
                ledger.connection, cluster: configuration.cluster, deadline: .after(.seconds(8)))
        }
        let missing = before.executed.subtracting(state.executed)
        let allowed = GTIDSet(undrained) ?? GTIDSet()
        let unapplied = (state.channels.first?.retrieved ?? GTIDSet()).subtracting(state.executed)
        guard missing.isSubset(of: allowed), unapplied.isSubset(of: allowed) else {
            try await onServer(what) { () async throws(MySQLError) in try await ledger.run(dialect.start, what) }
            throw AgentError(.refused, "\(what): it still lacks \(missing.union(unapplied)), replication was resumed")
        }
        try await seal(new, state, old: before.uuid, epoch: epoch, reason, events: events, ledger)
        try await onServer(what) { () async throws(MySQLError) in try await ledger.run(dialect.resetAll, what) }
        logger.notice(
            "promoted",
            metadata: [
                "server": "\(name(new))", "epoch": "\(epoch)", "gtid_executed": "\(state.executed)",
                "undrained": "\(missing)",
            ])
    }

    /// Lets the new primary take writes.
    func openPrimary(_ new: ServerID, ledger: LedgerSession) async throws(AgentError) {
        let what = "open \(name(new)) as primary"
        try await onServer(what) { () async throws(MySQLError) in
            try await ledger.run("SET GLOBAL super_read_only = OFF", what)
            try await ledger.run("SET GLOBAL read_only = OFF", what)
        }
        logger.notice("primary opened for writes", metadata: ["server": "\(name(new))"])
    }

    /// Runs statements that belong to the new primary's own history and replicate from it. The session writes to the
    /// binary log for no longer than that: if this cannot be made sure of, it is ended.
    private func logged(
        _ ledger: LedgerSession, _ what: String, _ body: () async throws(MySQLError) -> Void
    ) async throws(AgentError) {
        try await onServer(what) { () async throws(MySQLError) in
            do throws(MySQLError) {
                try await ledger.run("SET SESSION sql_log_bin = 1", what)
                try await body()
                try await ledger.run("SET SESSION sql_log_bin = 0", what)
            } catch {
                ledger.connection.abort()
                throw error
            }
        }
    }

    /// Puts a promotion on record: from here only forward, and whoever takes over can see that.
    /// - Parameter heard: the newest row of the ledger that the decision rests on. Whoever has followed since may know
    ///   of a greater loss: then nothing is recorded. Nil where nothing can be lost.
    func seal(
        _ new: ServerID, _ state: ServerFacts, old: String, epoch: UInt64, _ reason: String, heard: UInt64? = nil,
        events: EventStatuses? = nil, _ ledger: LedgerSession
    ) async throws(AgentError) {
        if let heard, let late = state.ledger?.first(where: { $0.follows(in: epoch, after: heard) }) {
            throw Self.late(late.agent)
        }
        if configuration.mode == .quorum { try await disableSemiSyncBeforePromotion(ledger) }
        let link = try await onServer("record the promotion") { () async throws(MySQLError) in
            try await currentLink(ledger.connection, "read the settings of the channel that ends")
        }
        await wakeEvents(events, ledger)
        try await record(epoch: epoch, new: state, old: old, reason: reason, heard: heard, link: link, ledger: ledger)
    }

    private static func late(_ agent: String) -> AgentError {
        AgentError(.refused, "promote: \(agent) has followed meanwhile, and what it knows is weighed first: look again")
    }

    private func record(
        epoch: UInt64, new: ServerFacts, old: String, reason: String, heard: UInt64?, link: ChannelLink?,
        ledger: LedgerSession
    ) async throws(AgentError) {
        let what = "record the promotion"
        var late: String?
        try await logged(ledger, what) { () async throws(MySQLError) in
            if try await !ledger.hasRecord() {
                for statement in LedgerSchema.createHistory + LedgerSchema.createControl {
                    try await ledger.run(statement, what)
                }
            }
            try await ledger.run("START TRANSACTION", what)
            if let heard {
                // Locked until the record is there: nobody follows in between.
                let row = try await ledger.run(
                    """
                    SELECT agent FROM ongoing_failover.status
                    WHERE epoch = \(epoch) AND event LIKE 'FOLO %' AND id > \(heard) LIMIT 1 FOR UPDATE
                    """, what)
                late = row.rows.first?.string(0)
                if late != nil {
                    try await ledger.run("ROLLBACK", what)
                    return
                }
            }
            try await ledger.run(
                """
                INSERT IGNORE INTO repl_watchdog.history
                    (epoch, primary_uuid, old_uuid, agent, reason, executed)
                VALUES (\(epoch), \(SQLText.literal(new.uuid)), \(SQLText.literal(old)),
                    \(SQLText.literal(configuration.agent.name)), \(SQLText.literal(reason)),
                    \(SQLText.literal(new.executed.description)))
                """, what)
            try await ledger.run("COMMIT", what)
            // An older row of this epoch may have come with the drain: without a record of its own the promotion
            // must not go on.
            let row = try await ledger.run(
                "SELECT primary_uuid FROM repl_watchdog.history WHERE epoch = \(epoch)", what)
            guard row.rows.first?.string(0)?.lowercased() == new.uuid else {
                throw MySQLError(
                    .protocolViolation, phase: .reply, server: ledger.connection.address.description, purpose: what,
                    message: "epoch \(epoch) is on record already with another primary; the next try takes a higher one"
                )
            }
            // The server that comes back can do without it: no reason to keep a promotion waiting.
            do throws(MySQLError) {
                for statement in link.map(Self.note) ?? [] { try await ledger.run(statement, what) }
            } catch {
                logger.warning("the settings of the former channel are not on record", metadata: ["error": "\(error)"])
            }
        }
        if let late { throw Self.late(late) }
    }

    /// Points the local router to a server and sees through its own port that it leads there.
    func route(to id: ServerID, uuid: String) async throws(AgentError) {
        do {
            let report = try await router.turn(
                to: configuration.servers[id], other: configuration.servers[id.other], expectedUUID: uuid,
                deadline: .after(.seconds(30)))
            logger.notice(
                "router turned",
                metadata: [
                    "server": "\(name(id))", "file_changed": "\(report.changedFile)",
                    "restarted": "\(report.restarted)",
                ])
        } catch {
            throw AgentError(.router(error), "point the router to \(name(id))")
        }
    }
}
