import Logging
import MySQLWire

/// `rpl_semi_sync_source_enabled` belongs to the agents: on where commits are to wait for a replica, off everywhere
/// else. On a replica it would hold the applier's own commits, on a new primary the record of its promotion.
/// https://dev.mysql.com/doc/refman/8.4/en/replication-semisync.html
///
/// Each statement decides by what the server is at that very moment: an agent that was held up does no harm with it. A
/// server is closed where both flags say so: while super_read_only waits for commits that wait for an acknowledgement,
/// it shows as ON by itself, and to let them go then would tell their clients that all is well.
extension Executor {
    private static let installed = """
        SELECT COUNT(*) AS variables FROM performance_schema.global_variables
        WHERE variable_name = 'rpl_semi_sync_source_enabled'
        """

    /// Lets the primary go on without its replica, while a majority of agents has put on disk that it does.
    func disableSemiSync(_ id: ServerID, lockSession: LockSession, foreign: [AgentList]) async throws(AgentError) {
        let what = "disable semi-sync on \(name(id))"
        let majority = QuorumLocks(configuration).majority(.async, foreign: foreign)
        try await onServer(what) { () async throws(MySQLError) in
            try await lockSession.run("SET GLOBAL rpl_semi_sync_source_enabled = IF(\(majority), 0, 1)", what)
        }
        logger.log(.semiSyncDisabled, ["server": "\(name(id))"])
    }

    func enableSemiSync(_ id: ServerID, lockSession: LockSession) async throws(AgentError) {
        let what = "enable semi-sync on \(name(id))"
        try await onServer(what) { () async throws(MySQLError) in
            try await lockSession.run(
                """
                SET GLOBAL rpl_semi_sync_source_enabled =
                    IF(@@global.read_only, @@global.rpl_semi_sync_source_enabled, 1)
                """, what)
        }
        logger.log(.semiSyncEnabled, ["server": "\(name(id))"])
    }

    /// A primary that was never opened by agents: from its next start on it is closed until they open it.
    func startClosed(_ id: ServerID, lockSession: LockSession) async {
        do throws(MySQLError) {
            // The standing session: a statement that the server refuses would cost it its locks.
            try await lockSession.run(
                "SET PERSIST_ONLY super_read_only = ON", "persist super_read_only on \(name(id))", refusable: true)
            logger.log(.startsClosed, ["server": "\(name(id))"])
        } catch {
            logger.log(.mayStartOpen, ["server": "\(name(id))", "error": "\(error)"])
        }
    }

    func disableSemiSyncOnReplica(_ id: ServerID, lockSession: LockSession) async throws(AgentError) {
        let what = "disable semi-sync on the replica \(name(id))"
        try await onServer(what) { () async throws(MySQLError) in
            try await lockSession.run(
                """
                SET GLOBAL rpl_semi_sync_source_enabled =
                    IF(@@global.super_read_only AND @@global.read_only, 0, @@global.rpl_semi_sync_source_enabled)
                """, what)
        }
    }

    /// A rebuild takes the primary's replica away, for as long as its data is saved and copied, and the copy begins with a
    /// lock that waits for every commit which waits for that replica. So the primary goes on alone before, by the rule for
    /// a replica that is gone (`disableSemiSync`); while a ledger is there nobody else does that. Bounded by 30 s.
    func disableSemiSyncByMajority(_ ledger: LedgerSession, _ foreign: [AgentList]) async throws(AgentError) {
        guard configuration.mode == .quorum else { return }
        let what = "disable semi-sync on \(name(ledger.server))"
        let majority = QuorumLocks(configuration).majority(.async, foreign: foreign)
        let deadline = Deadline.after(.seconds(30))
        var waited = false
        while !deadline.hasPassed {
            let enabled = try await onServer(what) { () async throws(MySQLError) in
                try await ledger.run(
                    """
                    SELECT COUNT(*) AS enabled FROM performance_schema.global_variables
                    WHERE variable_name = 'rpl_semi_sync_source_enabled' AND variable_value = 'ON'
                    """, what
                ).rows.first?.int("enabled")
            }
            guard enabled == 1 else {
                if waited {
                    logger.log(.semiSyncDisabled, ["server": "\(name(ledger.server))"])
                }
                return
            }
            waited = true
            try await onServer(what) { () async throws(MySQLError) in
                try await ledger.run("SET GLOBAL rpl_semi_sync_source_enabled = IF(\(majority), 0, 1)", what)
            }
            do { try await Task.sleep(for: .milliseconds(200)) } catch { break }
        }
        throw AgentError(.timeout, "\(what): no majority of the agents has put on disk that it may")
    }

    /// Off on the server of the ledger, which is not open.
    func disableSemiSyncBeforePromotion(_ ledger: LedgerSession) async throws(AgentError) {
        try await set(ledger, "0", "disable semi-sync on \(name(ledger.server))")
    }

    /// On on the server of the ledger, which is about to be opened again.
    func enableSemiSyncBeforeOpening(_ ledger: LedgerSession) async throws(AgentError) {
        try await set(ledger, "1", "enable semi-sync on \(name(ledger.server))")
    }

    private func set(_ ledger: LedgerSession, _ value: String, _ what: String) async throws(AgentError) {
        try await onServer(what) { () async throws(MySQLError) in
            guard try await ledger.run(Self.installed, what).rows.first?.int("variables") == 1 else { return }
            try await ledger.run("SET GLOBAL rpl_semi_sync_source_enabled = \(value)", what)
        }
    }

    /// A server that is to become a replica: it waits for nobody, and acknowledges if it can.
    func disableSemiSyncOnReplica(_ session: ServerSession) async throws(MySQLError) {
        guard configuration.mode == .quorum else { return }
        let what = "disable semi-sync on the replica \(name(session.server))"
        let found = try await session.run(
            """
            SELECT variable_name AS variable_name FROM performance_schema.global_variables
            WHERE variable_name IN ('rpl_semi_sync_source_enabled', 'rpl_semi_sync_replica_enabled')
            """, what)
        for row in found.rows {
            guard let variable = row.string("variable_name") else { continue }
            let value = variable.lowercased().hasSuffix("source_enabled") ? "OFF" : "ON"
            try await session.run("SET GLOBAL \(variable) = \(value)", what)
        }
    }
}
