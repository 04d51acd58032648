import Foundation
import Logging
import MySQLWire
import Synchronization
import TestBed
import Testing

@testable import Watchdog

/// A tool that manages configurations puts its own text back into a real router's file.
@Suite(.serialized) struct RouterFileKeptTests {
    @Test func aFileThatIsPutBackIsWrittenAgainAndTheSessionsStay() async throws {
        try await withCluster { cluster in
            try await withRouter(to: [cluster.a]) { router in
                let folder = try GuardedFolder("kept")
                let log = Lines()
                let result: Result<Void, any Error>
                do {
                    result = .success(try await Self.putBack(cluster, router, folder, log))
                } catch {
                    result = .failure(error)
                }
                await folder.clear()
                try result.get()
            }
        }
    }

    private final class Lines: Sendable {
        private let all = Mutex<[String]>([])
        var logger: Logger {
            Logger(label: "test") { _ in
                EventLog(level: .info, format: .json, now: { Timestamp(milliseconds: 0) }) { line in
                    self.all.withLock { $0.append(line) }
                }
            }
        }
        func of(_ event: Event) -> [String] {
            all.withLock { $0.filter { $0.contains("\"event\":\"\(event.rawValue)\"") } }
        }
    }

    private static func putBack(
        _ cluster: Cluster, _ router: MySQLRouter, _ folder: GuardedFolder, _ log: Lines
    ) async throws {
        let a = try await cluster.a.serverUUID()
        let controller = controller(cluster, router, folder, log.logger)
        let right = try String(contentsOfFile: router.configFile, encoding: .utf8)
        let rest = "\nrouting_strategy = next-available"
        let old = right.replacing(
            "destinations = \(cluster.a.hostAndPort)\(rest)", with: "destinations = \(cluster.b.hostAndPort)\(rest)")
        try #require(old != right)
        func ordered(_ what: String, _ condition: () async throws -> Bool) async throws {
            try await eventually(what, within: .seconds(60)) {
                await controller.lease(until: .max)
                await controller.point(to: .a, uuid: a)
                return try await condition()
            }
        }
        try await ordered("the router leads to a") { await controller.view == .leadsTo(uuid: a) }
        let pid = try #require(router.pid)
        for _ in 1...2 {
            try old.write(toFile: router.configFile, atomically: true, encoding: .utf8)
            try await ordered("the file is right again") {
                try String(contentsOfFile: router.configFile, encoding: .utf8) == right
            }
        }
        #expect(router.pid == pid)
        try await eventually("it was said") { !log.of(.routerFileChanged).isEmpty }
        let lines = log.of(.routerFileChanged)
        #expect(lines.count == 1 && lines[0].contains("\"found\":\"\(cluster.b.hostAndPort)\""), "\(lines)")

        // With a restart the router leads elsewhere, and is turned as ever.
        try old.write(toFile: router.configFile, atomically: true, encoding: .utf8)
        let (status, _) = try captured("/usr/bin/env", router.restartCommand)
        #expect(status == 0)
        let wrong = try #require(router.pid)
        #expect(wrong != pid)
        try await ordered("the router was turned again") {
            let now = router.pid
            guard now != nil, now != wrong else { return false }
            return try await router.sql("SELECT @@server_uuid") == [[a]]
        }
        #expect(try String(contentsOfFile: router.configFile, encoding: .utf8) == right)
        await controller.lease(until: nil)
        await controller.rest()
    }

    private static func controller(
        _ cluster: Cluster, _ router: MySQLRouter, _ folder: GuardedFolder, _ logger: Logger
    ) -> RouterController {
        let configuration = Configuration(
            cluster: "shop", mode: .quorum, agents: ["web1"], workingDirectory: folder.path,
            agent: .init(name: "web1", interval: .seconds(1), probeTimeout: .seconds(2)),
            servers: .init(a: cluster.a.address, b: cluster.b.address),
            credentials: .init(
                user: TestAccount.agent.user, password: Secret(TestAccount.agent.password), tls: .preferred, caFile: nil
            ),
            replication: .init(user: "r", password: Secret("p"), peer: nil),
            router: .init(
                address: router.address, configFile: router.configFile, section: MySQLRouter.section,
                restart: router.restartCommand, stop: router.stopCommand, destinations: .primaryOnly),
            safety: .init(maxLostTransactions: 0, drainTimeout: .seconds(1), operationTimeout: .seconds(10)))
        return RouterController(
            configuration, LocalRouter(configuration: configuration), logger, started: .now, lease: nil, wake: {})
    }
}
