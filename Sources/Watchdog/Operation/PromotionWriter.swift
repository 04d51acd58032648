import Logging
import MySQLWire

/// Puts a promotion on record, in the new primary's own history: from here only forward, and whoever takes over can see
/// that.
struct PromotionWriter {
    let executor: Executor
    let ledger: LedgerSession
    let epoch: UInt64
    let new: ServerFacts
    let old: String
    let reason: PromotionReason
    /// The newest row of the ledger that the decision rests on; nil where nothing can be lost.
    let heard: UInt64?
    let link: ChannelLink?

    private static let what = "record the promotion"

    static func late(_ agent: String) -> AgentError {
        AgentError(.refused, "promote: \(agent) has followed meanwhile, and what it knows is weighed first: look again")
    }

    /// The session writes to the binary log for no longer than that: if this cannot be made sure of, it is ended.
    func write() async throws(AgentError) {
        let late = try await executor.onServer(Self.what) { () async throws(MySQLError) -> String? in
            do throws(MySQLError) {
                try await ledger.run("SET SESSION sql_log_bin = 1", Self.what)
                let late = try await record()
                try await ledger.run("SET SESSION sql_log_bin = 0", Self.what)
                return late
            } catch {
                ledger.connection.abort()
                throw error
            }
        }
        if let late { throw Self.late(late) }
    }

    /// - Returns: who has followed since the decision was made, if anybody: then nothing is recorded.
    private func record() async throws(MySQLError) -> String? {
        try await ledger.prepareRecord()
        try await ledger.run("START TRANSACTION", Self.what)
        if let late = try await follower() {
            try await ledger.run("ROLLBACK", Self.what)
            return late
        }
        try await ledger.run(
            """
            INSERT IGNORE INTO repl_watchdog.history
                (epoch, primary_uuid, old_uuid, agent, reason, executed)
            VALUES (\(epoch), \(SQLText.literal(new.uuid)), \(SQLText.literal(old)),
                \(SQLText.literal(executor.configuration.agent.name)), \(SQLText.literal(reason.recorded)),
                \(SQLText.literal(new.executed.description)))
            """, Self.what)
        try await ledger.run("COMMIT", Self.what)
        // An older row of this epoch may have come with the drain: without a record of its own the promotion
        // must not go on.
        let row = try await ledger.run(
            "SELECT primary_uuid FROM repl_watchdog.history WHERE epoch = \(epoch)", Self.what)
        guard row.rows.first?.string("primary_uuid")?.lowercased() == new.uuid else {
            throw MySQLError(
                .protocolViolation, phase: .reply, server: ledger.connection.address.description, purpose: Self.what,
                message: "epoch \(epoch) is on record already with another primary; the next try takes a higher one"
            )
        }
        await noteLink()
        return nil
    }

    /// Locked until the record is there: nobody follows in between.
    private func follower() async throws(MySQLError) -> String? {
        guard let heard else { return nil }
        let row = try await ledger.run(
            """
            SELECT agent FROM ongoing_failover.status
            WHERE epoch = \(epoch) AND event LIKE 'FOLO %' AND id > \(heard) LIMIT 1 FOR UPDATE
            """, Self.what)
        return row.rows.first?.string("agent")
    }

    /// The server that comes back can do without it: no reason to keep a promotion waiting.
    private func noteLink() async {
        do throws(MySQLError) {
            for statement in link.map(Executor.note) ?? [] { try await ledger.run(statement, Self.what) }
        } catch {
            executor.logger.log(.linkNotRecorded, ["error": "\(error)"])
        }
    }
}
