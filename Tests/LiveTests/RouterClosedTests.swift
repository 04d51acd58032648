import Foundation
import Logging
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// When a real mysqlrouter counts as closed.
@Suite(.serialized) struct RouterClosedTests {
    /// mysqlrouter closes the port of a route whose servers are all gone. That is no proof that it was stopped: with
    /// another strategy, or another version, it opens the port again when a server is back.
    @Test func aRouterThatClosesItsOwnPortIsNotClosed() async throws {
        try await withRouter(to: ["127.0.0.1:1"]) { router in
            // The first client finds out that the server is gone.
            _ = try? await router.sql("SELECT 1")
            try await eventually("the router has closed its port") { await Self.refuses(router.address) }
            #expect(router.pid != nil)
            let folder = try GuardedFolder("closed")
            let tries = "\(folder.path)/tries"
            let broken = Self.controller(router, folder, stop: ["sh", "-c", "echo >>'\(tries)'; false"])
            await broken.close()
            try await eventually("it is tried again") {
                _ = await broken.tick()
                return (try? String(contentsOfFile: tries, encoding: .utf8))?.count ?? 0 > 1
            }
            #expect(await !broken.isClosed)
            await broken.rest()

            let working = Self.controller(router, folder, stop: router.stopCommand)
            await working.close()
            try await eventually("it is closed") {
                _ = await working.tick()
                return await working.isClosed
            }
            #expect(router.pid == nil)
            await working.rest()
            await folder.clear()
        }
    }

    private static func refuses(_ address: ServerAddress) async -> Bool {
        let options = ConnectionOptions(address: address, user: "nobody", password: Secret(""))
        do {
            let connection = try await MySQLConnection.connect(options, deadline: .after(.seconds(2)))
            await connection.close()
            return false
        } catch {
            return error.code == .refused
        }
    }

    private static func controller(
        _ router: MySQLRouter, _ folder: GuardedFolder, stop: [String]
    ) -> RouterController {
        let configuration = Configuration(
            cluster: "shop", mode: .quorum, agents: ["web1"], workingDirectory: folder.path,
            agent: .init(name: "web1", interval: .seconds(1), probeTimeout: .seconds(2)),
            servers: .init(a: .tcp(host: "127.0.0.1", port: 1), b: .tcp(host: "127.0.0.1", port: 2)),
            credentials: .init(user: "u", password: Secret("p"), tls: .disabled, caFile: nil),
            replication: .init(user: "r", password: Secret("p"), peer: nil),
            router: .init(
                address: router.address, configFile: router.configFile, section: MySQLRouter.section,
                restart: router.restartCommand, stop: stop, destinations: .primaryOnly),
            safety: .init(maxLostTransactions: 0, drainTimeout: .seconds(1), operationTimeout: .seconds(10)))
        return RouterController(
            configuration, LocalRouter(configuration: configuration), Logger(label: "test"), started: .now,
            lease: nil, wake: {})
    }
}
