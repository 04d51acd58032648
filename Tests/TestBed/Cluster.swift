import MySQLWire

/// Runs `body` with one server, and clears it away afterwards however `body` ends.
public func withServer<Value>(
    _ kind: MySQLServer.Kind = .mysql, name: String = "a", options: [String] = [],
    _ body: (MySQLServer) async throws -> Value
) async throws -> Value {
    try await withServers([(kind, name)], options: options) { try await body($0[0]) }
}

/// Runs `body` with several unconnected servers.
public func withServers<Value>(
    _ wanted: [(kind: MySQLServer.Kind, name: String)], options: [String] = [],
    _ body: ([MySQLServer]) async throws -> Value
) async throws -> Value {
    await Throttle.servers.take(wanted.count)
    defer { Throttle.servers.giveBack(wanted.count) }
    var servers: [MySQLServer] = []
    let result: Result<Value, any Error>
    do {
        for (kind, name) in wanted {
            servers.append(try MySQLServer(kind: kind, name: name, options: options))
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers {
                group.addTask {
                    try await server.prepare()
                    try await server.start()
                }
            }
            try await group.waitForAll()
        }
        result = .success(try await body(servers))
    } catch {
        result = .failure(error)
    }
    await withTaskGroup(of: Void.self) { group in
        for server in servers { group.addTask { await server.close() } }
    }
    return try result.get()
}

/// Runs `body` with a primary `a` and its replica `b`.
public func withCluster<Value>(options: [String] = [], _ body: (Cluster) async throws -> Value) async throws -> Value {
    try await withServers([(.mysql, "a"), (.mysql, "b")], options: options) { servers in
        let cluster = Cluster(a: servers[0], b: servers[1])
        try await cluster.connect()
        return try await body(cluster)
    }
}

/// Two servers, `b` replicating from `a` by GTID, both open for writes as the router-led way of working has it. The
/// schema `shop` is there on both.
public final class Cluster: Sendable {
    public let a: MySQLServer
    public let b: MySQLServer

    init(a: MySQLServer, b: MySQLServer) {
        self.a = a
        self.b = b
    }

    func connect() async throws {
        try await b.replicate(from: a)
        try await a.sql("CREATE DATABASE shop")
        try await b.catchUp(with: a)
    }
}

extension MySQLServer {
    /// Makes this server a replica of `source`, by GTID, and starts it.
    public func replicate(from source: MySQLServer) async throws {
        try await sql(
            """
            CHANGE REPLICATION SOURCE TO SOURCE_HOST = '\(source.place.address)', SOURCE_PORT = \(source.port),
              SOURCE_USER = 'repl', SOURCE_PASSWORD = 'repl-secret', SOURCE_AUTO_POSITION = 1,
              GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400,
              SOURCE_HEARTBEAT_PERIOD = 1;
            START REPLICA;
            """)
    }

    /// Waits until this server has executed all that `source` has executed by now.
    public func catchUp(with source: MySQLServer, within limit: Duration = .seconds(30)) async throws {
        let wanted = try await source.gtidExecuted()
        try await eventually("\(name) has executed \(wanted)", within: limit) {
            try await sql("SELECT GTID_SUBSET('\(wanted)', @@GLOBAL.gtid_executed)") == [["1"]]
        }
    }

    public func gtidExecuted() async throws -> String {
        try await sql("SELECT REPLACE(@@GLOBAL.gtid_executed, '\\n', '')").first?.first ?? ""
    }

    public func serverUUID() async throws -> String {
        try await sql("SELECT @@GLOBAL.server_uuid").first?.first ?? ""
    }
}
