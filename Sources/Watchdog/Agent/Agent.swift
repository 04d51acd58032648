import Logging
import MySQLWire

/// The agent of one host.
public struct Agent: Sendable {
    let configuration: Configuration
    let logger: Logger

    public init(configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        for (name, source) in [
            ("credentials", configuration.credentials.source), ("replication", configuration.replication.source),
        ] {
            source.report { file, problem in
                let metadata: Logger.Metadata = ["account": "\(name)", "file": "\(file)"]
                guard let problem else { return logger.notice("the password file has changed", metadata: metadata) }
                logger.error(
                    "the password file is of no use, the password before stays",
                    metadata: metadata.merging(["why": "\(problem)"]) { $1 })
            }
        }
    }

    /// One pass: looks, does what is to be done until nothing is left, and reports. Bounded by the operation timeout.
    public func runOnce() async throws(AgentError) -> PassReport {
        guard configuration.initiative == .router else {
            throw AgentError(
                .configuration,
                "initiative = \"agents\" needs agents that watch all the time: run the daemon (repl-watchdog run), or set "
                    + "initiative = \"router\" for single passes")
        }
        try WorkingDirectory(path: configuration.workingDirectory).checkExists()
        let lock = try HostLock.take(directory: configuration.workingDirectory, cluster: configuration.cluster)
        defer { withExtendedLifetime(lock) {} }
        let rounds = Rounds(configuration: configuration, logger: logger)
        let deadline = Deadline.after(configuration.safety.operationTimeout)
        let result: Result<PassReport, AgentError>
        do {
            result = .success(try await rounds.untilSettled(deadline: deadline))
        } catch {
            result = .failure(error)
        }
        await rounds.leave()
        return try result.get()
    }

    /// Looks once and says what it sees and what it would do. Takes no lock, changes nothing.
    public func status() async -> StatusReport {
        if configuration.initiative == .agents { return await explain().status }
        let seen = await Observer(configuration: configuration, router: RouterControl(configuration: configuration))
            .look()
        let diagnosis = Diagnose(configuration)(seen)
        let decide = Decide(configuration)
        let memory = Memory(directory: configuration.workingDirectory)
        let ledger = decide.activeLedger(seen)
        let step = decide(seen, diagnosis, Standing(agent: configuration.agent.name, epoch: memory.epoch))
        let underWay = ledger?.kind != nil
        return StatusReport(
            state: diagnosis.state, exitStatus: underWay ? 1 : diagnosis.exitStatus, cluster: configuration.cluster,
            agent: configuration.agent.name, diagnosis: diagnosis, seen: seen, ledger: ledger,
            addresses: configuration.servers, router: configuration.router.address.description, next: step.description)
    }
}
