import MySQLWire

/// The state of things as a command sees it, which has no agent's memory of the last seconds.
extension Agent {
    /// Two looks with this host's eyes: the state, the conditions of a failover, what would be done next. Changes
    /// nothing.
    /// - Parameter isPatient: two seconds more where a switchover is asked for and may wait for a late replica.
    package func explain(
        isPatient: Bool = true
    ) async -> (status: StatusReport, conditions: [FailoverCondition]) {
        let rules = QuorumRules(configuration)
        var durable = DurableState()
        var forgotten: String?
        do {
            durable = try DurableStateFile(configuration).read()
        } catch {
            forgotten = error.message
        }
        let known = durable.under(ConfigurationDigest(configuration).own)
        var policy = QuorumPolicy(rules: rules, configuration: configuration, durable: known)
        let control = LocalRouter(configuration: configuration)
        let probe = ServerProbe(configuration, .quorum)
        let born = ContinuousClock.now
        var observation = TimedObservation(
            seen: Observation(a: .downSoft(""), b: .downSoft(""), router: .noAnswer("")), askedAt: 0, now: 0)
        var orders = Orders()
        for look in 0..<3 {
            if look > 0 {
                guard let pause = Self.pause(before: look, policy, observation, isPatient) else { break }
                try? await Task.sleep(for: pause)
            }
            let asked = born.duration(to: .now).milliseconds
            let deadline = Deadline.after(configuration.agent.probeTimeout)
            let members = Set(ServerID.allCases.compactMap { policy.durable.uuids[$0] })
            async let a = probe.look(
                configuration.connectionOptions(configuration.servers.a),
                .init(
                    member: known.uuids[.a] ?? "", members: members, lists: true, foreign: known.foreign),
                deadline: deadline)
            async let b = probe.look(
                configuration.connectionOptions(configuration.servers.b),
                .init(
                    member: known.uuids[.b] ?? "", members: members, lists: true, foreign: known.foreign),
                deadline: deadline)
            let router: RouterView
            do {
                router = .leadsTo(uuid: try await control.identity(deadline: deadline).lowercased())
            } catch {
                router = .noAnswer("\(error)")
            }
            let destinations = try? await control.currentDestinations()
            observation = await TimedObservation(
                seen: Observation(a: a, b: b, router: router, destinations: destinations), askedAt: asked,
                now: born.duration(to: .now).milliseconds)
            orders = policy.decide(observation, LocalStatus(agent: configuration.agent.name))
        }
        if let primary = policy.primary, observation.seen.facts(primary)?.readOnly == false {
            let hung = await hungWrites(on: primary)
            if hung > 0 { observation.stall = (primary, hung) }
        }
        var (diagnosis, conditions) = policy.explanation(observation)
        note(routerOf: observation, in: &diagnosis)
        await noteAbandoned(observation.seen, in: &diagnosis)
        if let forgotten { diagnosis.evidence.append("what this agent remembers is not known: \(forgotten)") }
        let ledger = observation.seen.activeLedger
        let status = StatusReport(
            state: diagnosis.state, exitStatus: diagnosis.exitStatus(underWay: ledger?.kind != nil),
            cluster: configuration.cluster, agent: configuration.agent.name, diagnosis: diagnosis,
            seen: observation.seen,
            ledger: ledger, addresses: configuration.servers, router: configuration.router.address.description,
            next: orders.step)
        return (status, conditions)
    }

    /// How long to wait before one more look; nil where none is needed.
    private static func pause(
        before look: Int, _ policy: QuorumPolicy, _ observation: TimedObservation, _ isPatient: Bool
    ) -> Duration? {
        // A server that refuses is asked twice before it counts as dead; and once more where what it has on record could
        // not be understood before both were known.
        let isUnclear = ServerID.allCases.contains {
            observation.seen.facts($0)?.quorum.map { $0.foreignRecord != .none } ?? true
        }
        if look == 1, isUnclear { return .milliseconds(150) }
        // Whether a replica is late takes as long to see as it may be late.
        guard isPatient, let primary = policy.primary,
            observation.seen.facts(primary.other)?.quorum?.switchoverAsked == true,
            (1...QuorumPolicy.closeBehind).contains(policy.applyLag.milliseconds(at: observation.now + 1))
        else { return nil }
        return .milliseconds(QuorumPolicy.closeBehind + 100)
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
    private func note(routerOf observation: TimedObservation, in diagnosis: inout Diagnosis) {
        guard let primary = diagnosis.primary, let facts = observation.seen.facts(primary), !facts.readOnly else {
            return
        }
        switch observation.seen.router {
        case .leadsTo(let uuid) where uuid == facts.uuid: return
        case .leadsTo(let uuid):
            let name = observation.seen.server(uuid: uuid).map { "\($0)" } ?? uuid
            diagnosis.routerProblem = "this host's router leads to \(name), not to \(primary)"
        case .noAnswer(let why): diagnosis.routerProblem = "this host's router does not answer: \(why)"
        }
        diagnosis.evidence += diagnosis.routerProblem.map { [$0] } ?? []
    }
}
