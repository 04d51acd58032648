import Foundation
import MySQLWire
import TestBed
import Testing

/// The judge of the scenarios must be able to say no: clusters without agents, with faults made by hand.
@Suite(.serialized) struct OracleTests {
    private func withTrial(
        ownNetworks: Bool = false, _ body: (Trial) async throws -> Void
    ) async throws {
        var options = HostCluster.Options()
        options.ownNetworks = ownNetworks
        try await withHostCluster(options) { cluster in
            try await open(cluster.a)
            try await cluster.a.sql("SET GLOBAL rpl_semi_sync_source_enabled = ON")
            let trial = try await Trial(cluster)
            try await body(trial)
            await trial.writers.stop()
            await trial.observer.stop()
        }
    }

    private func open(_ server: MySQLServer) async throws {
        try await server.sql("SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF")
    }

    private func promote(_ server: MySQLServer) async throws {
        try await server.sql(
            "STOP REPLICA; RESET REPLICA ALL; SET GLOBAL rpl_semi_sync_source_enabled = OFF")
        try await open(server)
    }

    @Test func aSwitchoverByHandIsNoViolation() async throws {
        try await withTrial { trial in
            let (a, b) = (trial.cluster.a, trial.cluster.b)
            try await a.sql("SET GLOBAL super_read_only = ON")
            try await b.catchUp(with: a)
            try await promote(b)
            trial.notePromotion(of: b)
            try await a.sql("SET GLOBAL rpl_semi_sync_source_enabled = OFF")
            try await a.replicate(from: b)
            try await b.sql("SET GLOBAL rpl_semi_sync_source_enabled = ON")
            for backend in trial.cluster.backends { try await backend.lead(to: b) }
            #expect(try await trial.cluster.settled(trial.writers).name == "b")
            let verdict = try await trial.finish()
            #expect(verdict.violations.isEmpty)
            #expect(Set(trial.writers.log.all.map(\.server)) == [a.savedUUID, b.savedUUID])
            #expect(verdict.acknowledged > 100, "\(verdict.summary)")
            #expect(trial.observer.bothOpen == .zero)
        }
    }

    @Test func twoServersThatTakeWritesAreFound() async throws {
        try await withTrial { trial in
            let (a, b) = (trial.cluster.a, trial.cluster.b)
            try await a.sql("SET GLOBAL rpl_semi_sync_source_enabled = OFF")
            try await promote(b)
            trial.notePromotion(of: b)
            for backend in trial.cluster.backends.dropFirst() { try await backend.lead(to: b) }
            let start = ContinuousClock.now
            try await eventually("both servers acknowledge rows") {
                Set(trial.writers.log.acknowledged(since: start).map(\.server)).count == 2
                    && trial.writers.log.acknowledged(since: start).count > 100
            }
            try await eventually("the observer sees both open") { trial.observer.bothOpen > .zero }
            await trial.writers.stop()
            let verdict = try await trial.judge(primary: b)
            #expect(verdict.violations.contains { $0.contains("acknowledged rows are lost") }, "\(verdict)")
            #expect(verdict.violations.contains { $0.contains("no promotion lies between") }, "\(verdict)")
            _ = a
        }
    }

    @Test func aTransactionOfTheReplicasOwnIsFound() async throws {
        try await withTrial { trial in
            let b = trial.cluster.b
            try await b.sql(
                "SET GLOBAL super_read_only = OFF; INSERT INTO shop.written (writer, n, item) VALUES (99, 1, 'own')")
            try await b.sql("SET GLOBAL super_read_only = ON")
            try await eventually("the observer sees it") { !trial.observer.errant.isEmpty }
            await trial.writers.stop()
            let verdict = try await trial.judge(primary: trial.cluster.a)
            #expect(verdict.violations.contains { $0.hasPrefix("errant: b has \(b.savedUUID):1,") }, "\(verdict)")
        }
    }

