import ArgumentParser
import Glibc
import MySQLWire
import Watchdog

extension ServerAddress: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension TLSMode: ExpressibleByArgument {}

extension ServerID: ExpressibleByArgument {}

extension Duration: @retroactive ExpressibleByArgument {
    public init?(argument: String) {
        guard let duration = DurationText.parse(argument), duration > .zero else { return nil }
        self = duration
    }
    public var defaultValueDescription: String { DurationText.format(self) }
}

/// Which account a command uses on a server: the one given with --user, or the configuration's.
struct ServerOptions: ParsableArguments {
    @OptionGroup var common: CommonOptions

    @Option(name: .shortAndLong, help: "The account; no configuration is read then.")
    var user: String?

    @Option(
        help: ArgumentHelp(
            "With --user: a file that holds the password; otherwise $REPL_WATCHDOG_PASSWORD, otherwise none.",
            valueName: "file"))
    var passwordFile: String?

    @Option(help: "With --user: disabled, preferred, required, verify-ca or verify-identity.")
    var tls = TLSMode.preferred

    @Option(help: ArgumentHelp("With --user: the authorities that are trusted.", valueName: "file"))
    var caFile: String?

    func validate() throws {
        if user == nil, passwordFile != nil || caFile != nil || tls != .preferred {
            throw ValidationError("--password-file, --tls and --ca-file go with --user")
        }
        if user?.isEmpty == true { throw ValidationError("--user must not be empty") }
    }

    /// The cluster's servers, where there is a configuration: also where another account is given.
    func servers() -> Configuration.Servers? { common.quietConfiguration()?.servers }

    func options(_ address: ServerAddress) throws -> ConnectionOptions {
        guard let user else {
            do {
                var options = try common.configuration().connectionOptions(address)
                options.programVersion = ReplWatchdog.version
                // A person asks what a client of theirs would be told.
                options.sessionSettings = nil
                return options
            } catch {
                Output.complain("give --user to do without a configuration")
                throw error
            }
        }
        var password = Secret("")
        if let passwordFile {
            do throws(ConfigurationError) {
                password = try Configuration.readPasswordFile(passwordFile)
            } catch {
                Output.complain(error.description)
                throw ExitCode(ExitStatus.configuration)
            }
        } else if let value = getenv(Configuration.passwordVariable) {
            password = Secret(String(cString: value))
            unsetenv(Configuration.passwordVariable)
        }
        var options = ConnectionOptions(address: address, user: user, password: password)
        options.tls = tls
        options.tlsCAFile = caFile
        options.programName = "repl-watchdog"
        options.programVersion = ReplWatchdog.version
        return options
    }
}
