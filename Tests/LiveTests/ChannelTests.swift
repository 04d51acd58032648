import Foundation
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// What becomes of the channel when it changes direction, or stumbles.
@Suite(.serialized) struct ChannelTests {
    private static let link = """
        SELECT ssl_allowed, compression_algorithm, zstd_compression_level, tls_version
        FROM performance_schema.replication_connection_configuration
        """

    /// The replication account may not come without TLS, and the DBA has the channel compressed.
    @Test func theServerThatIsBroughtBackReplicatesAsTheOtherOneDid() async throws {
        try await withBackends(1, tls: .preferred) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await b.sql(
                """
                STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_SSL = 1, SOURCE_TLS_VERSION = 'TLSv1.3',
                    SOURCE_COMPRESSION_ALGORITHMS = 'zstd', SOURCE_ZSTD_COMPRESSION_LEVEL = 7; START REPLICA
                """)
            try await a.sql("ALTER USER repl REQUIRE SSL")
            try await b.catchUp(with: a)
            let before = try await b.sql(Self.link)
            await a.kill()
            try await eventually("the router leads to b") { try await backends.leads(to: b) }
            try await a.start()
            let report = try #require(await backends.passes().first).get()
            #expect(report.state == .ok, "\(report)")
            #expect(try await backends.isWhole(primary: b, replica: a))
            #expect(try await a.sql(Self.link) == before)
            #expect(before == [["YES", "zstd", "7", "TLSv1.3"]])

            // The copy of a rebuild replicates as its own channel did.
            try await b.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await a.catchUp(with: b)
            try await a.sql(
                """
                STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_ZSTD_COMPRESSION_LEVEL = 5; START REPLICA;
                INSERT INTO shop.t VALUES (1)
                """)
            try await b.sql("INSERT INTO shop.t VALUES (1)")
            try await eventually("the applier stops at the conflict") {
                try await a.sql("SELECT service_state FROM performance_schema.replication_applier_status") == [["OFF"]]
            }
            #expect(try #require(await backends.passes().first).get().state == .ok)
            #expect(backends.journal.count("copied") == 1)
            #expect(try await a.sql(Self.link) == [["YES", "zstd", "5", "TLSv1.3"]])
        }
    }

    /// Nothing is wrong with the data of a replica one of whose workers was killed.
    @Test func aKilledApplierWorkerIsStartedAgain() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await b.catchUp(with: a)
            let workers = try await b.sql(
                """
                SELECT t.processlist_id FROM performance_schema.replication_applier_status_by_worker w
                    JOIN performance_schema.threads t ON t.thread_id = w.thread_id
                """)
            // One takes the others with it.
            try await b.sql("KILL \(try #require(workers.first)[0])")
            try await a.sql("INSERT INTO shop.t VALUES (1)")
            try await eventually("the applier stops") {
                try await b.sql("SELECT service_state FROM performance_schema.replication_applier_status") == [["OFF"]]
            }
            let report = try #require(await backends.passes().first).get()
            #expect(report.state == .ok, "\(report)")
            #expect(backends.journal.count("saved") == 0 && backends.journal.count("copied") == 0, "it was rebuilt")
            try await b.catchUp(with: a)
        }
    }

    private static func awaitStop(of server: MySQLServer) async throws {
        try await eventually("the applier stops") {
            try await server.sql("SELECT service_state FROM performance_schema.replication_applier_status") == [["OFF"]]
        }
    }

    /// What the applier met is gone when it is started once more: nothing is left that a rebuild would mend.
    @Test func aConflictThatIsGoneAtTheSecondTryCostsNoRebuild() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await b.catchUp(with: a)
            try await b.sql("SET sql_log_bin = 0; INSERT INTO shop.t VALUES (1)")
            try await a.sql("INSERT INTO shop.t VALUES (1)")
            try await Self.awaitStop(of: b)
            try await b.sql("SET sql_log_bin = 0; DELETE FROM shop.t")
            let report = try #require(await backends.passes().first).get()
            #expect(report.state == .ok, "\(report)")
            #expect(backends.journal.count("saved") == 0 && backends.journal.count("copied") == 0, "it was rebuilt")
            try await b.catchUp(with: a)
            // One that stays is met at the same transaction again.
            try await b.sql("SET sql_log_bin = 0; INSERT INTO shop.t VALUES (2)")
            try await a.sql("INSERT INTO shop.t VALUES (2)")
            try await Self.awaitStop(of: b)
            #expect(try #require(await backends.passes().first).get().state == .ok)
            #expect(backends.journal.count("copied") == 1)
        }
    }

    /// A setting of the replica's refuses what its primary allowed (3750).
    @Test func anErrorThatSaysNothingOfTheDataIsLeftToAnOperator() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            guard ServerVersion(try await b.sql("SELECT VERSION()")[0][0]).isMySQL(atLeast: 8, 0, 23) else { return }
            func setCheck(_ value: String) async throws {
                try await b.sql(
                    """
                    STOP REPLICA; CHANGE REPLICATION SOURCE TO REQUIRE_TABLE_PRIMARY_KEY_CHECK = \(value); START REPLICA
                    """)
            }
            try await setCheck("ON")
            try await a.sql("CREATE TABLE shop.t (id INT)")
            try await Self.awaitStop(of: b)
            _ = await backends.passes()
            #expect(backends.journal.count("saved") == 0 && backends.journal.count("copied") == 0, "it was rebuilt")
            #expect(backends.journal.count("the applier was interrupted", "error", containing: "3750") > 1)
            try await setCheck("STREAM")
            try await b.catchUp(with: a)
        }
    }

    /// 1236 has many causes, and only what the source has purged is mended by a rebuild.
    @Test func aDamagedBinaryLogIsNoReasonForARebuild() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await b.catchUp(with: a)
            try await b.sql("STOP REPLICA")
            try await a.sql("FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (1)")
            let logs = try await a.sql("SHOW BINARY LOGS")
            let path = try await a.sql("SELECT @@datadir")[0][0] + (try #require(logs.last)[0])
            try await a.sql("FLUSH BINARY LOGS")
            let whole = try Data(contentsOf: URL(filePath: path))
            let file = try FileHandle(forWritingTo: URL(filePath: path))
            try file.truncate(atOffset: UInt64(whole.count - 60))
            try file.close()
            try await b.sql("START REPLICA")
            try await eventually("the source refuses") {
                try await b.sql(
                    "SELECT last_error_number FROM performance_schema.replication_connection_status"
                ) == [["13114"]]
            }
            let seen = await backends.agent(0).status().seen
            let step = RouterLedPolicy.bringBack(seen, Ledger(server: .a, rows: []), primary: .a)
            #expect(step?.reason?.code == .sourceUnreachable, "\(step as Any)")
            // What it lacks is purged.
            try await a.sql("PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY")
            #expect(try #require(await backends.passes().first).get().state == .ok)
            #expect(backends.journal.count("copied") == 1)
        }
    }
}
