import Logging
import MySQLWire

/// The commands that let a server replicate from the primary.
extension CommandRunner {
    /// Between the look that chose the step and the lock, what was under way there may have been committed. What the
    /// primary itself made may wait there for an acknowledgement.
    func requireNothingErrant(_ replica: ServerID, from primary: ServerID) async throws(AgentError) {
        let session = try session(replica)
        let state = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.facts(cluster: configuration.cluster)
        }
        guard state.superReadOnly else {
            throw AgentError(.refused, "\(purpose): it is not closed any more: look again")
        }
        let source = try await facts(primary)
        let errant = state.executed.errant(beside: source.executed, of: source.uuid)
        guard errant.isEmpty else {
            throw AgentError(.refused, "\(purpose): it holds \(errant), which \(name(primary)) lacks: look again")
        }
    }

    /// A channel that is there stays as it is. A new one has the settings of the one before: on the same server, else of
    /// the new primary's own.
    func nameSource(_ replica: ServerID, from primary: ServerID) async throws(AgentError) {
        let session = try session(replica)
        let hasChannel = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await !session.run(session.dialect.status, purpose).rows.isEmpty
        }
        if hasChannel { return }
        let link = try await executor.newLink(to: primary, former: rebuild.link, purpose)
        let replication = configuration.replication
        let sql = session.dialect.changeSource(
            to: replication.peer ?? configuration.servers[primary], user: replication.user,
            password: replication.source.refreshed(), link: link)
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await session.run(sql, "name the source")
        }
    }

    /// On the server of the ledger, which is about to be promoted, or on one that is to become a replica.
    func disableSemiSync(_ id: ServerID) async throws(AgentError) {
        guard id != ledger.server else { return try await executor.disableSemiSyncBeforePromotion(ledger) }
        let session = try session(id)
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await executor.disableSemiSyncOnReplica(session)
        }
    }
}
