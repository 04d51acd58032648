import ArgumentParser
import Glibc
import Watchdog

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "What is seen, which state it is, and why. Changes nothing.")

    @OptionGroup var common: CommonOptions

    @Flag(help: "One JSON document.")
    var json = false

    @Flag(help: "Look again at every interval of the configuration, until interrupted.")
    var watch = false

    func validate() throws {
        if json && watch { throw ValidationError("--json prints one document; it cannot go with --watch") }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let configuration = try common.configuration()
        let agent = Agent(configuration: configuration, logger: try common.logger())
        while true {
            let report = await agent.status()
            if !watch {
                try Output.line(json ? report.json() : report.text())
                throw ExitCode(report.exitStatus)
            }
            // On a terminal each look replaces the one before.
            let top = isatty(STDOUT_FILENO) == 1 ? "\u{1B}[H\u{1B}[2J" : ""
            try Output.write(Array(top.utf8))
            try Output.line("\(Timestamp.now())\n\(report.text())")
            try await Task.sleep(for: configuration.agent.interval)
        }
    }
}
