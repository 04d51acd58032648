import ArgumentParser
import Glibc
import Logging
import MySQLWire
import Watchdog

@main
struct ReplWatchdog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repl-watchdog",
        abstract: "Watches two MySQL servers and keeps the local mysqlrouter on the right one.",
        discussion: """
            Without a subcommand: one pass, as started by cron, after a random wait of 0 to 297 s.

            Exit status: 0 ok, 1 warning or operation under way, 2 critical or ambiguous, 3 own fault, 64 usage, \
            78 configuration.
            """,
        version: version,
        subcommands: [
            RunCommand.self, StatusCommand.self, CheckCommand.self, ExplainCommand.self, QueryCommand.self,
            ProbeCommand.self, DumpCommand.self, ImportCommand.self, CopyCommand.self, VerifyCommand.self,
            ConfigCommand.self, SwitchoverCommand.self, FailoverCommand.self, TrustCommand.self, PauseCommand.self,
            ResumeCommand.self,
            AckCommand.self,
        ])

    static let version = PackageVersion.current

    @OptionGroup var common: CommonOptions

    @Flag(help: "Make the pass at once, without the random wait.")
    var now = false

    func run() async throws {
        // A reader that goes away ends a write with EPIPE, not the process.
        signal(SIGPIPE, SIG_IGN)
        let configuration = try common.configuration()
        let logger = try common.logger()
        let pass = AgentService { agent throws(AgentError) in
            if !now {
                var generator = SystemRandomNumberGenerator()
                let wait = CronWait.pick(using: &generator)
                logger.log(.passWaiting, ["wait": "\(DurationText.format(wait))"])
                do {
                    try await Task.sleep(for: wait)
                } catch {
                    return ExitStatus.ok
                }
            }
            let report = try await agent.runOnce()
            logger.log(
                report.exitStatus == 0 ? .passEnded : .passEndedBadly,
                ["state": "\(report.state)", "summary": "\(report.summary)"])
            return report.exitStatus
        }
        try await pass.runUntilSignal(Agent(configuration: configuration, logger: logger), logger: logger)
    }
}
