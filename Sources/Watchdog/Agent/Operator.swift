import Logging
import MySQLWire

/// What operators ask of the agents. Requests that concern one moment are locks which last as long as the operator
/// waits; what must outlive a server is a row that replicates.
extension Agent {
    /// Two looks with this host's eyes: the state, the conditions of a failover, what would be done next. Changes
    /// nothing.
    public func explain() async -> (status: StatusReport, gates: [Gate]) {
        let rules = QuorumRules(configuration)
        var kept = Kept()
        var forgotten: String?
        do {
            kept = try KeptFile(directory: configuration.workingDirectory).read()
        } catch {
            forgotten = error.message
        }
        let known = kept.under(ConfigurationDigest(configuration).own)
        var govern = Govern(rules: rules, configuration: configuration, kept: known)
        let control = RouterControl(configuration: configuration)
        let probe = QuorumProbe(configuration)
        let born = ContinuousClock.now
        var sight = Sight(
            seen: Observation(a: .downSoft(""), b: .downSoft(""), router: .noAnswer("")), askedAt: 0, now: 0)
        var orders = Orders()
        for look in 0..<2 {
            // A server that refuses is asked twice before it counts as dead.
            if look == 1 {
                guard ServerID.allCases.contains(where: { sight.seen.facts($0) == nil }) else { break }
                try? await Task.sleep(for: .milliseconds(150))
            }
            let asked = born.duration(to: .now).milliseconds
            let deadline = Deadline.after(configuration.agent.probeTimeout)
            async let a = probe.look(
                configuration.connectionOptions(configuration.servers.a),
                .init(member: known.uuids[.a] ?? "", lists: true, foreign: known.foreign), deadline: deadline)
            async let b = probe.look(
                configuration.connectionOptions(configuration.servers.b),
                .init(member: known.uuids[.b] ?? "", lists: true, foreign: known.foreign), deadline: deadline)
            let router: RouterView
            do {
                router = .leadsTo(uuid: try await control.identity(deadline: deadline).lowercased())
            } catch {
                router = .noAnswer("\(error)")
            }
            let destinations = try? await control.currentDestinations()
            sight = await Sight(
                seen: Observation(a: a, b: b, router: router, destinations: destinations), askedAt: asked,
                now: born.duration(to: .now).milliseconds)
            orders = govern(sight, Standing(agent: configuration.agent.name))
        }
        if let primary = govern.primary, sight.seen.facts(primary)?.readOnly == false {
            let hung = await hungWrites(on: primary)
            if hung > 0 { sight.stall = (primary, hung) }
        }
        var (diagnosis, gates) = govern.explanation(sight)
        note(routerOf: sight, in: &diagnosis)
        if let forgotten { diagnosis.evidence.append("what this agent remembers is not known: \(forgotten)") }
        let ledger = sight.seen.activeLedger
        let status = StatusReport(
            state: diagnosis.state, exitStatus: ledger?.kind != nil ? 1 : diagnosis.exitStatus,
            cluster: configuration.cluster, agent: configuration.agent.name, diagnosis: diagnosis, seen: sight.seen,
            ledger: ledger, addresses: configuration.servers, router: configuration.router.address.description,
            next: orders.step.description)
        return (status, gates)
    }

    /// For how many milliseconds the longest of the writes that hang there has hung.
    private func hungWrites(on id: ServerID) async -> Int64 {
        let deadline = Deadline.after(configuration.agent.probeTimeout)
        do throws(MySQLError) {
            let connection = try await MySQLConnection.connect(
                configuration.connectionOptions(configuration.servers[id]), deadline: deadline)
            defer { connection.abort() }
            return try await StuckCommits.find(connection, deadline: deadline).longest
        } catch {
            // Whether it answers at all is the look's business.
            return 0
        }
    }

    /// An open primary that this host's applications do not reach.
    private func note(routerOf sight: Sight, in diagnosis: inout Diagnosis) {
        guard let primary = diagnosis.primary, let facts = sight.seen.facts(primary), !facts.readOnly else { return }
        switch sight.seen.router {
        case .leadsTo(let uuid) where uuid == facts.uuid: return
        case .leadsTo(let uuid):
            let name = sight.seen.server(uuid: uuid).map { "\($0)" } ?? uuid
            diagnosis.routerProblem = "this host's router leads to \(name), not to \(primary)"
        case .noAnswer(let why): diagnosis.routerProblem = "this host's router does not answer: \(why)"
        }
        diagnosis.evidence += diagnosis.routerProblem.map { [$0] } ?? []
    }