    @Test(.enabled(if: HostNetwork.isPossible, "needs root and iproute2"))
    func cutsBetweenHostsStopTheirPacketsAlone() async throws {
        try await withTrial(ownNetworks: true) { trial in
            let network = try #require(trial.cluster.network)
            func hostsThatWrite() async -> Set<Int> {
                let start = ContinuousClock.now
                try? await eventually("rows for a second") { .now - start > .seconds(1) }
                return Set(trial.writers.log.acknowledged(since: start).map { trial.writers.host(of: $0.row.writer) })
            }
            // Read before the cut: it takes a while, and the one row it catches may be sent within that.
            let cut = ContinuousClock.now
            try network.cut(["web1"], from: ["a"])
            try await eventually("only web1 is cut off") { await hostsThatWrite() == [2, 3] }
            // Nothing said no: a row of web1 had to wait for its deadline.
            try await eventually("a row of web1 is without an answer") {
                trial.writers.log.all.contains {
                    $0.answered > cut && trial.writers.host(of: $0.row.writer) == 1 && $0.outcome == .unknown
                        && $0.sent.duration(to: $0.answered) > .milliseconds(1900)
                }
            }
            try network.heal()
            try await eventually("all write again") { await hostsThatWrite() == [1, 2, 3] }
            // One way alone: replication stands still, and with it, in semi-sync, every write.
            try network.cut([.init(from: "a", to: "b")])
            try await eventually("nobody writes") { await hostsThatWrite().isEmpty }
            try network.heal()
            try await eventually("all write again") { await hostsThatWrite() == [1, 2, 3] }
            #expect(try network.spoil("a") != "")
            try network.unspoil("a")
            try await trial.cluster.settled(trial.writers)
            let verdict = try await trial.finish()
            #expect(verdict.violations.isEmpty)
        }
    }

    // MARK: The rules alone

    private func write(
        _ n: Int, by server: String, at second: Int, _ outcome: Write.Outcome = .acknowledged
    ) -> Write {
        let at = Self.start + .seconds(second)
        return Write(row: RowID(writer: 1, n: n), server: server, sent: at, answered: at, outcome: outcome)
    }
    private static let start = ContinuousClock.now

    @Test func theOrderOfAcknowledgementsFollowsThePromotions() {
        let there = [write(1, by: "A", at: 1), write(2, by: "B", at: 2), write(3, by: "A", at: 3)]
        #expect(Oracle.judgeOrder(there, promotions: ["A", "B", "A"]).isEmpty)
        #expect(Oracle.judgeOrder(there, promotions: ["A", "B", "A", "B"]).isEmpty)
        #expect(Oracle.judgeOrder(there, promotions: ["A", "B"]).count == 1)
        #expect(Oracle.judgeOrder(there, promotions: ["A"]).count == 1)
        let refused = [write(1, by: "A", at: 1), write(2, by: "B", at: 2), write(3, by: "A", at: 3, .unknown)]
        #expect(Oracle.judgeOrder(refused, promotions: ["A", "B"]).isEmpty)
    }

    @Test func rowsAreCountedByWhatTheClientWasTold() {
        let rows = Oracle.Rows([(1, 1...2), (1, 5...5), (2, 4...4)])
        for n in [1, 2, 5] { #expect(rows.contains(RowID(writer: 1, n: n))) }
        for n in [0, 3, 4, 6] { #expect(!rows.contains(RowID(writer: 1, n: n))) }
        let writes = [
            write(1, by: "A", at: 1), write(3, by: "A", at: 2), write(4, by: "A", at: 3),
            write(2, by: "A", at: 4, .unknown), write(5, by: "A", at: 5, .refused(1290)),
        ]
        let strict = Oracle.judgeRows(writes, primary: rows, saved: nil)
        #expect(strict.violations == ["2 acknowledged rows are lost: [\"1:3\", \"1:4\"]"])
        let lenient = Oracle.judgeRows(writes, primary: rows, saved: [RowID(writer: 1, n: 3)])
        #expect(lenient.violations == ["1 acknowledged rows are lost: [\"1:4\"]"])
        let counts = [lenient.acknowledged, lenient.savedOnly, lenient.unknownButThere, lenient.refusedButThere]
        #expect(counts == [3, 1, 1, 1])
    }
}
