import Foundation
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// Relay logs that are damaged on the replica's disk.
@Suite(.serialized) struct RelayLogTests {
    private static let limit = Duration.seconds(30)

    /// The error is named with what an operator can do, and that brings the replica back with every row.
    @Test func damagedRelayLogsAreFetchedAgainAsTheRemedySays() async throws {
        try await withCluster { cluster in
            let (a, b) = (cluster.a, cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY, v TEXT)")
            try await b.catchUp(with: a)
            try await b.sql("STOP REPLICA SQL_THREAD")
            for row in 1...5 { try await a.sql("INSERT INTO shop.t VALUES (\(row), REPEAT('x', 2000))") }
            let sent = try await a.gtidExecuted()
            try await eventually("everything is received") {
                try await b.sql(
                    """
                    SELECT GTID_SUBSET(GTID_SUBTRACT('\(sent)', @@GLOBAL.gtid_executed), received_transaction_set)
                    FROM performance_schema.replication_connection_status
                    """) == [["1"]]
            }
            try await b.sql("STOP REPLICA")
            try damage(try await b.sql("SELECT @@relay_log_basename")[0][0])
            try await b.sql("START REPLICA")
            var fault = ""
            try await eventually("the applier stops") {
                let connection = try await MySQLConnection.connect(
                    b.connectionOptions(.agent), deadline: .after(Self.limit))
                defer { connection.abort() }
                let facts = try await ServerProbe(cluster: "shop").facts(connection, deadline: .after(Self.limit))
                fault = facts.channels.first.map { $0.applierErrno == 0 ? "" : $0.applierFault } ?? ""
                return !fault.isEmpty
            }
            let remedy = "STOP REPLICA; RESET REPLICA; START REPLICA;"
            #expect(fault.contains(remedy), "\(fault)")
            #expect(try await b.sql("SELECT COUNT(*) < 5 FROM shop.t") == [["1"]])
            try await b.sql(remedy)
            try await b.catchUp(with: a)
            #expect(try await b.sql("SELECT COUNT(*), MIN(LENGTH(v)) FROM shop.t") == [["5", "2000"]])
        }
    }

    /// Writes nonsense over a header in the newest relay log that holds rows.
    private func damage(_ base: String) throws {
        let folder = URL(filePath: base).deletingLastPathComponent().path
        let name = URL(filePath: base).lastPathComponent + "."
        let logs = try FileManager.default.contentsOfDirectory(atPath: folder).filter { file in
            file.hasPrefix(name) && file.dropFirst(name.count).allSatisfy(\.isNumber)
        }
        for log in logs.sorted().reversed() {
            let file = try FileHandle(forUpdating: URL(filePath: "\(folder)/\(log)"))
            defer { try? file.close() }
            let size = Int(try file.seekToEnd())
            guard size > 8000 else { continue }
            try file.seek(toOffset: UInt64(size - 5000))
            try file.write(contentsOf: Data(repeating: 0xFF, count: 3000))
            return
        }
        throw TestBedError("no relay log with rows in \(folder)")
    }
}
