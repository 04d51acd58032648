import Foundation
import Glibc
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// Agents as they are installed: processes, which can be killed in the middle of an operation.
@Suite(.serialized) struct KilledAgentTests {
    /// The program that was built beside this test.
    static func program() throws -> String {
        let folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let candidates = [folder, URL(filePath: FileManager.default.currentDirectoryPath + "/.build/debug")]
        for candidate in candidates {
            let path = candidate.appending(path: "repl-watchdog").path
            if access(path, X_OK) == 0 { return path }
        }
        throw TestBedError("repl-watchdog is not built: run swift build")
    }

    private func start(_ backends: Backends, _ index: Int) throws -> GuardedProcess {
        let configuration = backends.configuration(index)
        let folder = backends.folders[index]
        try folder.write(
            "agent.toml",
            """
            cluster = "shop"
            working_directory = "\(folder.path)"
            [agent]
            name = "\(configuration.agent.name)"
            interval = "500ms"
            [servers.a]
            address = "\(configuration.servers.a)"
            [servers.b]
            address = "\(configuration.servers.b)"
            [credentials]
            user = "\(TestAccount.agent.user)"
            password = "\(TestAccount.agent.password)"
            [replication]
            user = "\(TestAccount.replication.user)"
            password = "\(TestAccount.replication.password)"
            [router]
            address = "\(configuration.router.address)"
            config_file = "\(configuration.router.configFile)"
            section = "\(configuration.router.section)"
            restart = [\(configuration.router.restart.map { "\"\($0)\"" }.joined(separator: ", "))]
            stop = [\(configuration.router.stop.map { "\"\($0)\"" }.joined(separator: ", "))]
            """)
        // The password stands in it.
        chmod(folder.path + "/agent.toml", 0o600)
        return try GuardedProcess(
            "agent", in: folder,
            command: [try Self.program(), "run", "--config", folder.path + "/agent.toml", "--log-level", "info"])
    }

    /// Kills the operation master as soon as the ledger holds the signal, with whatever it is doing then.
    @Test(arguments: ["MAST", "TARG", "MAOK"]) func anotherAgentFinishes(_ signal: String) async throws {
        try await withBackends(3) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)")
            try await b.catchUp(with: a)
            let agents = try backends.routers.indices.map { try start(backends, $0) }
            do {
                try await eventually("all agents see ok") { agents.allSatisfy { $0.output.contains("state=ok") } }
                await a.kill()
                try await eventually("every router leads to b") { try await backends.leads(to: b) }
                try await a.start()
                let master = try await masterWhenWritten(signal, on: b)
                let index = try #require(Int(master.dropFirst(3))) - 1
                await agents[index].kill()
                try await eventually("a replicates from b", within: .seconds(60)) {
                    try await backends.isWhole(primary: b, replica: a)
                }
                let living = agents.indices.filter { $0 != index }
                for other in living {
                    try await eventually("router \(other + 1) leads to b") {
                        try await backends.routers[other].sql("SELECT @@server_uuid") == [[b.serverUUID()]]
                    }
                }
                let masters = agents.flatMap { $0.output.split(separator: "\n") }.filter {
                    $0.contains("signal=\"MAST ")
                }
                #expect(!masters.isEmpty)
                #expect(try await b.sql("SELECT COUNT(*) FROM repl_watchdog.history") == [["1"]])
                try await a.catchUp(with: b)
                #expect(try await b.sql("SELECT GTID_SUBSET('\(a.gtidExecuted())', @@global.gtid_executed)") == [["1"]])

                // It wakes up as its init system starts it again, and its router follows without a new operation.
                let woken = try start(backends, index)
                try await eventually("the killed agent sees ok") { woken.output.contains("state=ok") }
                try await eventually("its router leads to b") {
                    try await backends.routers[index].sql("SELECT @@server_uuid") == [[b.serverUUID()]]
                }
                #expect(try await b.sql("SELECT COUNT(*) FROM repl_watchdog.history") == [["1"]])
                await woken.stop()
                for agent in agents { await agent.stop() }
            } catch {
                for agent in agents { print(agent.output) }
                throw error
            }
        }
    }

    /// The operation master's name as soon as the ledger holds the signal. Asks in a tight loop on one connection: the
    /// last signals stand for some tens of milliseconds only.
    private func masterWhenWritten(_ signal: String, on server: MySQLServer) async throws -> String {
        let connection = try await MySQLConnection.connect(
            server.connectionOptions(.agent), deadline: .after(.seconds(10)))
        defer { connection.abort() }
        var master = ""
        try await eventually("\(signal) stands in the ledger", every: .milliseconds(1)) {
            let rows = try await connection.query(
                """
                SELECT (SELECT agent FROM ongoing_failover.status WHERE event LIKE 'MAST %' LIMIT 1)
                FROM ongoing_failover.status WHERE event LIKE '\(signal) %' LIMIT 1
                """, deadline: .after(.seconds(5))
            ).rows
            master = rows.first?.string(0) ?? ""
            return master.hasPrefix("web")
        }
        return master
    }

    @Test func theDaemonEndsOnSIGTERM() async throws {
        try await withBackends(1) { backends in
            let agent = try start(backends, 0)
            try await eventually("it sees ok") { agent.output.contains("state=ok") }
            agent.signal(SIGTERM)
            #expect(try await agent.exitStatus(within: .seconds(5)) == 0)
        }
    }
}
