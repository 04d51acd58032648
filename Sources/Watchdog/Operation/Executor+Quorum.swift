import Logging
import MySQLWire

/// The steps of quorum mode. They run over the ledger session, which holds the operation lock: a frozen
/// operation master finds it gone.
extension Executor {
    /// Runs the operator's command that makes sure that a server is off. Bounded by 10 s.
    func fenceCommand(_ id: ServerID) async -> Bool {
        let arguments = configuration.safety.fenceCommand + ["\(configuration.servers[id])"]
        do {
            try await RouterCommand.run(
                arguments, purpose: "make sure that \(name(id)) is off", deadline: .after(.seconds(10)))
            logger.notice("fence command succeeded", metadata: ["server": "\(name(id))"])
            return true
        } catch {
            logger.error("fence command failed", metadata: ["server": "\(name(id))", "error": "\(error)"])
            return false
        }
    }

    /// Stops the receiver: what has arrived by now is all that will.
    func stopReceiver(_ id: ServerID, ledger: LedgerSession) async throws(AgentError) {
        let what = "stop the receiver of \(name(id))"
        try await onServer(what) { () async throws(MySQLError) in
            // While the receiver runs.
            try await liftDelay(ledger.connection, what)
            try await ledger.run(Dialect(version: ledger.version).stopReceiver, what)
        }
        try await disableSemiSyncBeforePromotion(ledger)
        logger.notice("receiver stopped", metadata: ["server": "\(name(id))"])
    }

    /// Waits a few seconds for what has arrived to be applied; the next look decides whether to go on.
    func applyRelayLog(_ id: ServerID, ledger: LedgerSession) async throws(AgentError) {
        let what = "let \(name(id)) apply what has arrived"
        let dialect = Dialect(version: ledger.version)
        try await onServer(what) { () async throws(MySQLError) in
            let status = try await ledger.run(dialect.status, what)
            guard let channel = status.rows.first.map(ReplicationChannel.init) else { return }
            if channel.delay > 0 {
                try await liftDelay(ledger.connection, what)
                try await ledger.run(dialect.stopReceiver, what)
            }
            try await endHolders(.whatHoldsUpTheApplier, ledger)
            switch channel.health {
            case .broken: break
            case .running, .stopped, .disconnected, .interrupted:
                if !channel.applierRuns { try await ledger.run(dialect.startApplier, what) }
            }
            try await ledger.run(
                "SELECT WAIT_FOR_EXECUTED_GTID_SET(\(SQLText.literal(channel.retrieved.description)), 3)", what)
        }
    }

    /// Promotes a server whose source is lost. What is found under the lock decides once more.
    /// - Parameter heard: the newest row of the ledger that was weighed.
    func promoteWithoutSource(
        _ new: ServerID, reason: String, acceptLoss: Bool, epoch: UInt64, heard: UInt64, ledger: LedgerSession
    ) async throws(AgentError) {
        let what = "promote \(name(new))"
        let dialect = Dialect(version: ledger.version)
        try await onServer(what) { () async throws(MySQLError) in
            try await ledger.run("SET GLOBAL read_only = ON", what)
            try await ledger.run(
                "SET GLOBAL super_read_only = OFF", "let the promotion be recorded (read_only stays ON)")
            try await endHolders(.backup, ledger)
            try await stopReplication(ledger.connection, what)
        }
        let state = try await onServer(what) { () async throws(MySQLError) in
            try await ServerProbe.facts(
                ledger.connection, cluster: configuration.cluster, deadline: .after(.seconds(8)))
        }
        let recorded = state.ownPromotion.map { $0.epoch >= epoch } ?? false
        let unapplied = (state.channels.first?.retrieved ?? GTIDSet()).subtracting(state.executed)
        guard recorded || unapplied.isEmpty || acceptLoss else {
            try await onServer(what) { () async throws(MySQLError) in try await ledger.run(dialect.start, what) }
            throw AgentError(.refused, "\(what): it has not applied \(unapplied), replication was resumed")
        }
        if !recorded {
            try await seal(
                new, state, old: state.channels.first?.sourceUUID ?? "", epoch: epoch, reason, heard: heard, ledger)
        }
        try await onServer(what) { () async throws(MySQLError) in try await ledger.run(dialect.resetAll, what) }
        logger.notice(
            "promoted",
            metadata: ["server": "\(name(new))", "epoch": "\(epoch)", "gtid_executed": "\(state.executed)"])
    }

