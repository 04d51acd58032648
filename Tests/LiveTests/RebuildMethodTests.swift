import Foundation
import Glibc
import MySQLWire
import Synchronization
import TestBed
import Testing

@testable import Watchdog

/// The method between GTID rejoin and dump: the clone plugin, on real servers.
@Suite(.serialized) struct RebuildMethodTests {
    /// Breaks b's replication by a row of its own, with an event that works every second on a.
    private func breakReplication(_ backends: Backends) async throws {
        let (a, b) = (backends.cluster.a, backends.cluster.b)
        try await a.sql(
            """
            CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO shop.t VALUES (1, 'one');
            CREATE TABLE shop.ticks (at DATETIME(6));
            CREATE DEFINER = 'app'@'%' EVENT shop.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.ticks VALUES (NOW(6));
            """)
        try await b.catchUp(with: a)
        try await b.sql("INSERT INTO shop.t VALUES (2, 'only on b')")
        try await a.sql("INSERT INTO shop.t VALUES (2, 'on a'), (3, 'three')")
        try await eventually("the applier stops at the conflict") {
            try await b.sql("SELECT service_state FROM performance_schema.replication_applier_status") == [["OFF"]]
        }
    }

    /// Everything that must hold when it is over, whichever method it was.
    private func expectWhole(_ backends: Backends) async throws {
        let (a, b) = (backends.cluster.a, backends.cluster.b)
        #expect(try await backends.isWhole(primary: a, replica: b))
        #expect(
            try await b.sql("SELECT id, v FROM shop.t ORDER BY id") == [["1", "one"], ["2", "on a"], ["3", "three"]])
        #expect(
            try await b.sql("SELECT STATUS, DEFINER FROM information_schema.EVENTS WHERE EVENT_NAME = 'tick'") == [
                ["REPLICA_SIDE_DISABLED", "app@%"]
            ])
        #expect(try await b.sql("SELECT @@global.event_scheduler, @@global.super_read_only") == [["ON", "0"]])
        // The event has worked on a alone since, and b follows.
        let ticks = try await b.sql("SELECT COUNT(*) FROM shop.ticks")
        try await eventually("b receives what the event writes on a") {
            try await b.sql("SELECT COUNT(*) FROM shop.ticks") != ticks
        }
        try await a.sql("ALTER EVENT shop.tick DISABLE")
        try await b.catchUp(with: a)
        #expect(try await a.gtidExecuted() == b.gtidExecuted(), "the replica has transactions of its own")
        #expect(try await a.sql("CHECKSUM TABLE shop.t, shop.ticks") == b.sql("CHECKSUM TABLE shop.t, shop.ticks"))
        #expect(
            try await b.sql("SHOW DATABASES LIKE 'ongoing%'").isEmpty, "a ledger or a marker is left on the replica")
        let saved = try #require(backends.journal.all.first { $0.message == "saved" })
        #expect(try await Shell.run("zcat", try #require(saved.metadata["file"])).contains("only on b"))
    }

    private func methods(_ backends: Backends) -> [String] {
        backends.journal.all.filter { $0.message == "rebuild method" }.map {
            "\($0.metadata["method"] ?? "") \($0.metadata["used"]?.prefix(3) ?? "")"
        }
    }

    @Test(.timeLimit(.minutes(6))) func aReplicaIsClonedWhereThatIsAllowed() async throws {
        try await withBackends(2) { backends in
            let b = backends.cluster.b
            try await breakReplication(backends)
            // A clone takes what is prepared on the source along, and what is prepared on the replica goes before it.
            for (server, xid, row) in [(backends.cluster.a, "'of-a'", 4), (b, "'of-b'", 5)] {
                try await server.sql(
                    "XA START \(xid); INSERT INTO shop.t VALUES (\(row), ''); XA END \(xid); XA PREPARE \(xid)")
            }
            let wanted = backends.folders[0].path + "/start"
            var backends = backends
            backends.rebuild = .init(clone: true, restart: ["/usr/bin/touch", wanted], restartTimeout: .seconds(60))
            // As an init system does it, once it was told.
            let starter = Task {
                while !Task.isCancelled {
                    if access(wanted, F_OK) == 0, b.pid == nil {
                        unlink(wanted)
                        try await b.start()
                    }
                    try? await Task.sleep(for: .milliseconds(50))
                }
            }
            let reports = await backends.passes()
            starter.cancel()
            _ = await starter.result
            for report in reports {
                let report = try report.get()
                #expect(report.state == .ok && report.exitStatus == 0, "\(report)")
            }
            #expect(methods(backends) == ["gtid no:", "clone yes"])
            #expect(backends.journal.count("cloned") == 1)
            #expect(backends.journal.count("copied") == 0)
            #expect(try await b.sql("XA RECOVER CONVERT XID") == [["1", "4", "0", "0x6F662D61"]])
            try await backends.cluster.a.sql("XA COMMIT 'of-a'")
            try await b.catchUp(with: backends.cluster.a)
            #expect(try await b.sql("SELECT id FROM shop.t WHERE id > 3") == [["4"]])
            try await backends.cluster.a.sql("DELETE FROM shop.t WHERE id = 4")
            try await b.catchUp(with: backends.cluster.a)
            try await expectWhole(backends)
        }
    }

    @Test(.timeLimit(.minutes(6))) func aCloneThatFailsIsFollowedByADump() async throws {
        try await withBackends(1) { backends in
            let a = backends.cluster.a
            try await breakReplication(backends)
            // So that the donor refuses, after the recipient was made ready.
            try await a.sql("SET sql_log_bin = 0; REVOKE BACKUP_ADMIN ON *.* FROM watchdog")
            var backends = backends
            backends.rebuild = .init(clone: true, restart: ["/bin/false"])
            let report = try #require(await backends.passes().first).get()
            #expect(report.state == .ok && report.exitStatus == 0, "\(report)")
            #expect(methods(backends) == ["gtid no:", "clone yes", "dump yes"])
            #expect(backends.journal.count("clone failed") == 1)
            #expect(backends.journal.count("copied") == 1)
            try await expectWhole(backends)
        }
    }
}
