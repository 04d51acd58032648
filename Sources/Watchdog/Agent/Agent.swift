import Logging
import MySQLWire

/// The agent of one host.
public struct Agent: Sendable {
    let configuration: Configuration
    let logger: Logger

    public init(configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
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

    /// Watches until the task is cancelled.
    public func run() async throws(AgentError) {
        try WorkingDirectory(path: configuration.workingDirectory).checkExists()
        let lock = try HostLock.take(directory: configuration.workingDirectory, cluster: configuration.cluster)
        defer { withExtendedLifetime(lock) {} }
        let metadata: Logger.Metadata = [
            "cluster": "\(configuration.cluster)", "agent": "\(configuration.agent.name)",
            "initiative": "\(configuration.initiative.rawValue)",
        ]
        switch configuration.initiative {
        case .router:
            let rounds = Rounds(configuration: configuration, logger: logger)
            logger.notice("watching", metadata: metadata)
            await rounds.untilCancelled()
            await rounds.leave()
        case .agents:
            let council = try Council(configuration: configuration, logger: logger)
            logger.notice("watching", metadata: metadata)
            await council.untilCancelled()
        }
        logger.notice("stopped")
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
