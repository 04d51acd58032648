import Logging
import MySQLWire

/// What operators ask of the agents. Requests that concern one moment are locks which last as long as the operator
/// waits; what must outlive a server is a row that replicates.
extension Agent {
    /// Asks the agents to make the replica the primary, and waits until they have, or until the deadline.
    package func switchover(deadline: Deadline) async throws(AgentError) -> String {
        let target = try await path(of: .switchover)
        guard case .ask(let server) = target else { throw AgentError(.refused, "switchover: \(target)") }
        try await refuseBackup(on: server)
        return try await ask(
            [QuorumLocks.switchover(configuration.cluster)], on: server, until: server, deadline: deadline,
            "the agents have not made \(server) the primary")
    }

    /// Lets the agents promote the replica of a lost primary in spite of a pause or a block period, and on demand with
    /// loss; waits until they have.
    package func failover(acceptLoss: Bool, deadline: Deadline) async throws(AgentError) -> String {
        let target = try await path(of: .failover)
        guard case .ask(let server) = target else { throw AgentError(.refused, "failover: \(target)") }
        var locks = [QuorumLocks.failover(configuration.cluster)]
        if acceptLoss { locks.append(QuorumLocks.loss(configuration.cluster)) }
        return try await ask(
            locks, on: server, until: server, deadline: deadline, "the agents have not promoted \(server)")
    }

    /// How long agents are given to see that an operator trusts a server.
    private static let trustTime = Duration.seconds(10)

    /// Lets agents whose memory was lost go by this server although the other one does not answer: what the other one may
    /// know is given up. On the primary whose own promotion is not on record any more it is put back.
    package func trust(_ id: ServerID) async throws(AgentError) -> String {
        let (before, _) = await explain()
        guard let facts = before.seen.facts(id) else {
            throw AgentError(.refused, "trust: \(id) \(before.seen[id].reason)")
        }
        let missing = missingRecord(on: id, before.seen)
        if let missing {
            try await restore(missing, on: id, facts)
            if let replica = before.seen.facts(id.other), replica.channels.first?.sourceUUID == facts.uuid {
                try await restore(missing, on: id.other, replica)
            }
        }
        if missing == nil, let other = before.seen.facts(id.other), before.diagnosis.code != .stranger {
            throw AgentError(
                .refused, "trust: \(id.other) answers as well (\(other.uuid)): agents need nothing but to reach both")
        }
        let session = try await open(id, .after(.seconds(8)))
        defer { session.abort() }
        do {
            let taken = try await AgentLock.take(QuorumLocks.trust(configuration.cluster)) {
                sql, what async throws(MySQLError) in
                try await session.query(sql, purpose: what, deadline: .after(.seconds(5)))
            }
            guard taken else { throw AgentError(.refused, "somebody else asks for the same at this moment") }
            let names = try await atWork(on: id, session, .after(Self.trustTime))
            guard !names.isEmpty else {
                throw AgentError(
                    .timeout,
                    "trust: no agent has come to go by \(id) within \(DurationText.format(Self.trustTime)), see 'explain'"
                )
            }
            return "agents go by \(id) (\(facts.uuid)); at work there: " + names.joined(separator: ", ")
                + (missing.map { "; the record of epoch \($0.epoch) was put back" } ?? "")
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
    ) async throws(MySQLError) -> [String] {
        var names: [String] = []
        while !deadline.hasPassed, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            try await session.ping(deadline: .after(.seconds(5)))
            guard let quorum = await explain().status.seen.facts(id)?.quorum else { continue }
            names = quorum.seesPrimary.names(configuration.agents)
            if !names.isEmpty, quorum.here.subtracting(quorum.seesPrimary).isEmpty { break }
        }
        return names
    }

    /// How a request is carried out as things are.
    private func path(of request: OperatorRequest) async throws(AgentError) -> OperatorRequest.Path {
        let (status, conditions) = await explain()
        let path = request.path(.init(diagnosis: status.diagnosis, seen: status.seen, conditions: conditions))
        if case .refused(let why) = path { throw AgentError(.refused, why) }
        return path
    }

