import Logging
import MySQLWire

/// The commands that open a primary.
extension CommandRunner {
    /// A server that refuses this, for want of a privilege or of room on its disk, is opened all the same: that it may
    /// start open is seen in every look, and its next death counts as silence.
    func persistClosed(_ id: ServerID) async throws(AgentError) {
        do throws(AgentError) {
            try await run("SET PERSIST_ONLY super_read_only = ON", on: id, "persist super_read_only on \(name(id))")
        } catch {
            guard case .server(let cause) = error.cause, cause.serverError != nil, try connection(id).isOpen else {
                throw error
            }
            logger.log(.mayStartOpen, ["server": "\(name(id))", "error": "\(error)"])
        }
    }

    func requireNoFailover(to id: ServerID, since epoch: UInt64) async throws(AgentError) {
        let session = try session(id)
        let facts = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await ServerProbe(configuration, .quorum).facts(session.connection, deadline: .after(.seconds(8)))
        }
        guard facts.readOnly || facts.superReadOnly else {
            throw AgentError(.refused, "\(purpose): \(name(id)) takes writes")
        }
        guard facts.quorum?.votes.isEmpty == true, Ledger.failoverAttempt(facts.ledger, on: id) == nil,
            facts.ownPromotion?.epoch ?? 0 <= epoch
        else { throw AgentError(.refused, "\(purpose): a failover away from it is under way") }
    }

    func requireMajority(_ id: ServerID) async throws(AgentError) {
        let sql = "SELECT \(QuorumLocks(configuration).majority(.seesPrimary, foreign: context.foreign)) AS sees"
        let answer = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await ledger.run(sql, "count the agents that see the primary")
        }
        guard answer.rows.first?.int("sees") == 1 else {
            throw AgentError(.refused, "\(purpose): no majority of agents sees it any more")
        }
    }

    /// A primary that serves administrators only is better than none: opening it goes on.
    func liftOfflineMode(_ id: ServerID) async {
        do throws(AgentError) {
            try await run("SET GLOBAL offline_mode = OFF", on: id, "let clients in to \(name(id))")
            logger.log(.offlineModeEnded, ["server": "\(name(id))"])
        } catch {
            logger.log(.offlineModeStays, ["server": "\(name(id))", "error": "\(error)"])
        }
    }

    func liftReadOnly(_ id: ServerID) async throws(AgentError) {
        try await run("SET GLOBAL read_only = OFF", on: id, "open \(name(id))")
        logger.log(.opened, ["server": "\(name(id))"])
        namePrepared(id)
    }
}