    /// Asks the agents to make the replica the primary, and waits until they have, or until the deadline.
    public func switchover(deadline: Deadline) async throws(AgentError) -> String {
        let (before, _) = await explain()
        guard let primary = before.diagnosis.primary, before.seen.facts(primary) != nil else {
            throw AgentError(.refused, "there is no primary that answers: \(before.diagnosis.summary)")
        }
        return try await ask(
            [QuorumLocks.switchover(configuration.cluster)], on: primary.other, deadline: deadline,
            "the agents have not made \(primary.other) the primary")
    }

    /// Lets the agents promote the replica of a lost primary in spite of a pause or a block period, and on demand with
    /// loss; waits until they have.
    public func failover(acceptLoss: Bool, deadline: Deadline) async throws(AgentError) -> String {
        let (before, gates) = await explain()
        guard let primary = before.diagnosis.primary else {
            throw AgentError(.refused, "the primary is not known: \(before.diagnosis.summary)")
        }
        guard gates.first(where: { $0.name == "lost" })?.holds == true else {
            throw AgentError(
                .refused, "\(primary) is not lost: \(before.diagnosis.summary). For a planned change: switchover")
        }
        var locks = [QuorumLocks.failover(configuration.cluster)]
        if acceptLoss { locks.append(QuorumLocks.loss(configuration.cluster)) }
        return try await ask(
            locks, on: primary.other, deadline: deadline, "the agents have not promoted \(primary.other)")
    }

    private func ask(
        _ locks: [String], on server: ServerID, deadline: Deadline, _ failure: String
    ) async throws(AgentError) -> String {
        let session = try await open(server, deadline)
        defer { session.abort() }
        let sql = "SELECT " + locks.map { "GET_LOCK(\(SQLText.literal($0)), 0)" }.joined(separator: " AND ")
        let taken: Bool
        do {
            taken =
                try await session.query(sql, purpose: "ask the agents", deadline: .after(.seconds(5))).rows.first?.int(
                    0)
                == 1
        } catch {
            throw AgentError(.server(error), "ask the agents")
        }
        guard taken else { throw AgentError(.refused, "somebody else asks for the same at this moment") }
        var last = ""
        while !deadline.hasPassed, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(250))
            do {
                try await session.ping(deadline: .after(.seconds(5)))
            } catch {
                throw AgentError(.server(error), "keep asking the agents")
            }
            let (now, _) = await explain()
            last = now.diagnosis.summary
            if now.diagnosis.primary == server, let facts = now.seen.facts(server), !facts.readOnly {
                return "\(server) (\(configuration.servers[server])) is the primary"
            }
        }
        throw AgentError(.timeout, "\(failure): \(last). The request is withdrawn")
    }

    private func open(_ id: ServerID, _ deadline: Deadline) async throws(AgentError) -> MySQLConnection {
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
    public func pause(for duration: Duration?) async throws(AgentError) -> String {
        let until = duration.map { "NOW(6) + INTERVAL \($0.milliseconds / 1000) SECOND" } ?? "NULL"
        try await note("REPLACE INTO repl_watchdog.control (name, value, until) VALUES ('pause', '1', \(until))")
        return "paused" + (duration.map { " for \(DurationText.format($0))" } ?? " until 'resume'")
    }

    public func resume() async throws(AgentError) -> String {
        try await note("DELETE FROM repl_watchdog.control WHERE name = 'pause'")
        return "resumed"
    }

    /// Lifts the block period after the last failover.
    public func acknowledge() async throws(AgentError) -> String {
        let (status, _) = await explain()
        let epoch = ServerID.allCases.compactMap { status.seen.facts($0)?.promotion?.epoch }.max() ?? 0
        try await note("REPLACE INTO repl_watchdog.control (name, value) VALUES ('ack', '\(epoch)')")
        return "failovers up to epoch \(epoch) are acknowledged"
    }

    /// An ordinary write on the open primary, which replicates.
    private func note(_ sql: String) async throws(AgentError) {
        let (status, _) = await explain()
        guard let primary = status.diagnosis.primary, let facts = status.seen.facts(primary), !facts.readOnly else {
            throw AgentError(
                .refused,
                "no primary takes writes, and the note must replicate; a lost primary is replaced in spite of a pause or a "
                    + "block period by 'failover': \(status.diagnosis.summary)")
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