    /// A planned change waits for nobody's backup, and ends none: whoever asks for it can choose the hour.
    private func refuseBackup(on server: ServerID) async throws(AgentError) {
        let session = try await open(server, .after(.seconds(8)))
        defer { session.abort() }
        let holders: [Executor.Holder]
        do {
            holders = try await Executor.holders(.backup, session, deadline: .after(.seconds(5)))
        } catch {
            throw AgentError(.server(error), "see whether \(server) can be written to")
        }
        guard let holder = holders.first else { return }
        throw AgentError(
            .refused,
            "\(server) is held for a backup by \(holder.text): let it end, or KILL \(holder.id) there")
    }

    /// - Parameter new: the server that is the open primary when the request is met.
    private func ask(
        _ locks: [String], on server: ServerID, until new: ServerID, deadline: Deadline, _ failure: String
    ) async throws(AgentError) -> String {
        let session = try await open(server, deadline)
        defer { session.abort() }
        var taken = true
        do {
            for lock in locks where taken {
                taken = try await AgentLock.take(lock) { sql, what async throws(MySQLError) in
                    try await session.query(sql, purpose: what, deadline: .after(.seconds(5)))
                }
            }
        } catch {
            throw AgentError(.server(error), "ask the agents")
        }
        guard taken else { throw AgentError(.refused, "somebody else asks for the same at this moment") }
        while !deadline.hasPassed, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(250))
            do {
                try await session.ping(deadline: .after(.seconds(5)))
            } catch {
                throw AgentError(.server(error), "keep asking the agents")
            }
            let (now, _) = await explain(isPatient: false)
            if now.diagnosis.primary == new, let facts = now.seen.facts(new), !facts.readOnly {
                return "\(new) (\(configuration.servers[new])) is the primary"
            }
        }
        let last = await explain().status.diagnosis.summary
        throw AgentError(.timeout, "\(failure): \(last). The request is withdrawn")
    }

    func open(_ id: ServerID, _ deadline: Deadline) async throws(AgentError) -> MySQLConnection {
        do {
            return try await MySQLConnection.connect(
                configuration.connectionOptions(configuration.servers[id]), deadline: min(deadline, .after(.seconds(8)))
            )
        } catch {
            throw AgentError(.server(error), "connect to \(id)")
        }
    }

    // MARK: What replicates

    /// Holds automatic operations back, for a time or until `resume`.
    package func pause(for duration: Duration?) async throws(AgentError) -> String {
        let until = duration.map { "NOW(6) + INTERVAL \($0.milliseconds / 1000) SECOND" } ?? "NULL"
        try await note("REPLACE INTO repl_watchdog.control (name, value, until) VALUES ('pause', '1', \(until))")
        return "paused" + (duration.map { " for \(DurationText.format($0))" } ?? " until 'resume'")
    }

    /// A primary that was restarted meanwhile is closed, and takes no note: it is opened first.
    package func resume() async throws(AgentError) -> String {
        if case .askThenNote(let server) = try await path(of: .resume) {
            _ = try await ask(
                [QuorumLocks.resume(configuration.cluster)], on: server, until: server, deadline: .after(.seconds(60)),
                "the agents have not opened \(server)")
        }
        try await note("DELETE FROM repl_watchdog.control WHERE name = 'pause'")
        return "resumed"
    }

    /// Lifts the block period after the last failover.
    package func acknowledge() async throws(AgentError) -> String {
        let (status, _) = await explain()
        let epoch = ServerID.allCases.compactMap { status.seen.facts($0)?.promotion?.epoch }.max() ?? 0
        try await note("REPLACE INTO repl_watchdog.control (name, value) VALUES ('ack', '\(epoch)')")
        return "failovers up to epoch \(epoch) are acknowledged"
    }

    /// An ordinary write on the open primary, which replicates.
    private func note(_ sql: String) async throws(AgentError) {
        let (status, conditions) = await explain()
        let path = OperatorRequest.pause.path(
            .init(diagnosis: status.diagnosis, seen: status.seen, conditions: conditions))
        guard case .note = path, let primary = status.diagnosis.primary else {
            if case .refused(let why) = path { throw AgentError(.refused, why) }
            throw AgentError(.refused, "no primary takes writes")
        }
        let session = try await open(primary, .after(.seconds(8)))
        defer { session.abort() }
        do {
            for statement in LedgerSchema.createControl + [sql] {
                _ = try await session.query(statement, purpose: "note it", deadline: .after(.seconds(8)))
            }
        } catch {
            throw AgentError(.server(error), "note it on \(primary)")
        }
    }
}
