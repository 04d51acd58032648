import ArgumentParser
import Glibc
import MySQLDump
import MySQLWire
import Watchdog

/// Runs one of the dump's functions; prints its report, or says why it failed.
private func finish(
    _ verb: String, json: Bool, _ work: (DumpOptions) async throws(DumpError) -> DumpReport
) async throws {
    let printer = DumpProgressPrinter.forProcess(verb, json: json)
    var options = DumpOptions()
    // The agents' ledger belongs to one moment of one server.
    options.excludedSchemas = ["ongoing_failover"]
    options.progress = { printer.tell($0) }
    let report: DumpReport
    do throws(DumpError) {
        report = try await work(options)
    } catch {
        printer.end()
        Output.complain("\(error)")
        throw ExitCode(ExitStatus.of(error))
    }
    printer.end()
    try? printReport(report, json: json)
    if !report.omissions.isEmpty { throw ExitCode(ExitStatus.warning) }
}

private func refuseToOverwrite(_ path: String) throws {
    for path in [path, path + ".json"] where access(path, F_OK) == 0 {
        Output.complain("\(path) exists already; a dump is never written over")
        throw ExitCode(ExitStatus.usage)
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
                ("omissions", .array(report.omissions.map { .string($0) })),
                ("file", report.file.map { .string($0) } ?? .null),
            ]).description)
        return
    }
    try Output.line("\(report.tables.count) tables, \(report.rows) rows, \(report.bytes) bytes of SQL")
    try Output.line("gtid_executed: \(report.gtidExecuted)")
    for warning in report.warnings {
        Output.complain(report.omissions.contains(warning) ? "left out: \(warning)" : "warning: \(warning)")
    }
}

struct DumpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump", abstract: "Dump a server to a verified .sql.gz in one consistent snapshot.")

    @OptionGroup var server: ServerOptions

    @Argument(help: ArgumentHelp("host:port, or the path of a socket.", valueName: "host:port"))
    var address: ServerAddress

    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write; it must not exist.", valueName: "file"))
    var output: String

    @Option(
        help: ArgumentHelp("Sessions that read rows side by side, 1 to 32; default: one for each core.", valueName: "n")
    )
    var readers: Int?

    @Option(help: "The longest time for all of it.")
    var timeout: Duration = .seconds(6 * 3600)

    @Flag(help: "Print the report as one JSON document, and progress as JSON lines on standard error.")
    var json = false

    func validate() throws {
        if let readers, !(1...32).contains(readers) { throw ValidationError("--readers must be 1 to 32") }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        try refuseToOverwrite(output)
        let source = try server.options(address)
        try await finish("dump", json: json) { options async throws(DumpError) in
            var options = options
            if let readers { options.readers = readers }
            return try await MySQLDump.dump(from: source, to: output, options: options, deadline: .after(timeout))
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

    @OptionGroup var leave: TargetOptions

    @Option(help: "The longest time for all of it.")
    var timeout: Duration = .seconds(6 * 3600)

    @Flag(help: "Print the report as one JSON document.")
    var json = false

    func validate() throws { try leave.check(address) }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let target = try server.options(address)
        try await leave.look(target, server.servers())
        try await finish("import", json: json) { options async throws(DumpError) in
            try await MySQLDump.importFile(file, into: target, options: options, deadline: .after(timeout))
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
        try await finish("verify", json: json) { _ async throws(DumpError) in try await MySQLDump.verify(file) }
    }
}

struct CopyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy", abstract: "Make a server a copy of another, in one stream and one snapshot.",
        discussion: """
            All schemas of the target and its GTID history are wiped. Its replication must be stopped and reset before, \
            and is not set up afterwards. Both servers are reached with the same account.
            """)

    @OptionGroup var server: ServerOptions

    @Argument(help: ArgumentHelp("host:port, or the path of a socket.", valueName: "source"))
    var source: ServerAddress

    @Argument(help: ArgumentHelp("host:port, or the path of a socket.", valueName: "target"))
    var target: ServerAddress

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Keep the stream in this .sql.gz too; it must not exist.", valueName: "file"))
    var output: String?

    @OptionGroup var leave: TargetOptions

    @Option(help: "The longest time for all of it.")
    var timeout: Duration = .seconds(6 * 3600)

    @Flag(help: "Print the report as one JSON document, and progress as JSON lines on standard error.")
    var json = false

    func validate() throws { try leave.check(target) }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        if let output { try refuseToOverwrite(output) }
        let from = try server.options(source)
        var other = from
        other.address = target
        let to = other
        try await leave.look(to, server.servers())
        try await finish("copy", json: json) { options async throws(DumpError) in
            try await MySQLDump.copy(
                from: from, to: to, keeping: output, options: options, deadline: .after(timeout))
        }
    }
}
