import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// The replicas that acknowledge a primary's commits, as the primary says it.
@Suite struct AcknowledgersTests {
    @Test func thePrimaryNamesWhoAcknowledges() async throws {
        let options = HostCluster.semiSyncOptions
        try await withBackends(1, options: options) { backends in
            try await withServer(name: "c", options: options) { c in
                let (a, b) = (backends.cluster.a, backends.cluster.b)
                var configuration = backends.configuration(0)
                configuration.agents = ["web1", "web2", "web3"]
                let probe = ServerProbe(configuration, .quorum)
                let account = configuration.connectionOptions(configuration.servers.a)
                let held = try await MySQLConnection.connect(account, deadline: .after(.seconds(10)))
                defer { held.abort() }

                func names(_ semiSync: SemiSync?) -> [String] {
                    semiSync?.acknowledgers.sorted() ?? []
                }
                func look() async -> SemiSync? {
                    await probe.look(account, deadline: .after(.seconds(10))).facts?.quorum?.semiSync
                }
                try await a.sql("SET GLOBAL rpl_semi_sync_source_enabled = ON")
                let (ofB, ofC) = (try await b.serverUUID(), try await c.serverUUID())
                try await eventually("b acknowledges") { names(await look()) == [ofB] }
                #expect(await look()?.clients == 1)

                // Both, and nobody is told apart by the number.
                try await c.replicate(from: a)
                try await eventually("c acknowledges as well") { names(await look()) == [ofB, ofC].sorted() }
                #expect(await look()?.clients == 2)
                try await b.sql("STOP REPLICA")
                try await eventually("c alone acknowledges") { names(await look()) == [ofC] }

                // One that replicates and does not acknowledge is not among them.
                try await b.sql("SET GLOBAL rpl_semi_sync_replica_enabled = OFF; START REPLICA")
                try await eventually("b receives") {
                    try await b.sql("SELECT service_state FROM performance_schema.replication_connection_status")
                        == [["ON"]]
                }
                #expect(names(await look()) == [ofC])

                // While an account statement waits nobody new is greeted: the plain form says it as well.
                let facts = try #require(await probe.look(account, deadline: .after(.seconds(10))).facts)
                c.freeze()
                async let waiting: Void = { _ = try? await a.sql("CREATE USER waits") }()
                let known = ServerProbe.Known(facts)
                try await eventually("a commit waits") {
                    let seen = try await probe.facts(held, known: known, deadline: .after(.seconds(5)))
                    return (seen.quorum?.semiSync.waiting ?? 0) > 0
                }
                let plain = try await probe.facts(held, known: known, deadline: .after(.seconds(5)))
                #expect(names(plain.quorum?.semiSync) == [ofC])
                c.thaw()
                await waiting
            }
        }
    }

    /// Nobody can be named there: the number alone remains.
    @Test func withoutPerformanceSchemaNobodyIsNamed() async throws {
        let options = HostCluster.semiSyncOptions + ["--performance-schema=OFF"]
        try await withBackends(1, options: options) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let account = configuration.connectionOptions(configuration.servers.a)
            let probe = ServerProbe(configuration, .quorum)
            try await eventually("b is counted") {
                await probe.look(account, deadline: .after(.seconds(10))).facts?.quorum?.semiSync.clients == 1
            }
            let facts = await probe.look(account, deadline: .after(.seconds(10))).facts
            #expect(facts?.quorum?.semiSync.acknowledgers == [] && facts?.performanceSchema == false)
        }
    }
}
