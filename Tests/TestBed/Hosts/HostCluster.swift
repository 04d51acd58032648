import Foundation
import MySQLWire

/// Two servers and some application hosts as the agents' mode wants them. Quorum: both servers start closed, semi-sync is
/// without a fallback and switched on by the agents, each router knows one server. Router-led: both servers are open,
/// replication is asynchronous, each router knows both.
public final class HostCluster: Sendable {
    public struct Options: Sendable {
        public enum Mode: String, Sendable {
            case quorum
            case routerLed = "router-led"
        }
        public var mode = Mode.quorum
        public var backends = 3
        /// Each host in a network namespace of its own; needs `HostNetwork.isPossible`.
        public var ownNetworks = false
        public var semiSync = true {
            didSet {
                // Without it nothing is promoted unless a loss is allowed.
                let line = "max_lost_transactions = 100000"
                safety = safety.filter { $0 != line } + (semiSync ? [] : [line])
            }
        }
        /// Lines for the configuration's [safety] table.
        public var safety = [
            "block_period = \"0s\"", "max_failovers_per_day = 1000", "max_rebuilds_per_day = 1000",
            "max_rebuilds_per_cause = 1000",
        ]
        /// Further options of both servers.
        public var serverOptions: [String] = []
        /// Further options of the agents' command line.
        public var agentOptions: [String] = []
        /// `withHostCluster` leaves it up; it goes with this process, or stays after `GuardedFolder.keepAll`.
        public var staysUp = false
        public init(mode: Mode = .quorum) {
            self.mode = mode
            if mode == .routerLed { semiSync = false }
        }
    }

    public let options: Options
    public let a: MySQLServer
    public let b: MySQLServer
    public let backends: [Backend]
    /// Nil on loopback.
    public let network: HostNetwork?
    public var servers: [MySQLServer] { [a, b] }

    /// Semi-synchronous replication without a fallback, not yet switched on at the source.
    public static let semiSyncOptions = [
        "--plugin-load-add=semisync_source.so", "--plugin-load-add=semisync_replica.so",
        "--loose-rpl-semi-sync-replica-enabled=ON",
        "--loose-rpl-semi-sync-source-wait-point=AFTER_SYNC", "--loose-rpl-semi-sync-source-timeout=1000000000",
        "--loose-rpl-semi-sync-source-wait-no-replica=ON",
    ]

    init(_ options: Options) async throws {
        self.options = options
        let names = (1...options.backends).map { "web\($0)" }
        let network = options.ownNetworks ? try HostNetwork(hosts: ["a", "b"] + names + [HostNetwork.spare]) : nil
        self.network = network
        func place(_ host: String) throws -> Place { try network?.place(host) ?? .loopback }
        let serverOptions =
            (options.mode == .quorum ? ["--super-read-only=ON"] : []) + ["--replica-net-timeout=8"]
            + (options.semiSync ? Self.semiSyncOptions : []) + options.serverOptions
        let a = try MySQLServer(kind: .mysql, name: "a", options: serverOptions, place: place("a"))
        let b = try MySQLServer(kind: .mysql, name: "b", options: serverOptions, place: place("b"))
        (self.a, self.b) = (a, b)
        let isQuorum = options.mode == .quorum
        backends = try names.map { name in
            try Backend(
                name: name, place: place(name),
                destinations: isQuorum ? [a.hostAndPort] : [a.hostAndPort, b.hostAndPort],
                strategy: isQuorum ? "first-available" : "next-available", agentOptions: options.agentOptions)
        }
    }

    /// Starts servers and routers, b as the replica of a; in quorum mode both stay closed. The table of the writers is there.
    func prepare() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers {
                group.addTask {
                    try await server.prepare()
                    try await server.start()
                }
            }
            try await group.waitForAll()
        }
        try await b.replicate(from: a)
        try await a.sql(
            """
            SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF;
            CREATE DATABASE shop;
            CREATE TABLE shop.written (
              writer INT NOT NULL, n INT NOT NULL, item VARCHAR(100) NOT NULL,
              at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), PRIMARY KEY (writer, n)) ENGINE = InnoDB;
            SET GLOBAL super_read_only = \(options.mode == .quorum ? "ON" : "OFF");
            """)
        try await b.catchUp(with: a)
        for backend in backends {
            try writeConfiguration(backend)
            try await backend.router.control("start")
        }
    }

    public func startAgents() throws { for backend in backends { try backend.startAgent() } }

    func clear() async {
        for backend in backends { await backend.clear() }
        for server in servers { await server.close() }
        await network?.clear()
    }

    public func server(_ uuid: String) async throws -> MySQLServer? {
        for server in servers where server.savedUUID == uuid { return server }
        return nil
    }
}

extension MySQLServer {
    /// As it stands in its data directory, whether it runs or not.
    public var savedUUID: String {
        folder.read("data/auto.cnf").split(separator: "\n").first { $0.hasPrefix("server-uuid=") }
            .map { String($0.dropFirst(12)) } ?? ""
    }

    /// One statement as root over the unix socket, with a deadline; for questions to a server that may not answer.
    public func ask(_ statement: String, within limit: Duration = .seconds(2)) async throws -> [[String?]] {
        let connection = try await MySQLConnection.connect(rootOptions, deadline: .after(limit))
        defer { connection.abort() }
        let result = try await connection.query(statement, deadline: .after(limit))
        return result.rows.map { row in (0..<row.count).map { row.string($0) } }
    }
}

/// Runs `body` with such a cluster, and clears it away afterwards however `body` ends. The agents are not started.
public func withHostCluster<Value>(
    _ options: HostCluster.Options = .init(), _ body: (HostCluster) async throws -> Value
) async throws -> Value {
    await Throttle.servers.take(2)
    defer { Throttle.servers.giveBack(2) }
    let cluster = try await HostCluster(options)
    let result: Result<Value, any Error>
    do {
        try await cluster.prepare()
        result = .success(try await body(cluster))
    } catch {
        result = .failure(error)
    }
    if !options.staysUp { await cluster.clear() }
    return try result.get()
}
