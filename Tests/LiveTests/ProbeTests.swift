import Foundation
import Glibc
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// `repl-watchdog probe` as a user starts it, against real servers and against what is none.
@Suite(.serialized) struct ProbeCommandTests {
    static let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "repl-watchdog").path(percentEncoded: false)

    /// Runs the program to its end; `while` gets it as it runs.
    private func probe(
        _ arguments: [String], in folder: GuardedFolder, password: String = TestAccount.application.password,
        while body: (GuardedProcess) async throws -> Void = { _ in }
    ) async throws -> (status: Int32, output: String) {
        // The password's file is also what the guard knows the process by.
        try folder.write("password", password)
        chmod("\(folder.path)/password", 0o600)
        let name = "probe-\(UInt32.random(in: 0...UInt32.max))"
        let process = try GuardedProcess(
            name, in: folder,
            command: [
                Self.program, "probe", "--user", TestAccount.application.user, "--password-file",
                "\(folder.path)/password",
            ] + arguments)
        try await body(process)
        return (try await process.exitStatus(within: .seconds(30)), process.output)
    }

    private func hosts(_ json: String) throws -> [[String: Any]] {
        // Nothing but the document may be there.
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any], "\(json)")
        return try #require(document["hosts"] as? [[String: Any]])
    }

    private func stages(_ host: [String: Any]) throws -> [String: [String: Int]] {
        try #require(host["nanoseconds"] as? [String: [String: Int]])
    }

    @Test func mySQLMariaDBADeadPortAndASilentHost() async throws {
        try await withServers([(.mysql, "a"), (.mariadb, "m"), (.mysql, "gone")]) { servers in
            await servers[2].kill()
            let silent = try Listener(says: nil)
            defer { silent.close() }
            let addresses = servers.map(\.hostAndPort) + ["127.0.0.1:\(silent.port)"]
            let began = ContinuousClock.now
            let ended = try await probe(
                addresses + ["--json", "--count", "5", "--interval", "50ms", "--timeout", "1s"],
                in: servers[0].folder)
            // The silent host's five seconds, and nobody else's on top.
            #expect(began.duration(to: .now) < .seconds(12))
            #expect(ended.status == 2, "\(ended.output)")
            let hosts = try hosts(ended.output)
            #expect(hosts.map { $0["host"] as? String } == addresses)
            #expect(hosts.map { $0["sent"] as? Int } == [5, 5, 5, 5])
            #expect(hosts.map { $0["answered"] as? Int } == [5, 5, 0, 0])
            #expect((hosts[0]["tls"] as? String)?.hasPrefix("TLSv1") == true)
            #expect((hosts[0]["authentication"] as? String)?.hasPrefix("caching_sha2_password") == true)
            #expect(hosts[1]["authentication"] as? String == "mysql_native_password")
            #expect((hosts[1]["version"] as? String)?.contains("MariaDB") == true)
            let stages = try stages(hosts[0])
            #expect(Set(stages.keys) == ["total", "connect", "tls", "auth", "query"])
            let sum = ["connect", "tls", "auth", "query"].reduce(0) { $0 + (stages[$1]?["min"] ?? 0) }
            let slowest = try #require(stages["total"]?["max"])
            #expect(sum > 0 && sum <= slowest && slowest < 1_000_000_000)
            let errors = hosts.map { ($0["errors"] as? [[String: Any]])?.first?["class"] as? String }
            #expect(errors == [nil, nil, "refused (connect)", "timeout (greeting)"])
        }
    }

    @Test func aWarmConnectionIsOpenedOnce() async throws {
        try await withServer { server in
            let count = "SHOW GLOBAL STATUS LIKE 'Connections'"
            let before = try #require(Int(try await server.sql(count)[0][1]))
            let ended = try await probe(
                [server.hostAndPort, "--json", "--reuse", "--count", "200", "--interval", "0s", "--tls", "disabled"],
                in: server.folder)
            let after = try #require(Int(try await server.sql(count)[0][1]))
            #expect(ended.status == 0, "\(ended.output)")
            let host = try hosts(ended.output)[0]
            #expect(host["answered"] as? Int == 200 && host["tls"] is NSNull)
            #expect(Set(try stages(host).keys) == ["total", "connect", "auth", "query"])
            // The probe's, and that of the client which asks.
            #expect(after - before == 2)
        }
    }

    @Test func aServerThatDiesInBetweenIsALossAndNotTheEnd() async throws {
        try await withServer { server in
            let ended = try await probe(
                [server.hostAndPort, "--reuse", "--count", "0", "--interval", "10ms"], in: server.folder
            ) { process in
                try await eventually("a first answer") { process.output.contains("seq=3 time=") }
                await server.kill()
                try await eventually("a refusal") { process.output.contains("refused during connect") }
                try await server.start()
                let lines = process.output.split(separator: "\n").count
                try await eventually("an answer again") {
                    process.output.split(separator: "\n").dropFirst(lines).contains { $0.contains(" time=") }
                }
                process.signal(SIGINT)
            }
            #expect(ended.status == 0, "\(ended.output.suffix(2000))")
            let summary = ended.output.components(separatedBy: "--- \(server.hostAndPort)").last ?? ""
            #expect(summary.contains(" x refused (connect)") && summary.contains("% loss"))
            #expect(summary.contains("total ") && summary.contains("query "))
        }
    }

    @Test func controlCEndsAHangingProbeAtOnceWithTheSummary() async throws {
        let folder = try GuardedFolder("probe")
        let silent = try Listener(says: nil)
        defer { silent.close() }
        let end = ContinuousClock.now
        let ended = try await probe(
            ["127.0.0.1:\(silent.port)", "--json", "--count", "0", "--timeout", "1h"], in: folder
        ) { process in
            try await eventually("a probe is under way") {
                silent.accepted > 0
            }
            process.signal(SIGINT)
        }
        #expect(end.duration(to: .now) < .seconds(20))
        #expect(ended.output.contains("\"interrupted\":true") && ended.output.contains("\"sent\":0"))
        #expect(ended.status == 3)
        await folder.clear()
    }

    @Test func whatTheOperatorGotWrongIsNoDeadServer() async throws {
        try await withServer { server in
            let denied = try await probe(
                [server.hostAndPort, "--count", "1"], in: server.folder, password: "wrong-password")
            #expect(denied.status == 3 && denied.output.contains("1 x ERROR 1045"), "\(denied.output)")
            #expect(!denied.output.contains("wrong-password"))
        }
    }

    @Test(arguments: [
        ["--count", "-1", "h:1"], ["--count", "x", "h:1"], ["--interval", "5", "h:1"], ["--timeout", "0s", "h:1"],
        ["--concurrency", "0", "h:1"], ["--concurrency", "9999", "h:1", "h:2"], ["h:0"], [],
    ])
    func usage(_ arguments: [String]) async throws {
        let folder = try GuardedFolder("probe")
        let ended = try await probe(arguments, in: folder)
        #expect(ended.status == 64, "\(ended.output)")
        await folder.clear()
    }
}
