import ArgumentParser
import Glibc
import Watchdog

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Configuration, servers, accounts, router, this host: what is wrong, and the line that mends it.",
        discussion: "Changes nothing. Ends with 0 where all is well, 1 after warnings, 2 after something critical.")

    @OptionGroup var common: CommonOptions

    @Flag(help: "One JSON document.")
    var json = false

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let agent = Agent(configuration: try common.configuration(), logger: try common.logger())
        let report = await agent.check()
        try Output.line(json ? report.json() : report.text())
        throw ExitCode(report.exitStatus)
    }
}
