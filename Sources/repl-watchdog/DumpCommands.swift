import ArgumentParser
import Glibc
import MySQLDump
import MySQLWire
import Watchdog

/// The schemas a dump leaves out beside MySQL's own: the agents' ledger belongs to one moment of one server.
private func dumpOptions(quiet: Bool) -> DumpOptions {
    var options = DumpOptions()
    options.excludedSchemas = ["ongoing_failover"]
    if !quiet, isatty(STDERR_FILENO) == 1 {
        options.progress = { progress in
            EventLog.writeToStandardError(
                "\r\u{1B}[K\(progress.table): \(progress.rows) rows, \(progress.bytes >> 20) MiB")
        }
    }
    return options
}

/// Runs one of the dump's functions; prints its report, or says why it failed.
private func finish(json: Bool, _ work: () async throws(DumpError) -> DumpReport) async throws {
    do throws(DumpError) {
        let report = try await work()
        if isatty(STDERR_FILENO) == 1 { EventLog.writeToStandardError("\r\u{1B}[K") }
        try? printReport(report, json: json)
    } catch {
        Output.complain("\(error)")
        throw ExitCode(ExitStatus.of(error))
    }
}

private func printReport(_ report: DumpReport, json: Bool) throws {
    if json {
        let tables = report.tables.map { table in
            JSON.object([
                ("schema", .string(table.schema)), ("table", .string(table.name)),
                ("rows", .number(Int64(clamping: table.rows))),
            ])
        }
        try Output.line(
            JSON.object([
                ("gtid_executed", .string(report.gtidExecuted)), ("rows", .number(Int64(clamping: report.rows))),
                ("bytes", .number(Int64(clamping: report.bytes))), ("tables", .array(tables)),
                ("warnings", .array(report.warnings.map { .string($0) })),
            ]).description)
        return
    }
    try Output.line("\(report.tables.count) tables, \(report.rows) rows, \(report.bytes) bytes of SQL")
    try Output.line("gtid_executed: \(report.gtidExecuted)")
    for warning in report.warnings { Output.complain("warning: \(warning)") }
}

struct DumpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump", abstract: "Dump a server to a verified .sql.gz in one consistent snapshot.")

    @OptionGroup var server: ServerOptions

    @Argument(help: ArgumentHelp("host:port, or the path of a socket.", valueName: "host:port"))
    var address: ServerAddress

    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write; it must not exist.", valueName: "file"))
    var output: String

    @Option(help: "The longest time for all of it.")
    var timeout: Duration = .seconds(6 * 3600)

    @Flag(help: "Print the report as one JSON document.")
    var json = false

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        guard access(output, F_OK) != 0 else {
            Output.complain("\(output) exists already; a dump is never written over")
            throw ExitCode(ExitStatus.usage)
        }
        let source = try server.options(address)
        try await finish(json: json) { () async throws(DumpError) in
            try await MySQLDump.dump(
                from: source, to: output, options: dumpOptions(quiet: json), deadline: .after(timeout))
        }
    }
}

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Replace everything on a server by the contents of a dump.",
        discussion: "All schemas of the target and its GTID history are wiped. A damaged dump is refused before that.")

    @OptionGroup var server: ServerOptions

    @Argument(help: ArgumentHelp("host:port, or the path of a socket.", valueName: "host:port"))
    var address: ServerAddress

    @Argument(help: ArgumentHelp("A file that dump wrote.", valueName: "file"))
    var file: String

    @Flag(help: "Yes, wipe that server.")
    var yes = false

    @Option(help: "The longest time for all of it.")
    var timeout: Duration = .seconds(6 * 3600)

    @Flag(help: "Print the report as one JSON document.")
    var json = false

    func validate() throws {
        if !yes {
            throw ValidationError("this wipes every schema on \(address); say --yes if that is what you want")
        }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let target = try server.options(address)
        try await finish(json: json) { () async throws(DumpError) in
            try await MySQLDump.importFile(
                file, into: target, options: dumpOptions(quiet: json), deadline: .after(timeout))
        }
    }
}

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read a dump from its first to its last byte.")

    @Argument(help: ArgumentHelp("A file that dump wrote.", valueName: "file"))
    var file: String

    @Flag(help: "Print the report as one JSON document.")
    var json = false

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        try await finish(json: json) { () async throws(DumpError) in try await MySQLDump.verify(file) }
    }
}
