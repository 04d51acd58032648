import Foundation
import Glibc
import Synchronization

/// The accounts that every server of the test bed has, from any host.
public struct TestAccount: Sendable {
    public let user: String
    public let password: String
    /// The agents' own: all privileges, with grant option.
    public static let agent = TestAccount(user: "watchdog", password: "watchdog-secret")
    /// REPLICATION SLAVE and REPLICATION CLIENT.
    public static let replication = TestAccount(user: "repl", password: "repl-secret")
    /// The application's: everything in the schema `shop`, nothing else.
    public static let application = TestAccount(user: "app", password: "app-secret")
}

private let counter = Atomic<Int>(0)

extension MySQLServer {
    static func runClient(
        _ kind: Kind, account: TestAccount, port: UInt16, database: String? = nil, statements: String,
        in folder: GuardedFolder
    ) async throws -> [[String]] {
        try await runClient(
            kind,
            arguments: ["-h127.0.0.1", "-P\(port)", "-u\(account.user)", "--get-server-public-key"].filter {
                kind == .mysql || $0 != "--get-server-public-key"
            } + (database.map { [$0] } ?? []),
            statements: statements, in: folder, environment: ["MYSQL_PWD": account.password])
    }

    /// One run of the command line client in batch mode: statements on its input, rows as tab-separated lines.
    static func runClient(
        _ kind: Kind, arguments: [String], statements: String, in folder: GuardedFolder,
        environment: [String: String] = [:]
    ) async throws -> [[String]] {
        let run = "sql-\(counter.add(1, ordering: .relaxed).newValue)"
        let path = folder.path
        defer { for suffix in ["in", "out", "pid"] { unlink("\(path)/\(run).\(suffix)") } }
        try folder.write("\(run).in", statements)
        let input = open("\(path)/\(run).in", O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw TestBedError("no input for the client in \(path)") }
        defer { Glibc.close(input) }
        let program = try ServerFiles.located().bin + (kind == .mysql ? "/mysql" : "/mariadb")
        let child = try ChildProcess(
            [
                ServerFiles.scripts + "/lib/launch", "\(path)/\(run).pid", program, "--no-defaults", "--batch",
                "--skip-column-names", "--default-character-set=utf8mb4", "--connect-timeout=5",
            ] + arguments, input: input, output: "\(path)/\(run).out", environment: environment)
        guard let status = await child.wait(.seconds(120)) else {
            child.signal(SIGKILL)
            await child.wait()
            throw TestBedError("no answer within 120 s: \(statements.prefix(200))")
        }
        let output = folder.read("\(run).out")
        guard status == 0 else { throw TestBedError("\(output.prefix(1000)) (\(statements.prefix(200)))") }
        return output.split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map(unescape)
        }
    }

    private static func unescape(_ field: Substring) -> String {
        guard field.contains("\\") else { return String(field) }
        var text = ""
        var characters = field.makeIterator()
        while let character = characters.next() {
            guard character == "\\", let escaped = characters.next() else {
                text.append(character)
                continue
            }
            switch escaped {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "0": text.append("\0")
            default: text.append(escaped)
            }
        }
        return text
    }
}
