import ArgumentParser
import Glibc
import Logging
import Watchdog

extension EventLog.Format: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Where the log goes.
enum LogTarget: String, CaseIterable, ExpressibleByArgument { case stderr, syslog, journald }

/// What every command that works with a configuration takes.
struct CommonOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("The configuration.", valueName: "file"))
    var config = Configuration.defaultPath

    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel = Logger.Level.info

    @Option(help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat = EventLog.Format.text

    @Option(help: ArgumentHelp("stderr; syslog and journald are not built yet.", valueName: "target"))
    var logTarget = LogTarget.stderr

    func validate() throws {
        guard logTarget == .stderr else {
            throw ValidationError(
                "--log-target \(logTarget.rawValue) is not built yet; under systemd, standard error goes to the journal"
            )
        }
    }

    /// The configuration, where there is one without a mistake in it.
    func quietConfiguration() -> Configuration? { try? Configuration.load(config) }

    /// The configuration, checked; a mistake in it ends the process with status 78.
    func configuration() throws -> Configuration {
        do throws(ConfigurationError) {
            let configuration = try Configuration.load(config)
            // Nobody who looks at this process or its children later needs to find it.
            unsetenv(Configuration.passwordVariable)
            return configuration
        } catch {
            Output.complain(error.description)
            throw ExitCode(ConfigurationError.exitStatus)
        }
    }

    /// A configuration for what only quorum mode has.
    func quorumConfiguration() throws -> Configuration {
        let configuration = try configuration()
        guard configuration.mode == .quorum else {
            Output.complain("\(config): this needs mode = \"quorum\"")
            throw ExitCode(ConfigurationError.exitStatus)
        }
        return configuration
    }

    func logger() throws -> Logger {
        let handler = EventLog(level: logLevel, format: logFormat)
        return Logger(label: "repl-watchdog") { _ in handler }
    }
}
