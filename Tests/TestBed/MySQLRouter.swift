import Foundation
import Glibc
import MySQLWire

/// Runs `body` with a router that lists `destinations` in this order, and clears it away afterwards.
/// - Parameter strategy: with next-available a destination that failed is not tried again until a restart.
public func withRouter<Value>(
    name: String = "router", to destinations: [MySQLServer], strategy: String = "next-available",
    _ body: (MySQLRouter) async throws -> Value
) async throws -> Value {
    try await withRouter(name: name, to: destinations.map(\.hostAndPort), strategy: strategy, body)
}

/// The same for whatever listens there.
/// - Parameter destinations: `host:port`.
public func withRouter<Value>(
    name: String = "router", to destinations: [String], strategy: String = "next-available",
    _ body: (MySQLRouter) async throws -> Value
) async throws -> Value {
    let router = try MySQLRouter(name: name, destinations: destinations, strategy: strategy)
    let result: Result<Value, any Error>
    do {
        try await router.control("start")
        result = .success(try await body(router))
    } catch {
        result = .failure(error)
    }
    await router.folder.clear()
    return try result.get()
}

/// A real mysqlrouter with a configuration as an operator writes it, which an agent may change and restart.
public final class MySQLRouter: Sendable {
    public let name: String
    public let port: UInt16
    public let folder: GuardedFolder
    private let reserved: [LoopbackPort]
    private let place: Place

    public static let section = "routing:mysql_failover"
    /// As the programs of its own host reach it, whatever the namespace.
    public var address: ServerAddress { .tcp(host: "127.0.0.1", port: port) }
    /// As this process reaches it.
    var outerAddress: ServerAddress { .tcp(host: place.address, port: port) }
    public var hostAndPort: String { "127.0.0.1:\(port)" }
    public var configFile: String { folder.path + "/mysqlrouter.conf" }
    /// What an agent runs to restart this router, as it would run `systemctl restart mysqlrouter`.
    public var restartCommand: [String] { controlCommand("restart") }
    public var stopCommand: [String] { controlCommand("stop") }
    public var log: String { folder.read("mysqlrouter.log") }
    /// The process that runs now; nil when none does.
    public var pid: pid_t? {
        guard let pid = pid_t(folder.read("router.pid").trimmingCharacters(in: .whitespacesAndNewlines)) else {
            return nil
        }
        let command = (try? Data(contentsOf: URL(filePath: "/proc/\(pid)/cmdline"))) ?? Data()
        return String(decoding: command, as: UTF8.self).contains(folder.path + "/") ? pid : nil
    }

    /// - Parameter destinations: `host:port`, in the order in which next-available tries them.
    init(
        name: String, destinations: [String], strategy: String = "next-available", place: Place = .loopback
    ) throws {
        self.name = name
        self.place = place
        reserved = [try LoopbackPort(), try LoopbackPort()]
        port = reserved[0].number
        folder = try GuardedFolder(name)
        try folder.write("router.settings", "program=\(try ServerFiles.located().bin)/mysqlrouter\nport=\(port)\n")
        try folder.write(
            "mysqlrouter.conf",
            """
            # The local router of this application host. Ask the database team before changing it.
            [DEFAULT]
            runtime_folder = \(folder.path)
            data_folder = \(folder.path)

            [logger]
            level = INFO

            # Where the application connects.
            [routing:mysql_failover]
            bind_address = \(place.bindAddress):\(port)
            connect_timeout = 3
            client_connect_timeout = 9
            # first the primary, then the replica
            destinations = \(destinations.joined(separator: ","))
            routing_strategy = \(strategy)
            protocol = classic

            # Reports may be old, they read from either.
            [routing:reports]
            bind_address = \(place.bindAddress):\(reserved[1].number)
            destinations = \(destinations.reversed().joined(separator: ","))
            routing_strategy = round-robin
            protocol = classic

            """)
    }

    private func controlCommand(_ verb: String) -> [String] {
        [ServerFiles.scripts + "/lib/router-ctl", verb, folder.path]
    }

    /// Runs `router-ctl start`, `stop` or `restart`.
    public func control(_ verb: String) async throws {
        let child = try ChildProcess(place.command(controlCommand(verb)), output: folder.path + "/control.log")
        guard await child.wait() == 0 else { throw TestBedError(folder.read("control.log")) }
    }

    /// SIGKILL. The router is no child of this process; returns when it is gone.
    public func kill() async throws {
        guard let pid else { return }
        _ = Glibc.kill(pid, SIGKILL)
        try await eventually("router \(name) is gone") { self.pid == nil }
    }

    /// Runs statements through the router with the server's own client, as the application does or as `account`.
    @discardableResult
    public func sql(
        _ statements: String, as account: TestAccount = .application, database: String? = nil
    ) async throws -> [[String]] {
        try await MySQLServer.runClient(
            .mysql, account: account, port: port, database: database, statements: statements, in: folder)
    }
}
