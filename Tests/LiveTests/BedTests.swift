import Foundation
import Glibc
import TestBed
import Testing

/// The test bed itself: what every other real-server test stands on.
@Suite struct BedTests {
    @Test(arguments: [MySQLServer.Kind.mysql, .mariadb])
    func aServerKeepsItsDataAndPortOverACrash(_ kind: MySQLServer.Kind) async throws {
        let (pid, path) = try await withServer(kind) { server in
            try await server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
            try await server.sql("INSERT INTO t VALUES (7)", as: .application, database: "shop")
            await server.kill()
            #expect(server.pid == nil)
            await #expect(throws: TestBedError.self) { try await server.sql("SELECT 1") }
            try await server.start()
            #expect(try await server.sql("SELECT id FROM shop.t") == [["7"]])
            return (try #require(server.pid), server.folder.path)
        }
        #expect(Glibc.kill(pid, 0) != 0, "the server still runs")
        #expect(!FileManager.default.fileExists(atPath: path), "\(path) is still there")
    }

    @Test func aServerThatCannotStartSaysWhy() async throws {
        let error = await #expect(throws: TestBedError.self) {
            try await withServer(options: ["--no-such-option=1"]) { _ in }
        }
        #expect("\(try #require(error))".contains("no-such-option"))
    }

    @Test func aFrozenServerHasStopped() async throws {
        try await withServer { server in
            let pid = try #require(server.pid)
            for _ in 1...50 {
                server.freeze()
                let states = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").map { thread in
                    let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(thread)/stat", encoding: .utf8)) ?? ""
                    return text.split(separator: ")").last?.dropFirst().first ?? "T"
                }
                server.thaw()
                try #require(Set(states) == ["T"], "\(states)")
                try await server.sql("SELECT 1")
            }
        }
    }

    @Test func bReplicatesFromA() async throws {
        try await withCluster { cluster in
            #expect(try await cluster.a.serverUUID() != cluster.b.serverUUID())
            try await cluster.a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1), (2)")
            try await cluster.b.catchUp(with: cluster.a)
            #expect(try await cluster.b.sql("SELECT COUNT(*) FROM shop.t") == [["2"]])
            #expect(try await cluster.a.gtidExecuted() == cluster.b.gtidExecuted())
        }
    }

    /// What `mode = router` builds upon: next-available moves on and does not go back by itself.
    @Test func theRouterMovesToBAndStaysUntilItIsRestarted() async throws {
        try await withCluster { cluster in
            let (a, b) = (try await cluster.a.serverUUID(), try await cluster.b.serverUUID())
            try await withRouter(to: [cluster.a, cluster.b]) { router in
                #expect(try await router.sql("SELECT @@server_uuid") == [[a]])
                await cluster.a.kill()
                try await eventually("the router moves to b") { try await router.sql("SELECT @@server_uuid") == [[b]] }
                try await cluster.a.start()
                for _ in 0..<5 { #expect(try await router.sql("SELECT @@server_uuid") == [[b]]) }
                let before = try #require(router.pid)
                try await router.control("restart")
                #expect(router.pid != before)
                #expect(try await router.sql("SELECT @@server_uuid") == [[a]])
            }
        }
    }

    @Test func aFrozenServerAnswersAgainAfterwards() async throws {
        try await withServer { server in
            server.freeze()
            let answer = Task { try await server.sql("SELECT 1") }
            try await Task.sleep(for: .milliseconds(300))
            server.thaw()
            #expect(try await answer.value == [["1"]])
        }
    }

    /// Runs this very test program again, holding servers and a router, and kills it with SIGKILL.
    @Test func nothingRemainsOfATestProgramThatWasKilled() async throws {
        let folder = try GuardedFolder("killed")
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let test = try GuardedProcess(
            "test", in: folder,
            command: [
                program, "--testing-library", "swift-testing", "--filter", "heldUntilKilled",
                "--xunit-output", folder.path + "/results.xml",
            ],
            environment: ["TEST_BED_HOLD": folder.path + "/report"])
        var words: [String] = []
        try await eventually("the other test program holds its servers", within: .seconds(90)) {
            words = folder.read("report").split(separator: "\n").map(String.init)
            return words.last == "end" || !test.isRunning
        }
        try #require(test.isRunning, "\(test.output)")
        let pids = words.compactMap { Int32($0) }
        let folders = words.filter { $0.hasPrefix("/") }
        #expect(pids.count == 3 && folders.count == (HostNetwork.isPossible ? 6 : 3))
        for pid in pids { #expect(Glibc.kill(pid, 0) == 0) }
        await test.kill()
        try await eventually("the servers and the router are gone, and their folders", within: .seconds(40)) {
            pids.allSatisfy { Self.hasEnded($0) }
                && folders.allSatisfy { !FileManager.default.fileExists(atPath: $0) }
        }
        await folder.clear()
    }

    /// An orphan that has ended may wait for whoever is its parent now; it has no command line any more.
    private static func hasEnded(_ pid: Int32) -> Bool {
        let command = (try? Data(contentsOf: URL(filePath: "/proc/\(pid)/cmdline"))) ?? Data()
        return command.isEmpty
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["TEST_BED_HOLD"] != nil, "the other side of the test above"))
    func heldUntilKilled() async throws {
        let report = try #require(ProcessInfo.processInfo.environment["TEST_BED_HOLD"])
        try await withCluster { cluster in
            try await withRouter(to: [cluster.a, cluster.b]) { router in
                // A router that an agent has turned is no child of the test program: it must go as well.
                try await router.control("restart")
                let pids = [cluster.a.pid, cluster.b.pid, router.pid].compactMap { $0 }.map(String.init)
                var folders = [cluster.a.folder.path, cluster.b.folder.path, router.folder.path]
                let network = HostNetwork.isPossible ? try HostNetwork(hosts: ["one", "two"]) : nil
                folders += (network?.namespaces ?? []).map { "/run/netns/\($0)" }
                try (pids + folders + ["end", ""]).joined(separator: "\n")
                    .write(toFile: report, atomically: true, encoding: .utf8)
                try await Task.sleep(for: .seconds(120))
            }
        }
    }
}
