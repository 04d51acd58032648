import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// The seed's failover on real servers and routers.
@Suite(.serialized) struct FailoverTests {
    @Test func aKilledPrimaryComesBackAsReplica() async throws {
        try await withBackends(3) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1), (2)")
            try await b.catchUp(with: a)
            try await backends.watching {
                try await eventually("all agents see ok") {
                    backends.journal.count("state", "state", containing: "ok") == 3
                }
                await a.kill()
                try await eventually("every router leads to b") { try await backends.leads(to: b) }
                try await backends.routers[0].sql("INSERT INTO shop.t VALUES (3)")
                try await eventually("all agents see down") {
                    backends.journal.count("state", "state", containing: "down") == 3
                }
                #expect(backends.journal.signals.isEmpty, "something was done while the primary was down")
                try await a.start()
                try await eventually("a replicates from b", within: .seconds(60)) {
                    try await backends.isWhole(primary: b, replica: a)
                }
                try await eventually("all agents see ok again") {
                    backends.journal.all.filter { $0.message == "state" }.suffix(3).allSatisfy {
                        $0.metadata["state"] == "ok"
                    }
                }
            }
            #expect(try await backends.leads(to: b))
            try await a.catchUp(with: b)
            #expect(try await a.sql("SELECT id FROM shop.t ORDER BY id") == [["1"], ["2"], ["3"]])
            // No transaction of the replica's own: all that A has, B has.
            #expect(try await b.sql("SELECT GTID_SUBSET('\(a.gtidExecuted())', @@global.gtid_executed)") == [["1"]])
            let signals = backends.journal.signals
            #expect(signals.count { $0.hasPrefix("MAST") } == 1, "\(signals)")
            for word in ["SCAN", "MAST", "OPER fail", "TARG \(b.hostAndPort)", "FOLO", "FOOK", "MAOK"] {
                #expect(signals.contains { $0.hasPrefix(word) }, "\(word) is missing: \(signals)")
            }
            #expect(signals.count { $0.hasPrefix("FOOK") } == 2, "\(signals)")
        }
    }
}
