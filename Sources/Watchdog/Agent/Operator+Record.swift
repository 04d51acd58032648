import Logging
import MySQLWire

/// The record of promotions on a primary may be gone or older than the data beside it: a schema that was dropped, a table
/// that was restored. No agent counts such a server as the primary, for one that was replaced looks the same.
extension Agent {
    /// What this host's agent knows to be on record there, and is not; nil where nothing of the kind is missing, or this
    /// host cannot know.
    func missingRecord(on id: ServerID, _ seen: Observation) -> Promotion? {
        guard let facts = seen.facts(id), facts.rebuilding == nil, facts.channels.isEmpty,
            let durable = try? DurableStateFile(directory: configuration.workingDirectory, mode: .quorum).read(),
            durable.isInformed, durable.primary == facts.uuid, durable.executed.isSubset(of: facts.executed),
            (facts.promotion?.epoch ?? 0) < durable.epoch,
            (seen.facts(id.other)?.promotion?.epoch ?? 0) <= durable.epoch
        else { return nil }
        return Promotion(epoch: durable.epoch, primary: durable.primary)
    }

    /// Writes it down again, by an operator's word. A closed server stays closed to clients. Past the binary log: a commit that
    /// is to replicate would wait for an acknowledgement, and the leave to go on without one takes agents that count this
    /// server as the primary.
    func restore(_ promotion: Promotion, on id: ServerID, _ facts: ServerFacts) async throws(AgentError) {
        let purpose = "put the record of epoch \(promotion.epoch) back on \(id)"
        let session = try await open(id, .after(.seconds(8)))
        defer { session.abort() }
        func run(_ sql: String) async throws(MySQLError) {
            _ = try await session.query(sql, purpose: purpose, deadline: .after(.seconds(8)))
        }
        do throws(MySQLError) {
            if facts.superReadOnly { try await run("SET GLOBAL super_read_only = OFF") }
            let failure = await write(promotion, facts, run)
            if facts.superReadOnly { try await run("SET GLOBAL super_read_only = ON") }
            if let failure { throw failure }
        } catch {
            throw AgentError(.server(error), purpose)
        }
    }

    /// - Returns: why it failed, if it did.
    private func write(
        _ promotion: Promotion, _ facts: ServerFacts, _ run: (String) async throws(MySQLError) -> Void
    ) async -> MySQLError? {
        do throws(MySQLError) {
            try await run("SET SESSION sql_log_bin = 0")
            for statement in LedgerSchema.createHistory { try await run(statement) }
            try await run(
                """
                INSERT IGNORE INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed)
                VALUES (\(promotion.epoch), \(SQLText.literal(promotion.primary)), '',
                    \(SQLText.literal(configuration.agent.name)), \(SQLText.literal(PromotionReason.onRecord.recorded)),
                    \(SQLText.literal(facts.executed.description)))
                """)
            return nil
        } catch {
            return error
        }
    }
}
