import Foundation
import Testing

@testable import Watchdog

/// The program as a user starts it. What needs a server is tested with real ones elsewhere.
@Suite("The command line")
struct ReportingCommandTests {
    struct Ended {
        var status: Int32
        var output: String
        var errors: String
    }

    /// The program that was built together with these tests.
    static let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "repl-watchdog")

    /// A program under way, its output in files; nothing here blocks a thread.
    final class Started: Sendable {
        let folder: Folder
        private let process: Process

        init(_ arguments: [String]) throws {
            folder = try Folder()
            process = Process()
            process.executableURL = program
            process.arguments = arguments
            process.environment = [:]
            process.standardInput = FileHandle.nullDevice
            for name in ["output", "errors"] {
                _ = FileManager.default.createFile(atPath: "\(folder.path)/\(name)", contents: nil)
            }
            process.standardOutput = FileHandle(forWritingAtPath: "\(folder.path)/output")
            process.standardError = FileHandle(forWritingAtPath: "\(folder.path)/errors")
            try process.run()
        }

        func text(_ name: String) -> String {
            (try? String(contentsOfFile: "\(folder.path)/\(name)", encoding: .utf8)) ?? ""
        }

        func terminate() { process.terminate() }

        /// Waits for the end, at most for half a minute.
        func end() async throws -> Ended {
            let deadline = ContinuousClock.now.advanced(by: .seconds(30))
            while process.isRunning {
                guard ContinuousClock.now < deadline else {
                    kill(process.processIdentifier, SIGKILL)
                    throw TestError(text: "still running: \(process.arguments ?? []): \(text("errors"))")
                }
                try await Task.sleep(for: .milliseconds(10))
            }
            return Ended(status: process.terminationStatus, output: text("output"), errors: text("errors"))
        }
    }

    struct TestError: Error { var text: String }

    static func run(_ arguments: [String]) async throws -> Ended { try await Started(arguments).end() }

    final class Folder: Sendable {
        let path = NSTemporaryDirectory() + "repl-watchdog-cli-\(UUID().uuidString)"
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    /// A configuration file in a folder of its own.
    final class File {
        let folder: Folder
        var path: String { "\(folder.path)/c.toml" }
        init(_ text: String) throws {
            folder = try Folder()
            try text.replacing("/var/lib/repl-watchdog", with: folder.path)
                .write(toFile: path, atomically: false, encoding: .utf8)
            chmod(path, 0o600)
        }
    }

    @Test("--version and the example go to standard output")
    func version() async throws {
        let version = try await Self.run(["--version"])
        #expect(version.status == 0 && version.output.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
        let example = try await Self.run(["config", "example"])
        #expect(example.status == 0 && example.output == Configuration.example && example.errors.isEmpty)
    }

    @Test(
        "what is not understood ends with 64",
        arguments: [
            ["nonsense"], ["--nonsense"], ["query"], ["query", "127.0.0.1:1"], ["query", "127.0.0.1:x", "SELECT 1"],
            ["query", "127.0.0.1:1", "SELECT 1", "--user", "u", "--timeout", "5"], ["status", "--json", "--watch"],
            ["import", "127.0.0.1:1", "file"], ["dump", "127.0.0.1:1"], ["--log-target", "syslog"],
            ["run", "--log-target", "journald"], ["--log-level", "loud"], ["query", "a:1", "x", "--tls", "required"],
        ])
    func usage(_ arguments: [String]) async throws {
        let ended = try await Self.run(arguments)
        #expect(ended.status == 64)
        #expect(ended.output.isEmpty && !ended.errors.isEmpty)
    }

    @Test("an import without --yes names the server it would wipe")
    func importAsks() async throws {
        let ended = try await Self.run(["import", "10.9.8.7:3306", "x.sql.gz"])
        #expect(ended.errors.contains("10.9.8.7:3306") && ended.errors.contains("--yes"))
    }

    @Test(
        "a wrong configuration ends with 78, with every mistake and its line, whatever the command",
        arguments: [["--now"], ["run"], ["status"], ["config", "show"], ["query", "127.0.0.1:1", "SELECT 1"]])
    func configuration(_ arguments: [String]) async throws {
        let file = try File(ConfigurationTests.text("cluster", with: "clutser = \"x\"") + "drain_timeout = 5\n")
        let ended = try await Self.run(arguments + ["--config", file.path])
        #expect(ended.status == 78)
        #expect(ended.output.isEmpty)
        #expect(ended.errors.contains("c.toml:1: unknown key 'clutser'; did you mean 'cluster'?"))
        #expect(ended.errors.contains("c.toml:20: 'safety.drain_timeout' must be a duration"))
        // The option may also stand before the subcommand.
        let before = try await Self.run(["--config", file.path] + arguments)
        #expect(before.status == 78 && before.errors == ended.errors)
    }

    @Test("single passes do not go with mode = quorum, nor the operator's commands with mode = router-led")
    func agents() async throws {
        let list = "mode = \"quorum\"\nagents = [\"web1\", \"web2\", \"web3\"]"
        let text = ConfigurationTests.text(after: ("cluster", list))
            .replacing("[router]\n", with: "[router]\nstop = [\"true\"]\n")
        let loop = try File(text)
        let pass = try await Self.run(["--now", "--config", loop.path])
        #expect(pass.status == 78 && pass.errors.contains("run the daemon"))
        let file = try File(ConfigurationTests.text())
        for command in ["explain", "switchover", "failover", "pause", "resume", "ack"] {
            let ended = try await Self.run([command, "--config", file.path])
            #expect(ended.status == 78 && ended.errors.contains("needs mode = \"quorum\""))
        }
    }

    @Test("config show prints what is in force, and no secret")
    func show() async throws {
        let file = try File(ConfigurationTests.text())
        let ended = try await Self.run(["config", "show", "--config", file.path])
        #expect(ended.status == 0 && ended.output.contains("probe_timeout = \"2s\""))
        #expect(!ended.output.contains("pa55") && !ended.output.contains("r3pl"))
    }

    @Test("a server that nobody runs is 2, a name that nobody knows is 3")
    func servers() async throws {
        let refused = try await Self.run(["query", "127.0.0.1:1", "SELECT 1", "--user", "u", "--tls", "disabled"])
        #expect(refused.status == 2 && refused.output.isEmpty && refused.errors.contains("127.0.0.1:1"))
        let unknown = try await Self.run([
            "query", "no-such-host.invalid:1", "SELECT 1", "--user", "u", "--tls", "disabled", "--timeout", "3s",
        ])
        #expect(unknown.status == 3 || unknown.errors.contains("timeout"), "\(unknown.errors)")
    }

    @Test("a dump never overwrites a file")
    func dumpExists() async throws {
        let file = try File("")
        let ended = try await Self.run(["dump", "127.0.0.1:1", "--user", "u", "-o", file.path])
        #expect(ended.status == 64 && ended.errors.contains("exists already"))
    }

    @Test("cron's form waits before it looks, and SIGTERM ends the wait at once and well")
    func cron() async throws {
        let file = try File(ConfigurationTests.text())
        // The wait is picked at random: one that may be over before this test goes on shows nothing.
        for _ in 0..<20 {
            let started = try Started(["--config", file.path])
            let deadline = ContinuousClock.now.advanced(by: .seconds(20))
            while Self.wait(started) == nil, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
            let wait = Self.wait(started)
            let began = ContinuousClock.now
            started.terminate()
            let ended = try await started.end()
            guard let wait else {
                Issue.record("no wait was told: \(ended.errors)")
                return
            }
            if wait < .seconds(100) { continue }
            #expect(ended.status == 0, "\(ended.errors)")
            #expect(began.duration(to: .now) < .seconds(30))
            return
        }
        Issue.record("twenty waits in a row are shorter than 100 s of 297")
    }

    /// The wait that a program has told, once the line is whole.
    private static func wait(_ started: Started) -> Duration? {
        guard
            let line = started.text("errors").split(separator: "\n", omittingEmptySubsequences: false).dropLast().first,
            let field = line.firstRange(of: "event=pass-waiting wait=")
        else { return nil }
        return DurationText.parse(String(line[field.upperBound...]))
    }
}
