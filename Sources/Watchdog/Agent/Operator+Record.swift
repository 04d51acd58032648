import Logging
import MySQLWire

/// The record of promotions on a primary may be gone or older than the data beside it: a schema that was dropped, a table
/// that was restored. No agent counts such a server as the primary, for one that was replaced looks the same.
extension Agent {
    /// What this host's agent knows to be on record there, and is not; nil where nothing of the kind is missing, or this
    /// host cannot know.
    func missingRecord(on id: ServerID, _ seen: Observation) -> Promotion? {
        guard let facts = seen.facts(id), facts.rebuilding == nil, facts.channels.isEmpty,
            let durable = try? DurableStateFile(configuration).read(),
            durable.isInformed, durable.primary == facts.uuid, durable.executed.isSubset(of: facts.executed),
            (facts.promotion?.epoch ?? 0) < durable.epoch,
            (seen.facts(id.other)?.promotion?.epoch ?? 0) <= durable.epoch
        else { return nil }
        return Promotion(epoch: durable.epoch, primary: durable.primary)
    }

    /// Writes it down again, by an operator's word. A closed server stays closed to clients. Past the binary log: a commit that
    /// is to replicate would wait for an acknowledgement, and the leave to go on without one takes agents that count this
    /// server as the primary.
    /// - Returns: what of it was not undone, if anything.
    func restore(
        _ promotion: Promotion, on id: ServerID, _ facts: ServerFacts
    ) async throws(AgentError) -> String? {
        let purpose = "put the record of epoch \(promotion.epoch) back on \(id)"
        do throws(AgentError) {
            try await write(promotion, on: id, facts, purpose)
        } catch {
            guard facts.superReadOnly, let open = await close(id) else { throw error }
            throw AgentError(error.cause, "\(open). \(error.message)")
        }
        return facts.superReadOnly ? await close(id) : nil
    }

    /// Over a session of its own: the one that wrote may be lost.
    /// - Returns: why it is open still, if it is.
    private func close(_ id: ServerID) async -> String? {
        let purpose = "set super_read_only on \(id) again"
        var failure = ""
        do throws(AgentError) {
            let session = try await open(id, .after(.seconds(8)))
            defer { session.abort() }
            do throws(MySQLError) {
                // The agents may have found the record, and opened the primary.
                guard try await flags(session, purpose).isLeftOpen else { return nil }
                _ = try await session.query(
                    "SET GLOBAL super_read_only = ON", purpose: purpose, deadline: .after(.seconds(8)))
                guard try await flags(session, purpose).isLeftOpen else { return nil }
            } catch {
                throw AgentError(.server(error), purpose)
            }
        } catch {
            failure = " (\(error))"
        }
        return "super_read_only of \(id) is not known to be ON again\(failure): SET GLOBAL super_read_only = ON; there"
    }

    /// What a server says of itself after the row was written.
    struct ReadOnlyFlags {
        var readOnly: Bool
        var superReadOnly: Bool

        /// As `write` leaves it. Whoever opens a primary for clients takes read_only away too.
        var isLeftOpen: Bool { readOnly && !superReadOnly }
    }

    private func flags(_ session: MySQLConnection, _ purpose: String) async throws(MySQLError) -> ReadOnlyFlags {
        let answer = try await session.query(
            "SELECT @@GLOBAL.read_only AS plain, @@GLOBAL.super_read_only AS super", purpose: purpose,
            deadline: .after(.seconds(8)))
        return ReadOnlyFlags(
            readOnly: answer.rows.first?.int("plain") == 1, superReadOnly: answer.rows.first?.int("super") == 1)
    }

    private func write(
        _ promotion: Promotion, on id: ServerID, _ facts: ServerFacts, _ purpose: String
    ) async throws(AgentError) {
        let session = try await open(id, .after(.seconds(8)))
        defer { session.abort() }
        @discardableResult func run(_ sql: String) async throws(MySQLError) -> ResultSet {
            try await session.query(sql, purpose: purpose, deadline: .after(.seconds(8)))
        }
        let found: String?
        do throws(MySQLError) {
            if facts.superReadOnly { try await run("SET GLOBAL super_read_only = OFF") }
            try await run("SET SESSION sql_log_bin = 0")
            for statement in LedgerSchema.createHistory { try await run(statement) }
            try await run(
                """
                INSERT IGNORE INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed)
                VALUES (\(promotion.epoch), \(SQLText.literal(promotion.primary)), '',
                    \(SQLText.literal(configuration.agent.name)), \(SQLText.literal(PromotionReason.onRecord.recorded)),
                    \(SQLText.literal(facts.executed.description)))
                """)
            found = try await run(
                "SELECT primary_uuid AS uuid FROM repl_watchdog.history WHERE epoch = \(promotion.epoch)"
            ).rows.first?.string("uuid")
        } catch {
            throw AgentError(.server(error), purpose)
        }
        guard found == promotion.primary else {
            throw AgentError(
                .refused,
                "\(purpose): repl_watchdog.history there names \(PrintableText.line(found ?? "nobody")) as the primary of that "
                    + "epoch, and this host's agent knows \(promotion.primary). Where the row is wrong: DELETE FROM "
                    + "repl_watchdog.history WHERE epoch = \(promotion.epoch); with sql_log_bin = 0, then trust again")
        }
    }
}
