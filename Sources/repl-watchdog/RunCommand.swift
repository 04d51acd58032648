import ArgumentParser
import Glibc
import Watchdog

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Watch as a daemon, in the foreground, until SIGTERM or SIGINT.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let configuration = try common.configuration()
        let logger = try common.logger()
        let daemon = AgentService { agent throws(AgentError) in
            try await agent.run()
            return ExitStatus.ok
        }
        try await daemon.runUntilSignal(Agent(configuration: configuration, logger: logger), logger: logger)
    }
}