    /// Opens the primary.
    ///
    /// After a promotion nothing more is asked: a majority has turned away from the other server, and no router leads
    /// there. Where nothing was promoted, the other server is held by the operation lock and looked at meanwhile; if it
    /// does not answer, a majority of agents must see the primary at this very moment.
    func openPrimary(
        _ id: ServerID, seen: Observation, promoted: Bool, ledger: LedgerSession
    ) async throws(AgentError) {
        let what = "open \(name(id)) as primary"
        if promoted {
            try await unlock(id, what, promoted: true, check: nil, ledger)
        } else if seen.facts(id.other) != nil {
            try await guarding(id.other, ledger, what) { session async throws(AgentError) in
                let other = try await onServer(what) { () async throws(MySQLError) in
                    try await QuorumProbe(configuration).facts(session.connection, deadline: .after(.seconds(8)))
                }
                guard other.readOnly || other.superReadOnly else {
                    throw AgentError(.refused, "\(what): \(name(id.other)) takes writes")
                }
                guard other.quorum?.votes.isEmpty == true, Ledger.failoverAttempt(other.ledger, on: id.other) == nil,
                    (other.ownPromotion?.epoch ?? 0) <= (seen.facts(id)?.promotion?.epoch ?? 0)
                else { throw AgentError(.refused, "\(what): a failover away from it is under way") }
                try await unlock(id, what, promoted: false, check: nil, ledger)
            }
        } else {
            try await unlock(
                id, what, promoted: false, check: QuorumLocks(configuration).majority(.seesPrimary), ledger)
        }
        logger.notice("primary opened for writes", metadata: ["server": "\(name(id))"])
    }

    private func unlock(
        _ id: ServerID, _ what: String, promoted: Bool, check: String?, _ ledger: LedgerSession
    ) async throws(AgentError) {
        try await onServer(what) { () async throws(MySQLError) in
            // Whatever happens to it, it starts closed.
            try await ledger.run("SET PERSIST_ONLY super_read_only = ON", "persist super_read_only on \(name(id))")
        }
        // A primary that is opened again may be taken for synchronous by the agents: it must be so before its first
        // commit. After a promotion none takes it for that (`DurableState.sync`), and it has no replica yet.
        if !promoted { try await enableSemiSyncBeforeOpening(ledger) }
        if let check {
            let answer = try await onServer(what) { () async throws(MySQLError) in
                try await ledger.run("SELECT \(check)", "count the agents that see the primary")
            }
            guard answer.rows.first?.int(0) == 1 else {
                throw AgentError(.refused, "\(what): no majority of agents sees it any more")
            }
        }
        try await onServer(what) { () async throws(MySQLError) in
            try await ledger.run("SET GLOBAL super_read_only = OFF", what)
            try await ledger.run("SET GLOBAL read_only = OFF", what)
        }
    }

    /// The end of an operation of quorum mode: the ledger goes, and a server that is not primary is closed.
    /// One that was deposed with a ledger on it is fenced first: what hangs there would keep `read_only` away for ever.
    func finish(
        _ seen: Observation, primary: ServerID?, missing: [String], ledger: LedgerSession
    ) async throws(AgentError) {
        if !missing.isEmpty {
            logger.warning(
                "ended without the confirmation of some followers",
                metadata: ["agents": "\(missing.joined(separator: ", "))"])
        }
        let other = ledger.server.other
        if let primary, let facts = seen.facts(other), facts.ledger != nil, other != primary {
            let what = "clear \(name(other))"
            try await guarding(other, ledger, what) { session async throws(AgentError) in
                try await onServer(what) { () async throws(MySQLError) in
                    if !facts.superReadOnly { try await close(session) }
                    try await session.run("SET GLOBAL read_only = ON", what)
                    try await session.run("SET GLOBAL super_read_only = OFF", what)
                    try await session.clearLedger()
                    try await session.run("SET GLOBAL super_read_only = ON", what)
                }
            }
        }
        try await dropLedger(ledger, close: closes(ledger.server, primary))
    }

    /// Only what is known not to be the primary is closed.
    private func closes(_ server: ServerID, _ primary: ServerID?) -> Bool { primary.map { $0 != server } ?? false }

    /// Undoes a failover before its promotion: the replica goes on as it was.
    func rollBack(_ why: String, _ seen: Observation, primary: ServerID?, ledger: LedgerSession)
        async throws(AgentError)
    {
        let server = ledger.server
        try await refuseIfPromoted(seen, ledger)
        logger.error("operation aborted", metadata: ["why": "\(why)"])
        if server != primary, let facts = seen.facts(server), !facts.channels.isEmpty {
            let what = "let \(name(server)) replicate again"
            try await onServer(what) { () async throws(MySQLError) in
                try await ledger.run(Dialect(version: ledger.version).start, what)
            }
        }
        try await dropLedger(ledger, close: closes(server, primary))
    }

    /// From the promotion's record on there is no way back. It may have been written after the look that asked for one.
    private func refuseIfPromoted(_ seen: Observation, _ ledger: LedgerSession) async throws(AgentError) {
        let what = "see whether the promotion is on record"
        let known = ServerID.allCases.compactMap { seen.facts($0)?.promotion?.epoch }.max() ?? 0
        let state = try await onServer(what) { () async throws(MySQLError) in
            try await ServerProbe.facts(
                ledger.connection, cluster: configuration.cluster, deadline: .after(.seconds(8)))
        }
        if let promotion = state.ownPromotion, promotion.epoch > known {
            throw AgentError(
                .refused, "\(name(ledger.server)) has been promoted meanwhile (epoch \(promotion.epoch)): look again")
        }
    }

    private func dropLedger(_ ledger: LedgerSession, close: Bool) async throws(AgentError) {
        try await onServer("end the operation") { () async throws(MySQLError) in
            try await ledger.dropLedger()
            if close { try await ledger.run("SET GLOBAL super_read_only = ON", "close the replica") }
        }
        logger.notice("ledger cleared", metadata: ["server": "\(name(ledger.server))"])
    }
}
