import Foundation
import Logging
import MySQLWire
import Synchronization
import TestBed
import Testing

@testable import Watchdog

/// What the agents of a test said, with times, in the order in which they said it.
final class Journal: Sendable {
    struct Entry: Sendable {
        var at: ContinuousClock.Instant
        var agent: String
        var level: Logger.Level
        var message: String
        var metadata: [String: String]
    }
    private let entries = Mutex<[Entry]>([])
    private let began = ContinuousClock.now

    func add(_ entry: Entry) { entries.withLock { $0.append(entry) } }

    var all: [Entry] { entries.withLock { $0 } }

    /// The signals in the order in which they were written.
    var signals: [String] { all.filter { $0.message == "signal" }.compactMap { $0.metadata["signal"] } }

    func count(_ message: String, _ key: String? = nil, containing text: String = "") -> Int {
        all.count { $0.message == message && (key == nil || $0.metadata[key ?? ""]?.contains(text) == true) }
    }

    var text: String {
        all.map { entry in
            let time = began.duration(to: entry.at).formatted(.units(allowed: [.milliseconds]))
            let metadata = entry.metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            return "\(time) \(entry.agent) \(entry.level) \(entry.message) \(metadata.joined(separator: " "))"
        }.joined(separator: "\n")
    }

    func logger(_ agent: String) -> Logger {
        Logger(label: agent) { _ in JournalHandler(journal: self, agent: agent) }
    }
}

struct JournalHandler: LogHandler {
    let journal: Journal
    let agent: String
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var merged = metadata
        if let more = event.metadata { merged.merge(more) { $1 } }
        journal.add(
            .init(
                at: .now, agent: agent, level: event.level, message: event.message.description,
                metadata: merged.mapValues { "\($0)" }))
    }
}

/// A cluster with its backends: per backend a real router and an agent, which runs in this process.
struct Backends: Sendable {
    let cluster: Cluster
    let routers: [MySQLRouter]
    let folders: [GuardedFolder]
    let journal = Journal()
    var rebuild = Configuration.Rebuild()
    var tls = TLSMode.disabled

    func configuration(_ index: Int) -> Configuration {
        let router = routers[index]
        return Configuration(
            cluster: "shop", mode: .routerLed, agents: [], workingDirectory: folders[index].path,
            agent: .init(name: "web\(index + 1)", interval: .milliseconds(500), probeTimeout: .seconds(2)),
            servers: .init(a: cluster.a.address, b: cluster.b.address),
            credentials: .init(
                user: TestAccount.agent.user, password: Secret(TestAccount.agent.password), tls: tls, caFile: nil),
            replication: .init(
                user: TestAccount.replication.user, password: Secret(TestAccount.replication.password), peer: nil),
            router: .init(
                address: router.address, configFile: router.configFile, section: MySQLRouter.section,
                restart: router.restartCommand, stop: router.stopCommand, destinations: .primaryFirst),
            safety: .init(
                maxLostTransactions: 0, drainTimeout: .seconds(20), operationTimeout: .seconds(120)),
            rebuild: rebuild)
    }

    /// Carries single steps out, as the first agent.
    func executor(_ mode: Configuration.Mode) -> Executor {
        var configuration = configuration(0)
        configuration.mode = mode
        return Executor(
            configuration: configuration, router: LocalRouter(configuration: configuration),
            logger: journal.logger(configuration.agent.name))
    }

    func agent(_ index: Int) -> Agent {
        let configuration = configuration(index)
        return Agent(configuration: configuration, logger: journal.logger(configuration.agent.name))
    }

    /// Runs the agents as daemons while `body` runs.
    func watching<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let tasks = routers.indices.map { index in Task { try await agent(index).run() } }
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        for task in tasks { task.cancel() }
        for task in tasks { _ = await task.result }
        return try result.get()
    }

    /// Runs one pass of every agent at once, as cron does.
    func passes() async -> [Result<PassReport, AgentError>] {
        await withTaskGroup(of: (Int, Result<PassReport, AgentError>).self) { group in
            for index in routers.indices {
                group.addTask {
                    do throws(AgentError) {
                        return (index, .success(try await agent(index).runOnce()))
                    } catch {
                        return (index, .failure(error))
                    }
                }
            }
            var out: [(Int, Result<PassReport, AgentError>)] = []
            for await one in group { out.append(one) }
            return out.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    func leads(to server: MySQLServer) async throws -> Bool {
        let uuid = try await server.serverUUID()
        for router in routers {
            guard try await router.sql("SELECT @@server_uuid") == [[uuid]] else { return false }
        }
        return true
    }

    /// No ledger anywhere, `replica` replicates from `primary` without error, both are open.
    func isWhole(primary: MySQLServer, replica: MySQLServer) async throws -> Bool {
        for server in [primary, replica] {
            let left = try await server.sql(
                "SELECT COUNT(*), @@global.read_only FROM information_schema.schemata "
                    + "WHERE schema_name = 'ongoing_failover'")
            guard left == [["0", "0"]] else { return false }
        }
        guard
            try await primary.sql("SELECT COUNT(*) FROM performance_schema.replication_connection_configuration") == [
                ["0"]
            ]
        else { return false }
        return try await replica.sql(
            """
            SELECT c.service_state, a.service_state FROM performance_schema.replication_connection_status c,
                performance_schema.replication_applier_status a
            """) == [["ON", "ON"]]
    }
}

/// Runs `body` with a cluster and `count` backends; on failure the agents' journal is printed.
func withBackends<Value: Sendable>(
    _ count: Int, options: [String] = [], tls: TLSMode = .disabled, _ body: (Backends) async throws -> Value
) async throws -> Value {
    try await withCluster(options: options) { cluster in
        try await withRouters(count, cluster, []) { routers in
            let folders = try (1...count).map { try GuardedFolder("work\($0)") }
            var backends = Backends(cluster: cluster, routers: routers, folders: folders)
            backends.tls = tls
            let result: Result<Value, any Error>
            do {
                result = .success(try await body(backends))
            } catch {
                result = .failure(error)
                print(backends.journal.text)
            }
            for folder in folders { await folder.clear() }
            return try result.get()
        }
    }
}

private func withRouters<Value>(
    _ count: Int, _ cluster: Cluster, _ started: [MySQLRouter], _ body: ([MySQLRouter]) async throws -> Value
) async throws -> Value {
    if started.count == count { return try await body(started) }
    return try await withRouter(name: "router\(started.count + 1)", to: [cluster.a, cluster.b]) { router in
        try await withRouters(count, cluster, started + [router], body)
    }
}
