import Logging
import MySQLWire

/// Prepared XA transactions in the way of a rebuild: on the server that is wiped, and on the one that is copied.
extension CommandRunner {
    /// How long one may stay prepared before it is taken for one that nobody ends.
    private static let preparedTime = Duration.seconds(10)

    /// What is prepared on the server that is to be wiped; nil where that cannot be seen, which is logged.
    func prepared(_ session: ServerSession) async throws(AgentError) -> [PreparedTransaction]? {
        let what = "list prepared XA transactions of \(name(session.server))"
        do throws(MySQLError) {
            return try await PreparedTransaction.list(session.connection, deadline: .after(.seconds(8)))
        } catch {
            // Without XA_RECOVER_ADMIN it is refused.
            guard error.serverError != nil, session.connection.isOpen else { throw AgentError(.server(error), what) }
            logger.log(.dumpWarning, ["warning": "\(AgentError(.server(error), what))"])
            return nil
        }
    }

    /// Ends what is prepared on a server whose data goes anyway: DROP waits for its locks, at each try again. A client that
    /// was ended a moment ago may own one still, so those are tried again for a while. Only once the server is marked: one
    /// that is to keep its data must keep them.
    func rollBackPrepared(_ session: ServerSession) async throws(AgentError) {
        let limit = Deadline.after(Self.preparedTime)
        var ended: Set<PreparedTransaction> = []
        while let left = try await prepared(session), !left.isEmpty {
            guard !limit.hasPassed || ended.isDisjoint(with: left) else {
                throw AgentError(
                    .refused,
                    "\(purpose): prepared XA transactions of \(name(session.server)) cannot be rolled back, and hold the "
                        + "locks of their tables: \(PreparedTransaction.names(left)); end the sessions that own them")
            }
            for transaction in left {
                ended.insert(transaction)
                try await rollBack(transaction, session)
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
        guard !ended.isEmpty else { return }
        logger.log(
            .preparedRolledBack,
            ["server": "\(name(session.server))", "xids": "\(PreparedTransaction.names(ended))"])
    }

    private func rollBack(_ transaction: PreparedTransaction, _ session: ServerSession) async throws(AgentError) {
        try await executor.onServer("roll back what is prepared on \(name(session.server))") {
            () async throws(MySQLError) in
            do throws(MySQLError) {
                try await session.run("XA ROLLBACK \(transaction.xid)", purpose, within: .seconds(60))
            } catch {
                // ER_XAER_NOTA: a session owns it still, or it has ended. ER_XA_RBROLLBACK: it was rolled back.
                guard [1397, 1402].contains(error.number) else { throw error }
            }
        }
    }

    /// The GTID of XA PREPARE is claimed by a copy by dump, its rows are in no snapshot: the copy waits for it, and refuses
    /// once the replica is marked. So it is waited for before anything is touched.
    func requireNothingPrepared(_ primary: ServerID) async throws(AgentError) {
        let limit = Deadline.after(Self.preparedTime)
        let what = "look for prepared XA transactions on \(name(primary))"
        let executor = executor
        let standing = try await executor.withSession(primary, what) { session async throws(AgentError) in
            var standing: Set<PreparedTransaction>?
            while true {
                let now = try await executor.onServer(what) { () async throws(MySQLError) -> [PreparedTransaction] in
                    do throws(MySQLError) {
                        return try await PreparedTransaction.list(session.connection, deadline: .after(.seconds(8)))
                    } catch {
                        // The copy warns of it.
                        guard error.serverError != nil, session.connection.isOpen else { throw error }
                        return []
                    }
                }
                standing = standing?.intersection(now) ?? Set(now)
                guard let left = standing, !left.isEmpty, !limit.hasPassed else { return standing ?? [] }
                do { try await Task.sleep(for: .milliseconds(500)) } catch { throw AgentError(.timeout, "cancelled") }
            }
        }
        guard standing.isEmpty else {
            throw AgentError(
                .refused,
                "\(purpose): XA transactions stay prepared on \(name(primary)), and no copy can hold their rows: "
                    + "\(PreparedTransaction.names(standing)); nothing was touched: XA COMMIT or XA ROLLBACK each there"
            )
        }
    }

    /// Those that came with the replication are held by nobody here: whoever coordinates them must end them here. Beside
    /// the operation, which waits for nothing of it.
    nonisolated func namePrepared(_ id: ServerID) {
        let (executor, name) = (executor, executor.name(id))
        Task {
            let what = "list prepared XA transactions of \(name)"
            do throws(AgentError) {
                let found = try await executor.withSession(id, what) { session async throws(AgentError) in
                    try await executor.onServer(what) { () async throws(MySQLError) in
                        try await PreparedTransaction.list(session.connection, deadline: .after(.seconds(8)))
                    }
                }
                guard !found.isEmpty else { return }
                executor.logger.log(
                    .preparedTransactions, ["server": "\(name)", "xids": "\(PreparedTransaction.names(found))"])
            } catch {
                executor.logger.log(.preparedNotListed, ["server": "\(name)", "error": "\(error)"])
            }
        }
    }
}
