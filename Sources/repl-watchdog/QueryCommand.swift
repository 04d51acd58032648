import ArgumentParser
import Glibc
import MySQLWire
import Watchdog

struct QueryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query", abstract: "Run one statement and print its rows, from a host with no MySQL client.",
        discussion: "Rows are printed as they come, in tab-separated columns under their names, as mysql --batch does.")

    @OptionGroup var server: ServerOptions

    @Argument(help: ArgumentHelp("host:port, or the path of a socket.", valueName: "host:port"))
    var address: ServerAddress

    @Argument(help: "One statement.")
    var sql: String

    @Option(help: "The default schema.")
    var database: String?

    @Option(help: "The longest time for all of it.")
    var timeout: Duration = .seconds(30)

    @Flag(help: "One JSON document: columns, and rows of strings; bytes that are no text as {\"hex\": ...}.")
    var json = false

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        var options = try server.options(address)
        options.database = database
        let printer = RowPrinter(json: json, toTerminal: isatty(STDOUT_FILENO) == 1)
        var begun = false
        do {
            let deadline = Deadline.after(timeout)
            let connection = try await MySQLConnection.connect(options, deadline: deadline)
            // Whatever goes wrong from here on: the rest of the reply is not waited for.
            defer { connection.abort() }
            let stream = try await connection.stream(sql, purpose: "query", deadline: deadline)
            var first = true
            begun = true
            try Output.write(printer.head(stream.columns.map(\.name)))
            while let batch = try await stream.next(deadline: deadline) {
                try Output.write(printer.rows(batch, first: first))
                if batch.rowCount > 0 { first = false }
            }
            try Output.write(printer.tail())
            await connection.close()
        } catch let error as MySQLError {
            // In full: who gave the statement may see what the server quotes of it.
            let text = String(reflecting: error)
            if begun { try Output.write(printer.tail(error: text)) }
            Output.complain(text)
            throw ExitCode(ExitStatus.of(error))
        }
    }
}
