import ArgumentParser
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals
import Watchdog

/// Runs the agent until it ends or SIGTERM or SIGINT asks it to; the work is cancelled then, ends its step and gives
/// its locks back. The process ends with the work's exit status.
struct AgentService: Sendable {
    let work: @Sendable (Agent) async throws(AgentError) -> Int32

    init(_ work: @escaping @Sendable (Agent) async throws(AgentError) -> Int32) { self.work = work }

    func runUntilSignal(_ agent: Agent, logger: Logger) async throws {
        let body = Body(agent: agent, work: work, logger: logger)
        // The group's own remarks are of no use to an operator.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .error)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(
                        service: body, successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .gracefullyShutdownGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
        throw ExitCode(body.status.withLock { $0 })
    }

    private final class Body: Service {
        let agent: Agent
        let work: @Sendable (Agent) async throws(AgentError) -> Int32
        let logger: Logger
        let status = Mutex(ExitStatus.unknown)

        init(
            agent: Agent, work: @escaping @Sendable (Agent) async throws(AgentError) -> Int32, logger: Logger
        ) {
            self.agent = agent
            self.work = work
            self.logger = logger
        }

        func run() async throws {
            let ended = await cancelWhenGracefulShutdown { () async -> Int32 in
                do throws(AgentError) {
                    return try await self.work(self.agent)
                } catch {
                    self.logger.log(.failed, ["error": "\(error)"])
                    return error.exitStatus
                }
            }
            status.withLock { $0 = ended }
        }
    }
}
