import ArgumentParser
import Glibc
import UnixSignals
import Watchdog

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Watch as a daemon, in the foreground, until SIGTERM or SIGINT.",
        discussion: """
            SIGHUP: reads the configuration and the password files again. One that is wrong changes nothing, and the \
            log says why.
            """)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let (path, password) = (common.config, Configuration.environmentPassword)
        let configuration = try common.configuration()
        let logger = try common.logger()
        let reload = Reload { () throws(ConfigurationError) in try Configuration.load(path, password: password) }
        let listening = Task { for await _ in hangups { reload.ask() } }
        defer { listening.cancel() }
        let daemon = AgentService { agent throws(AgentError) in
            try await agent.run(reload)
            return ExitStatus.ok
        }
        try await daemon.runUntilSignal(Agent(configuration: configuration, logger: logger), logger: logger)
    }
}
