import Logging
import MySQLWire

/// Starting replication, and what an applier that stops again says.
extension CommandRunner {
    /// How long an applier that has stopped is left alone before it is started again; the policy goes on from there
    /// (`ApplierStops`).
    private static let startPauses: [Duration] = [.seconds(1), .seconds(2), .seconds(4)]

    /// Insisting, it starts an applier again that has stopped at anything but data that differ: a lock, a full disk, a
    /// thread that was killed. No rebuild would mend that.
    func startReplication(_ id: ServerID, insisting: Bool) async throws(AgentError) {
        let session = try session(id)
        var fault = try await channel(session)?.startableFault
        for pause in Self.startPauses + [.zero] {
            try await executor.onServer(purpose) { () async throws(MySQLError) in
                try await session.run(session.dialect.start, purpose)
            }
            // It runs for a moment before it meets again what has stopped it.
            fault = try await awaitReplication(session, for: fault == nil ? .zero : .seconds(1))?.startableFault
            guard let fault, insisting else { return }
            logger.log(.applierInterrupted, ["server": "\(name(id))", "error": "\(fault)"])
            guard pause > .zero else {
                throw AgentError(
                    .refused,
                    "\(purpose): \(fault); it was started \(Self.startPauses.count + 1) times: end the cause, it is "
                        + "started again, and no rebuild would mend it")
            }
            do { try await Task.sleep(for: pause) } catch { throw AgentError(.timeout, "\(purpose): cancelled") }
        }
    }

    /// Waits until replication has run for a while or has failed; the next look tells which.
    private func awaitReplication(
        _ session: ServerSession, for lasting: Duration
    ) async throws(AgentError) -> ReplicationChannel? {
        let deadline = Deadline.after(.seconds(20))
        var runs: Deadline?
        while !deadline.hasPassed {
            let channel = try await channel(session)
            switch channel?.health {
            case .broken?, .interrupted?: return channel
            case .running?:
                runs = runs ?? .after(lasting)
                if runs?.hasPassed == true { return channel }
            case .disconnected?, .stopped?, nil: runs = nil
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return nil }
        }
        return nil
    }

    private func channel(_ session: ServerSession) async throws(AgentError) -> ReplicationChannel? {
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run(session.dialect.status, purpose).rows.first.map(ReplicationChannel.init)
        }
    }

    // MARK: Before a rebuild

    /// How long the applier may take to meet again what has stopped it.
    private static let secondTry: Duration = .seconds(60)
    /// Where performance_schema is off, so that nobody says which transaction it was.
    private static let blindTry: Duration = .seconds(10)

    /// A rebuild is for data that differ: the applier is started once more, and stops at the same transaction again.
    func requireBroken(_ id: ServerID) async throws(AgentError) {
        let session = try session(id)
        guard let first = try await channel(session), first.dataDiffer, !first.applierRuns else {
            throw AgentError(.refused, "\(purpose): its applier has not stopped at data that differ: look again")
        }
        let failed = try await failedTransactions(session)
        logger.log(.applierInterrupted, ["server": "\(name(id))", "error": "\(first.applierFault)"])
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run(session.dialect.start, purpose)
        }
        let deadline = Deadline.after(failed.isEmpty ? Self.blindTry : Self.secondTry)
        while !deadline.hasPassed {
            do { try await Task.sleep(for: .milliseconds(100)) } catch { break }
            guard let again = try await channel(session) else { break }
            guard again.applierErrno != 0, !again.applierRuns else {
                if try await hasExecuted(failed, session) { break }
                continue
            }
            let failedAgain = try await failedTransactions(session)
            let isSame =
                failed.isEmpty || failedAgain.isEmpty
                ? again.applierErrno == first.applierErrno : !failed.isDisjoint(with: failedAgain)
            guard again.dataDiffer, isSame else {
                throw AgentError(
                    .refused,
                    "\(purpose): it stopped at something else when it was started again (\(again.applierFault)): look again"
                )
            }
            return
        }
        throw AgentError(.refused, "\(purpose): its applier runs since it was started again: look again")
    }

    private func hasExecuted(_ transactions: Set<String>, _ session: ServerSession) async throws(AgentError) -> Bool {
        guard !transactions.isEmpty else { return false }
        let text = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run("SELECT @@global.gtid_executed AS executed", purpose).rows.first?.string("executed")
        }
        let executed = text.flatMap { GTIDSet($0) } ?? GTIDSet()
        return transactions.allSatisfy { GTIDSet($0)?.isSubset(of: executed) == true }
    }

    /// The transactions at which workers have stopped.
    private func failedTransactions(_ session: ServerSession) async throws(AgentError) -> Set<String> {
        let column =
            session.connection.serverVersion.isMySQL(atLeast: 8) ? "applying_transaction" : "last_seen_transaction"
        let rows = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run(
                """
                SELECT \(column) AS gtid FROM performance_schema.replication_applier_status_by_worker
                WHERE last_error_number <> 0
                """, purpose
            ).rows
        }
        return Set(rows.compactMap { $0.string("gtid") }).subtracting([""])
    }
}

extension ReplicationChannel {
    /// At what the applier has stopped, where starting it again may help and a rebuild would not.
    package var startableFault: String? { applierErrno == 0 || dataDiffer ? nil : applierFault }
}
