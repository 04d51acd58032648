import Foundation
import MySQLWire
import Synchronization

/// A cluster under load, and the faults that are done to it one after the other, each judged when the cluster is whole
/// again.
public final class Trial: Sendable {
    public let cluster: HostCluster
    public let writers: Writers
    public let observer: Observer
    private let first: String
    /// Promotions that a test did itself, without agents.
    private let byHand = Mutex<[String]>([])
    /// Promotions whose record an operator has dropped.
    private let dropped = Mutex<[String]>([])
    private let losses = Mutex<[Loss]>([])

    /// An operator gave up what a server had acknowledged in this time, as far as the other one did not have it.
    private struct Loss {
        var server: String
        var time: ClosedRange<ContinuousClock.Instant>
    }

    /// Waits until agents (or the test) have opened a primary, and starts the writers.
    public init(_ cluster: HostCluster, perSecond: Int = 100, sessionsPerHost: Int = 2) async throws {
        self.cluster = cluster
        writers = Writers(cluster, perSecond: perSecond, sessionsPerHost: sessionsPerHost)
        observer = Observer(cluster)
        let primary = try await cluster.settled(hold: .zero, within: .seconds(60))
        first = primary.savedUUID
        observer.noteReplica(cluster.other(than: primary))
        writers.start()
        observer.start()
        try await cluster.settled(writers, hold: .seconds(1))
    }

    public func notePromotion(of server: MySQLServer) { byHand.withLock { $0.append(server.savedUUID) } }

    func forgotten(_ promotions: [String]) { dropped.withLock { $0 += promotions } }

    /// The operator's word that rows may be lost: those are looked for in what the agents have saved.
    func acceptLoss(of server: MySQLServer, _ time: ClosedRange<ContinuousClock.Instant>) {
        losses.withLock { $0.append(Loss(server: server.savedUUID, time: time)) }
    }

    /// The rows that need not be on the primary, because a dump has them.
    private func saved(_ writes: [Write]) throws -> Set<RowID>? {
        if !cluster.options.semiSync { return try cluster.savedRows() }
        let losses = losses.withLock { $0 }
        guard !losses.isEmpty else { return nil }
        let given = writes.filter { write in
            losses.contains { $0.server == write.server && $0.time.contains(write.answered) }
        }
        return try cluster.savedRows().intersection(given.map(\.row))
    }

    /// One fault from its beginning to the judgement.
    public struct Round: Sendable {
        public var fault: Fault
        public var before: String
        public var after: String
        public var outage: Outage
        /// From the fault until all was whole again, the time that the fault itself lasted included.
        public var whole: Duration
        public var notes: [String]
        public var verdict: Verdict
        public var wasFailover: Bool { before != after }
    }

    /// Does `fault`, waits until the cluster is whole again, and judges.
    /// - Parameter begins: told the primary in the moment in which the fault begins.
    /// - Throws: where the cluster does not become whole.
    public func round(
        _ fault: Fault, seed: UInt64, begins: @escaping @Sendable (MySQLServer) -> Void = { _ in }
    ) async throws -> Round {
        let before = try await cluster.settled(writers, hold: .milliseconds(500))
        if fault.replication != .asynchronous { try await cluster.takenForSynchronous() }
        observer.noteReplica(cluster.other(than: before))
        let context = Fault.Context(self, primary: before, seed: seed, begins: begins)
        do {
            try await fault.run(context)
        } catch {
            try? cluster.network?.heal()
            throw TestBedError("\(fault): \(error)")
        }
        let after = try await cluster.settled(writers)
        let end = ContinuousClock.now
        let began = context.began ?? end
        let outage = Outage(writers.log, fault: began, end: end, host: writers.host(of:))
        var verdict = try await judge(primary: after)
        if let problem = fault.expectation.violation(before: before.name, after: after.name) {
            verdict.violations.append("\(fault): \(problem)")
        }
        verdict.violations += context.violations
        return Round(
            fault: fault, before: before.name, after: after.name, outage: outage, whole: began.duration(to: end),
            notes: context.notes, verdict: verdict)
    }

    /// What must hold at any time in which the cluster is whole, the writers at work.
    public func judge(primary: MySQLServer) async throws -> Verdict {
        let writes = writers.log.all
        let rows = try await Oracle.rows(of: primary)
        var verdict = Oracle.judgeRows(writes, primary: rows, saved: try saved(writes))
        let promotions =
            try await [first] + dropped.withLock { $0 } + cluster.promotions(on: primary) + byHand.withLock { $0 }
        verdict.violations += Oracle.judgeOrder(writes, promotions: promotions)
        verdict.violations += observer.errant.map { "errant: \($0)" }
        return verdict
    }

    /// Ends the writers and judges what is left: the same on both servers, nothing of an operation anywhere.
    public func finish() async throws -> Verdict {
        await writers.stop()
        let primary = try await cluster.settled(within: .seconds(60))
        let replica = cluster.other(than: primary)
        try await replica.catchUp(with: primary, within: .seconds(60))
        var verdict = try await judge(primary: primary)
        await observer.stop()
        for server in [primary, replica] {
            verdict.holdings.append(
                Verdict.Holding(
                    server: server.name, executed: try await server.gtidExecuted(),
                    checksum: try await server.sql("CHECKSUM TABLE shop.written").first?.last ?? ""))
        }
        let (own, other) = (verdict.holdings[0], verdict.holdings[1])
        if own.executed != other.executed {
            verdict.violations.append(
                "gtid_executed differs: \(own.executed) on the primary, \(other.executed) on the replica")
        }
        if own.checksum != other.checksum {
            verdict.violations.append(
                "checksums differ: \(own.checksum) on the primary, \(other.checksum) on the replica")
        }
        return verdict
    }

    /// All writes with times in seconds since the first, for reading after a failure.
    public func timeline() -> String {
        let writes = writers.log.all
        guard let start = writes.first?.sent else { return "" }
        return writes.map { write in
            let times = [write.sent, write.answered].map {
                String(format: "%.3f", start.duration(to: $0) / .seconds(1))
            }
            return "\(times[0]) \(times[1]) \(write.row) \(write.server) \(write.outcome)"
        }.joined(separator: "\n") + "\n"
    }
}
