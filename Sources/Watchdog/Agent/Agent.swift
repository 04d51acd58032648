import Logging
import MySQLWire

/// The agent of one host.
package struct Agent: Sendable {
    let configuration: Configuration
    let logger: Logger

    package init(configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        for (name, source) in [
            ("credentials", configuration.credentials.source), ("replication", configuration.replication.source),
        ] {
            source.report { file, problem in
                let metadata: Logger.Metadata = ["account": "\(name)", "file": "\(file)"]
                guard let problem else { return logger.log(.passwordRead, metadata) }
                logger.log(.passwordRefused, metadata.merging(["why": "\(problem)"]) { $1 })
            }
        }
    }

    /// One pass: looks, does what is to be done until nothing is left, and reports. Bounded by the operation timeout.
    package func runOnce() async throws(AgentError) -> PassReport {
        guard configuration.mode == .routerLed else {
            throw AgentError(
                .configuration,
                "mode = \"quorum\" needs agents that watch all the time: run the daemon (repl-watchdog run), or set "
                    + "mode = \"router-led\" for single passes")
        }
        try WorkingDirectory(path: configuration.workingDirectory).checkExists()
        let lock = try HostLock.take(directory: configuration.workingDirectory, cluster: configuration.cluster)
        defer { withExtendedLifetime(lock) {} }
        let loop = try RouterLedLoop(configuration: configuration, logger: logger)
        let deadline = Deadline.after(configuration.safety.operationTimeout)
        let result: Result<PassReport, AgentError>
        do {
            result = .success(try await loop.untilAtRest(deadline: deadline))
        } catch {
            result = .failure(error)
        }
        await loop.leave()
        return try result.get()
    }

    /// Looks once and says what it sees and what it would do. Takes no lock, changes nothing.
    package func status() async -> StatusReport {
        if configuration.mode == .quorum { return await explain().status }
        let seen = await Observer(configuration: configuration, router: LocalRouter(configuration: configuration))
            .look()
        var diagnosis = Diagnoser(configuration).diagnose(seen)
        if let primary = diagnosis.primary, let facts = seen.facts(primary), let other = seen.facts(primary.other) {
            diagnosis.note(UnmetPrecondition.all(primary: primary, facts, replica: other, lossAllowed: true))
        }
        await noteAbandoned(seen, in: &diagnosis)
        let policy = RouterLedPolicy(configuration)
        var epoch: UInt64 = 0
        do throws(AgentError) {
            epoch = try FollowedEpoch(configuration).epoch
        } catch {
            diagnosis.evidence.append("what this agent remembers is not known: \(error.message)")
        }
        let ledger = seen.activeLedger
        let step = policy.nextStep(seen, diagnosis, LocalStatus(agent: configuration.agent.name, epoch: epoch))
        let underWay = ledger?.kind != nil
        return StatusReport(
            state: diagnosis.state, exitStatus: diagnosis.exitStatus(underWay: underWay),
            cluster: configuration.cluster, agent: configuration.agent.name, diagnosis: diagnosis, seen: seen,
            ledger: ledger,
            addresses: configuration.servers, router: configuration.router.address.description, next: step)
    }
}
