import Foundation
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// Turning a real mysqlrouter, proved through its own port.
@Suite(.serialized) struct RouterTurnTests {
    static func withControl(
        _ body: (LocalRouter, Cluster, MySQLRouter) async throws -> Void
    ) async throws {
        try await withCluster { cluster in
            try await withRouter(to: [cluster.a, cluster.b]) { router in
                let folder = try GuardedFolder("turn")
                let result: Result<Void, any Error>
                do {
                    result = .success(try await body(control(cluster, router, folder), cluster, router))
                } catch {
                    result = .failure(error)
                }
                await folder.clear()
                try result.get()
            }
        }
    }

    static func control(_ cluster: Cluster, _ router: MySQLRouter, _ folder: GuardedFolder) -> LocalRouter {
        LocalRouter(
            configuration: Configuration(
                cluster: "shop", mode: .routerLed, agents: [], workingDirectory: folder.path,
                agent: .init(name: "web1", interval: .seconds(1), probeTimeout: .seconds(2)),
                servers: .init(a: cluster.a.address, b: cluster.b.address),
                credentials: .init(
                    user: TestAccount.agent.user, password: Secret(TestAccount.agent.password), tls: .preferred,
                    caFile: nil),
                replication: .init(user: "repl", password: Secret("x"), peer: nil),
                router: .init(
                    address: router.address, configFile: router.configFile, section: MySQLRouter.section,
                    restart: router.restartCommand, stop: router.stopCommand, destinations: .primaryFirst),
                safety: .init(
                    maxLostTransactions: 0, drainTimeout: .seconds(20), operationTimeout: .seconds(120))))
    }

    @Test func itTurnsOnceAndTheRestOfTheFileStays() async throws {
        try await Self.withControl { control, cluster, router in
            let (a, b) = (try await cluster.a.serverUUID(), try await cluster.b.serverUUID())
            #expect(try await control.identity(deadline: .after(.seconds(5))) == a)
            let before = try String(contentsOfFile: router.configFile, encoding: .utf8)
            let pid = try #require(router.pid)

            let turned = try await control.turn(
                to: cluster.b.address, other: cluster.a.address, expectedUUID: b, deadline: .after(.seconds(30)))
            #expect(turned == TurnReport(changedFile: true, restarted: true, verifiedUUID: b))
            #expect(try await router.sql("SELECT @@server_uuid") == [[b]])
            #expect(
                try String(contentsOfFile: router.configFile, encoding: .utf8)
                    == before.replacing(
                        "destinations = \(cluster.a.hostAndPort),\(cluster.b.hostAndPort)",
                        with: "destinations = \(cluster.b.hostAndPort),\(cluster.a.hostAndPort)"))
            let second = try #require(router.pid)
            #expect(second != pid)

            // A second time nothing is to be done, and the application's connections are left in peace.
            let again = try await control.turn(
                to: cluster.b.address, other: cluster.a.address, expectedUUID: b, deadline: .after(.seconds(30)))
            #expect(again == TurnReport(changedFile: false, restarted: false, verifiedUUID: b))
            #expect(router.pid == second)
        }
    }

    /// As a container has it: the file alone is mounted, and nothing can be renamed over it.
    @Test(.enabled(if: getuid() == 0, "only root can mount")) func aFileThatIsMountedByItselfIsTurned() async throws {
        try await Self.withControl { control, cluster, router in
            let b = try await cluster.b.serverUUID()
            let outside = router.configFile + ".outside"
            try FileManager.default.copyItem(atPath: router.configFile, toPath: outside)
            _ = try await Shell.run("mount", "--bind", outside, router.configFile)
            let result: Result<TurnReport, any Error>
            do {
                result = .success(
                    try await control.turn(
                        to: cluster.b.address, other: cluster.a.address, expectedUUID: b, deadline: .after(.seconds(30))
                    ))
            } catch {
                result = .failure(error)
            }
            _ = try await Shell.run("umount", router.configFile)
            #expect(try result.get() == TurnReport(changedFile: true, restarted: true, verifiedUUID: b))
            #expect(try await router.sql("SELECT @@server_uuid") == [[b]])
            #expect(
                try String(contentsOfFile: outside, encoding: .utf8)
                    .contains("destinations = \(cluster.b.hostAndPort),\(cluster.a.hostAndPort)\n"))
        }
    }

    /// The file is right and the router has moved on: only a restart brings it back.
    @Test func aRouterThatHasMovedIsRearmed() async throws {
        try await Self.withControl { control, cluster, router in
            let (a, b) = (try await cluster.a.serverUUID(), try await cluster.b.serverUUID())
            await cluster.a.kill()
            try await eventually("the router moves to b") { try await router.sql("SELECT @@server_uuid") == [[b]] }
            try await cluster.a.start()
            #expect(try await control.identity(deadline: .after(.seconds(5))) == b)
            let turned = try await control.turn(
                to: cluster.a.address, other: cluster.b.address, expectedUUID: a, deadline: .after(.seconds(30)))
            #expect(turned == TurnReport(changedFile: false, restarted: true, verifiedUUID: a))
        }
    }

    @Test func aTargetThatIsDeadIsReportedWithTheServerItLeadsTo() async throws {
        try await Self.withControl { control, cluster, router in
            let (a, b) = (try await cluster.a.serverUUID(), try await cluster.b.serverUUID())
            await cluster.b.kill()
            let old = router.pid
            let (to, other) = (cluster.b.address, cluster.a.address)
            let turning = Task {
                try await control.turn(to: to, other: other, expectedUUID: b, deadline: .after(.seconds(100)))
            }
            try await eventually("the router was restarted", within: .seconds(60)) {
                router.pid.map { $0 != old } ?? false
            }
            // When the second question arrives, the first has had its answer. Nobody else asks before: of two clients that
            // come at once while the first destination is dead the router turns one away, and then all.
            let asked = { () async throws -> Int in
                let rows = try await cluster.a.sql(
                    "SELECT SUM(total_connections) FROM performance_schema.accounts WHERE user = 'watchdog'")
                return Int(rows.first?.first ?? "") ?? 0
            }
            let before = try await asked()
            try await eventually("the router was asked twice", within: .seconds(60)) { try await asked() >= before + 2 }
            try await eventually("the router leads to a") { try await router.sql("SELECT @@server_uuid") == [[a]] }
            turning.cancel()
            let error = await #expect(throws: RouterError.self) { try await turning.value }
            #expect(error?.cause == .leadsElsewhere(serverUUID: a))
            #expect(error?.message.contains(cluster.b.hostAndPort) == true && error?.message.contains(b) == true)
        }
    }

    @Test func aStoppedRouterIsStartedByTurning() async throws {
        try await Self.withControl { control, cluster, router in
            let a = try await cluster.a.serverUUID()
            try await control.stop(deadline: .after(.seconds(20)))
            #expect(router.pid == nil)
            await #expect(throws: MySQLError.self) { try await control.identity(deadline: .after(.seconds(2))) }
            let turned = try await control.turn(
                to: cluster.a.address, other: cluster.b.address, expectedUUID: a, deadline: .after(.seconds(30)))
            #expect(turned == TurnReport(changedFile: false, restarted: true, verifiedUUID: a))
        }
    }
}
