import Logging
import MySQLWire

/// What operators ask of the agents. Requests that concern one moment are locks which last as long as the operator
/// waits; what must outlive a server is a row that replicates.
extension Agent {
    /// How long the routers are given to turn once the new primary is open: a restart of mysqlrouter takes some seconds.
    private static let routerTime = Duration.seconds(20)

    /// Asks the agents to make the replica the primary, and waits until they have, or until the deadline; then for the
    /// routers.
    package func switchover(deadline: Deadline) async throws(AgentError) -> OperatorAnswer {
        let target = try await path(of: .switchover)
        guard case .ask(let server) = target else { throw AgentError(.refused, "switchover: \(target)") }
        try await refuseBackup(on: server)
        let done = try await ask(
            [QuorumLocks.switchover(configuration.cluster)], on: server, until: server, deadline: deadline,
            "the agents have not made \(server) the primary")
        return await turnedRouters(to: server).answer(done)
    }

    /// Waits until the routers have turned to a server that has been made the primary, or are known not to.
    private func turnedRouters(to new: ServerID) async -> TurnedRouters {
        var routers = TurnedRouters(agents: configuration.agents, own: configuration.agent.name, new: new)
        let (born, deadline) = (ContinuousClock.now, Deadline.after(Self.routerTime))
        var opened: Int64 { born.duration(to: .now).milliseconds }
        repeat {
            routers.look(await explain(isPatient: false).status.seen, opened: opened)
            if routers.isSettled(opened: opened) { break }
            try? await Task.sleep(for: .milliseconds(150))
        } while !deadline.hasPassed && !Task.isCancelled
        return routers
    }

    /// Lets the agents promote the replica of a lost primary in spite of a pause or a block period, and on demand with
    /// loss; waits until they have.
    package func failover(acceptLoss: Bool, deadline: Deadline) async throws(AgentError) -> String {
        let target = try await path(of: .failover)
        guard case .ask(let server) = target else { throw AgentError(.refused, "failover: \(target)") }
        var locks = [QuorumLocks.failover(configuration.cluster)]
        if acceptLoss { locks.append(QuorumLocks.loss(configuration.cluster)) }
        return try await ask(
            locks, on: server, until: server, deadline: deadline, "the agents have not promoted \(server)"
        ) { status, conditions in
            let missing = conditions.filter { !$0.holds }.map { "\($0.code.rawValue): \($0.text)" }
            return missing.isEmpty ? status.diagnosis.summary : missing.joined(separator: "; ")
        }
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
        _ locks: [String], on server: ServerID, until new: ServerID, deadline: Deadline, _ failure: String,
        why: (StatusReport, [FailoverCondition]) -> String = { status, _ in status.diagnosis.summary }
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
        let (status, conditions) = await explain()
        throw AgentError(.timeout, "\(failure): \(why(status, conditions)). The request is withdrawn")
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
