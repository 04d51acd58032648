import Foundation
import Glibc
import MySQLWire
import Synchronization

/// One application host: a router that knows one server, and an agent, which is a process of its own.
public final class Backend: Sendable {
    public let name: String
    public let router: MySQLRouter
    /// The agent's: its configuration, its log and its working directory.
    public let folder: GuardedFolder
    let place: Place
    private let agentOptions: [String]
    private let agent = Mutex<GuardedProcess?>(nil)
    private let commands = Atomic<Int>(0)

    /// - Parameter agentOptions: further options of the agent's command line.
    init(
        name: String, place: Place, destinations: [String], strategy: String, agentOptions: [String]
    ) throws {
        self.name = name
        self.place = place
        self.agentOptions = agentOptions
        router = try MySQLRouter(name: "r\(name)", destinations: destinations, strategy: strategy, place: place)
        folder = try GuardedFolder(name)
    }

    public var configurationFile: String { folder.path + "/agent.toml" }
    public var workingDirectory: String { folder.path + "/work" }
    public var isAgentRunning: Bool { agent.withLock { $0?.isRunning ?? false } }
    public var agentPID: pid_t? { agent.withLock { $0?.isRunning == true ? $0?.pid : nil } }
    /// All that the agents of this host have written, one life after the other.
    public var agentLog: String { folder.read("agent.log") }

    /// Starts the agent as an init system would.
    public func startAgent() throws {
        guard !isAgentRunning else { return }
        let process = try GuardedProcess(
            "agent", in: folder,
            command: place.command(
                try Self.program() + ["run"] + Self.common(configurationFile) + agentOptions))
        agent.withLock { $0 = process }
    }

    /// What the agent has on disk is gone, as with a new disk.
    func loseMemory() throws {
        try FileManager.default.removeItem(atPath: workingDirectory + "/repl-watchdog.quorum")
    }

    public func killAgent() async { await agent.withLock { $0 }?.kill() }
    public func stopAgent() async { await agent.withLock { $0 }?.stop() }
    public func signalAgent(_ number: Int32) { agent.withLock { $0 }?.signal(number) }
    public func freezeAgent() { agent.withLock { $0 }?.signal(SIGSTOP) }
    public func thawAgent() { agent.withLock { $0 }?.signal(SIGCONT) }

    /// Runs a command of the agent's program on this host to its end.
    /// - Returns: the exit status and everything that it wrote.
    public func command(
        _ arguments: [String], within limit: Duration = .seconds(60)
    ) async throws -> (status: Int32, output: String) {
        let name = "command-\(commands.add(1, ordering: .relaxed).newValue)"
        let process = try GuardedProcess(
            name, in: folder,
            command: place.command(try Self.program() + arguments + ["--config", configurationFile]))
        guard let status = try? await process.exitStatus(within: limit) else {
            await process.kill()
            throw TestBedError("\(arguments) on \(self.name) did not end within \(limit): \(process.output)")
        }
        return (status, process.output)
    }

    private static func common(_ configuration: String) -> [String] {
        ["--config", configuration, "--log-level", ProcessInfo.processInfo.environment["AGENT_LOG_LEVEL"] ?? "info"]
    }

    /// The static program where the environment names one, otherwise what was built beside this program.
    public static func program() throws -> [String] {
        if let named = ProcessInfo.processInfo.environment["REPL_WATCHDOG_STATIC"] { return [named] }
        let folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        for candidate in [folder, URL(filePath: FileManager.default.currentDirectoryPath + "/.build/debug")] {
            let path = candidate.appending(path: "repl-watchdog").path(percentEncoded: false)
            if access(path, X_OK) == 0 { return [path] }
        }
        throw TestBedError("repl-watchdog is not built: run swift build")
    }

    /// A session with whatever the router leads to, as the application gets it.
    public func serverBehindRouter() async throws -> String {
        var options = ConnectionOptions(
            address: router.outerAddress, user: TestAccount.application.user,
            password: Secret(TestAccount.application.password))
        options.publicKeyRetrieval = .allowed
        let connection = try await MySQLConnection.connect(options, deadline: .after(.seconds(2)))
        defer { connection.abort() }
        let answer = try await connection.query("SELECT @@server_uuid", deadline: .after(.seconds(2)))
        return answer.rows.first?.string(0) ?? ""
    }

    /// Points the router to `server` without an agent.
    public func lead(to server: MySQLServer) async throws {
        let section = "[\(MySQLRouter.section)]"
        var inSection = false
        let lines = try String(contentsOfFile: router.configFile, encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false
        ).map { line in
            if line.hasPrefix("[") { inSection = line == section }
            return inSection && line.hasPrefix("destinations") ? "destinations = \(server.hostAndPort)" : String(line)
        }
        try lines.joined(separator: "\n").write(toFile: router.configFile, atomically: true, encoding: .utf8)
        try await router.control("restart")
    }

    func clear() async {
        await agent.withLock { $0 }?.kill()
        await folder.clear()
        await router.folder.clear()
    }
}
