import MySQLWire

/// An operator's word on which server to go by.
extension Agent {
    /// How long agents are given to see that an operator trusts a server.
    private static let trustTime = Duration.seconds(10)

    /// Lets agents whose memory was lost go by this server although the other one does not answer: what the other one may
    /// know is given up. On the primary whose own promotion is not on record any more it is put back.
    package func trust(_ id: ServerID) async throws(AgentError) -> OperatorAnswer {
        let (before, _) = await explain()
        guard let facts = before.seen.facts(id) else {
            throw AgentError(.refused, "trust: \(id) \(before.seen[id].reason)")
        }
        let missing = missingRecord(on: id, before.seen)
        if missing == nil, let other = before.seen.facts(id.other), before.diagnosis.code != .stranger {
            throw AgentError(
                .refused,
                facts.quorum?.here.isEmpty == true
                    ? noAgentRuns(on: id)
                    : "trust: \(id.other) answers as well (\(other.uuid)): agents need nothing but to reach both")
        }
        var left: [String] = []
        if let missing {
            left = [try await restore(missing, on: id, facts)].compactMap { $0 }
            if let replica = before.seen.facts(id.other), replica.channels.first?.sourceUUID == facts.uuid {
                left += [try await restore(missing, on: id.other, replica)].compactMap { $0 }
            }
        }
        do throws(AgentError) {
            let answer =
                try await tellToTrust(id, facts)
                + (missing.map { "; the record of epoch \($0.epoch) was put back" } ?? "")
            return OperatorAnswer(
                ([answer] + left).joined(separator: "\n"),
                exitStatus: left.isEmpty ? ExitStatus.ok : ExitStatus.warning)
        } catch {
            throw AgentError(error.cause, (left + [error.message]).joined(separator: ". "))
        }
    }

    private func noAgentRuns(on id: ServerID) -> String {
        "trust: no agent runs: none of \(configuration.agents.joined(separator: ", ")) is connected to \(id); start them "
            + "(repl-watchdog run), then trust again"
    }

    /// - Returns: who goes by it.
    private func tellToTrust(_ id: ServerID, _ facts: ServerFacts) async throws(AgentError) -> String {
        let session = try await open(id, .after(.seconds(8)))
        defer { session.abort() }
        do {
            let taken = try await AgentLock.take(QuorumLocks.trust(configuration.cluster)) {
                sql, what async throws(MySQLError) in
                try await session.query(sql, purpose: what, deadline: .after(.seconds(5)))
            }
            guard taken else { throw AgentError(.refused, "somebody else asks for the same at this moment") }
            let (names, isAnyHere) = try await atWork(on: id, session, .after(Self.trustTime))
            guard !names.isEmpty else {
                throw AgentError(
                    .timeout,
                    !isAnyHere
                        ? noAgentRuns(on: id)
                        : "trust: no agent has come to go by \(id) within \(DurationText.format(Self.trustTime)), see 'explain'"
                )
            }
            return "agents go by \(id) (\(facts.uuid)); at work there: " + names.joined(separator: ", ")
        } catch let error as MySQLError {
            throw AgentError(.server(error), "tell the agents to trust \(id)")
        } catch let error as AgentError {
            throw error
        } catch {
            throw AgentError(.refused, "trust: \(error)")
        }
    }

    /// Waits until every agent that is connected there counts it as the primary, or until the deadline.
    private func atWork(
        on id: ServerID, _ session: MySQLConnection, _ deadline: Deadline
    ) async throws(MySQLError) -> (names: [String], isAnyHere: Bool) {
        var (names, isAnyHere): ([String], Bool) = ([], false)
        while !deadline.hasPassed, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            try await session.ping(deadline: .after(.seconds(5)))
            guard let quorum = await explain().status.seen.facts(id)?.quorum else { continue }
            names = quorum.seesPrimary.names(configuration.agents)
            isAnyHere = !quorum.here.isEmpty
            if !names.isEmpty, quorum.here.subtracting(quorum.seesPrimary).isEmpty { break }
        }
        return (names, isAnyHere)
    }
}
