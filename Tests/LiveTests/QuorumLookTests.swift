import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// What an agent asks a server each second, counted by the server.
@Suite struct QuorumLookTests {
    @Test func aLookIsOneStatementOnAPrimaryAndTwoOnAReplica() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let probe = QuorumProbe(configuration)

            /// The channels that a look finds, and the statements that it costs, its COM_QUIT included.
            func look(_ server: MySQLServer, _ id: ServerID) async throws -> ([ReplicationChannel], Int) {
                func questions() async throws -> Int {
                    try #require(Int(try await server.sql("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]))
                }
                let before = try await questions()
                // What the counting itself costs lies between two counts.
                let alone = try await questions() - before
                let options = configuration.connectionOptions(configuration.servers[id])
                let start = try await questions()
                let view = await probe.look(options, deadline: .after(.seconds(10)))
                let facts = try #require(view.facts, "\(view.reason)")
                return (facts.channels, try await questions() - start - alone)
            }

            let (none, primary) = try await look(backends.cluster.a, .a)
            #expect(none.isEmpty)
            #expect(primary == 2)
            let (one, replica) = try await look(backends.cluster.b, .b)
            #expect(one.map(\.health) == [.running])
            #expect(replica == 3)

            // A channel that does nothing is one; a server that was promoted has none.
            try await backends.cluster.b.sql("STOP REPLICA")
            let (stopped, _) = try await look(backends.cluster.b, .b)
            #expect(stopped.map(\.receiver) == [.off])
            try await backends.cluster.b.sql("RESET REPLICA ALL")
            let (gone, promoted) = try await look(backends.cluster.b, .b)
            #expect(gone.isEmpty)
            #expect(promoted == 2)
        }
    }

    /// What an open session says of a server is as true as what a new one would say.
    @Test func aServerThatLetsNobodyInIsAskedOverTheSessionOfTheLookBefore() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let server = backends.cluster.a
            let look = ServerLook(QuorumProbe(configuration), timeout: .seconds(10))
            let options = configuration.connectionOptions(configuration.servers.a)
            func login() async throws -> LoginTrouble? {
                let view = await look.look(options)
                return try #require(view.facts?.quorum, "\(view.reason)").login
            }
            #expect(try await login() == nil)

            let account = TestAccount.agent
            try await server.sql("ALTER USER '\(account.user)'@'%' IDENTIFIED BY 'another'")
            guard case .ownFault? = try await login() else {
                Issue.record("a refused password is not named")
                return
            }
            try await server.sql("ALTER USER '\(account.user)'@'%' IDENTIFIED BY '\(account.password)'")
            try await eventually("it is let in again", within: .seconds(20)) { try await login() == nil }

            try await server.sql("SET GLOBAL max_connections = 1")
            guard case .turnedAway? = try await login() else {
                Issue.record("a full server is not named")
                return
            }
            await look.close()
        }
    }
}
