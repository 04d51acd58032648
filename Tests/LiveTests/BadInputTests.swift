import Foundation
import Glibc
import MySQLWire
import Synchronization
import TestBed
import Testing

@testable import Watchdog

/// What an operator can get wrong: each a clear answer in bounded time, and nothing changed.
@Suite(.serialized) struct BadInputTests {
    /// Runs one pass with a changed configuration and expects a state, an exit status and words in its summary, and
    /// neither a ledger nor a transaction on the servers.
    private func expect(
        _ state: ClusterState, exit status: Int32, words: [String], servers: [MySQLServer],
        _ change: (inout Configuration) -> Void
    ) async throws {
        let folder = try GuardedFolder("work")
        var configuration = Configuration.forElection(agent: "web1", server: servers[servers.count - 1])
        configuration.servers.a = servers[0].address
        configuration.credentials.user = TestAccount.agent.user
        configuration.credentials.password = Secret(TestAccount.agent.password)
        configuration.workingDirectory = folder.path
        change(&configuration)
        let before = try await states(servers)
        let began = ContinuousClock.now
        let report = try await Agent(configuration: configuration, logger: Journal().logger("web1")).runOnce()
        #expect(began.duration(to: .now) < .seconds(4))
        #expect(report.state == state && report.exitStatus == status, "\(report)")
        for word in words { #expect(report.summary.contains(word), "\(word) is not in: \(report.summary)") }
        #expect(!report.summary.contains(TestAccount.agent.password))
        #expect(try await states(servers) == before)
        let shown = await Agent(configuration: configuration, logger: Journal().logger("web1")).status()
        #expect(shown.exitStatus == status)
        for word in words { #expect(shown.text().contains(word)) }
        await folder.clear()
    }

    private func states(_ servers: [MySQLServer]) async throws -> [[[String]]] {
        var out: [[[String]]] = []
        for server in servers {
            out.append(
                try await server.sql(
                    // Not SHOW REPLICA STATUS: what its threads do at the moment changes by itself.
                    """
                    SELECT @@global.gtid_executed, @@global.read_only; SHOW DATABASES;
                    SELECT channel_name, host, port, user, auto_position
                        FROM performance_schema.replication_connection_configuration;
                    SELECT channel_name, service_state FROM performance_schema.replication_connection_status;
                    SELECT channel_name, service_state FROM performance_schema.replication_applier_status
                    """))
        }
        return out
    }

    @Test func wrongPassword() async throws {
        try await withCluster { cluster in
            try await expect(
                .unknown, exit: 3, words: ["1045", cluster.a.hostAndPort, "correct [credentials]"],
                servers: [cluster.a, cluster.b]
            ) { $0.credentials.password = Secret("wrong-password") }
        }
    }

    @Test func noGTIDs() async throws {
        try await withServers(
            [(.mysql, "a"), (.mysql, "b")], options: ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]
        ) { servers in
            try await expect(.ambiguous, exit: 2, words: ["gtid_mode=ON"], servers: servers) { _ in }
        }
    }

    @Test func oneServerBehindBothAddresses() async throws {
        try await withServer { server in
            try await expect(.ambiguous, exit: 2, words: ["both addresses lead to one server"], servers: [server]) {
                $0.servers.a = .tcp(host: "localhost", port: server.port)
            }
        }
    }

    @Test func twoServersThatKnowNothingOfEachOther() async throws {
        try await withServers([(.mysql, "a"), (.mysql, "b")]) { servers in
            try await expect(
                .ambiguous, exit: 2, words: ["neither server replicates from the other"], servers: servers
            ) { _ in }
        }
    }

    @Test func aHostThatAcceptsAndSaysNothing() async throws {
        try await withServer { server in
            let silent = try Listener(says: nil)
            try await expect(.down, exit: 2, words: ["127.0.0.1:\(silent.port)", "does not answer"], servers: [server])
            {
                $0.servers.a = .tcp(host: "127.0.0.1", port: silent.port)
            }
            silent.close()
        }
    }

    @Test func somethingThatIsNoMySQL() async throws {
        try await withServer { server in
            let web = try Listener(says: "HTTP/1.1 400 Bad Request\r\nServer: something\r\n\r\n")
            try await expect(.unknown, exit: 3, words: ["127.0.0.1:\(web.port)", "MySQL server"], servers: [server]) {
                $0.servers.a = .tcp(host: "127.0.0.1", port: web.port)
            }
            web.close()
        }
    }

    @Test func aWorkingDirectoryThatIsNotThere() async throws {
        try await withServer { server in
            var configuration = Configuration.forElection(agent: "web1", server: server)
            configuration.workingDirectory = "/nowhere/at/all"
            let agent = Agent(configuration: configuration, logger: Journal().logger("web1"))
            let error = await #expect(throws: AgentError.self) { try await agent.runOnce() }
            #expect(error.map { "\($0)" }?.contains("/nowhere/at/all") == true)
        }
    }

    @Test func twoAgentsOnOneHost() async throws {
        let folder = try GuardedFolder("work")
        let lock = try HostLock.take(directory: folder.path, cluster: "shop")
        let error = #expect(throws: AgentError.self) { try HostLock.take(directory: folder.path, cluster: "shop") }
        #expect(error?.exitStatus == 3)
        withExtendedLifetime(lock) {}
        await folder.clear()
    }

    @Test func aLockFileThatADeadAgentLeftIsNoObstacle() async throws {
        let folder = try GuardedFolder("work")
        try folder.write("repl-watchdog.lock", "\(getpid())\n")
        _ = try HostLock.take(directory: folder.path, cluster: "shop")
        await folder.clear()
    }
}

/// A port on loopback that accepts connections and says one thing, or nothing.
final class Listener: Sendable {
    private let socket: ListeningSocket
    private let clients = Mutex<[Int32]>([])
    var port: UInt16 { socket.port }
    /// Connections accepted so far.
    var accepted: Int { clients.withLock { $0.count } }

    init(says text: String?) throws {
        socket = try ListeningSocket()
        Thread.detachNewThread { [self] in
            while let client = socket.accept() {
                clients.withLock { $0.append(client) }
                guard let text else { continue }
                let bytes = Array(text.utf8)
                _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                shutdown(client, Int32(SHUT_RDWR))
            }
        }
    }

    func close() {
        socket.stop()
        clients.withLock { clients in
            for client in clients { Glibc.close(client) }
            clients = []
        }
    }
}
