import Synchronization

/// One row that a writer sent, and what it was told about it.
public struct Write: Sendable {
    public enum Outcome: Sendable, Hashable {
        case acknowledged
        /// An ERR packet with this number: the row must not be there.
        case refused(UInt16)
        /// No answer: the row may be there or not.
        case unknown
    }
    public var row: RowID
    /// The server at the other end of the router, by its server_uuid.
    public var server: String
    public var sent: ContinuousClock.Instant
    public var answered: ContinuousClock.Instant
    public var outcome: Outcome

    public init(
        row: RowID, server: String, sent: ContinuousClock.Instant, answered: ContinuousClock.Instant, outcome: Outcome
    ) {
        self.row = row
        self.server = server
        self.sent = sent
        self.answered = answered
        self.outcome = outcome
    }
}

/// The key of a row: no two writes have the same.
public struct RowID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var writer: Int
    public var n: Int
    public init(writer: Int, n: Int) {
        self.writer = writer
        self.n = n
    }
    public var description: String { "\(writer):\(n)" }
    public static func < (lhs: RowID, rhs: RowID) -> Bool { (lhs.writer, lhs.n) < (rhs.writer, rhs.n) }
}

/// All writes of a run, in the order in which their answers came.
public final class WriteLog: Sendable {
    private let writes = Mutex<[Write]>([])

    public init() {}

    public func add(_ write: Write) { writes.withLock { $0.append(write) } }

    public var all: [Write] { writes.withLock { $0 } }

    public var acknowledgedCount: Int { writes.withLock { $0.count { $0.outcome == .acknowledged } } }

    /// Acknowledged ones whose answer came at or after `start`.
    public func acknowledged(since start: ContinuousClock.Instant) -> [Write] {
        writes.withLock { $0.filter { $0.outcome == .acknowledged && $0.answered >= start } }
    }

    public func lastAcknowledged(before end: ContinuousClock.Instant) -> Write? {
        writes.withLock { $0.last { $0.outcome == .acknowledged && $0.answered < end } }
    }
}

/// How long the application could not write, around a fault.
public struct Outage: Sendable {
    /// From the fault to the first row that a server acknowledged which is not the one that served before. Nil: it
    /// stayed with the same server.
    public var toFirstOnOther: Duration?
    /// From the last row of the former server to the first of the other one.
    public var gap: Duration?
    /// The same for each host by itself, in the order of the hosts; one that has written nothing to the other server
    /// is left out.
    public var byHost: [OfHost] = []
    /// The longest time in which no writer had a row acknowledged, from the fault on.
    public var longestPause: Duration

    public struct OfHost: Sendable {
        public var host: Int
        /// From the fault to the first row that the other server acknowledged to this host.
        public var toFirstOnOther: Duration
        /// From this host's last row on the former server to that one.
        public var gap: Duration
    }

    /// - Parameter host: the host of a writer.
    public init(
        _ log: WriteLog, fault: ContinuousClock.Instant, end: ContinuousClock.Instant, host: (_ writer: Int) -> Int
    ) {
        let before = log.lastAcknowledged(before: fault)
        let after = log.acknowledged(since: fault)
        var last = before?.answered ?? fault
        longestPause = .zero
        for write in after where write.answered <= end {
            longestPause = max(longestPause, last.duration(to: write.answered))
            last = write.answered
        }
        longestPause = max(longestPause, last.duration(to: end))
        guard let before, let first = after.first(where: { $0.server != before.server }) else { return }
        toFirstOnOther = fault.duration(to: first.answered)
        var firsts: [Int: Write] = [:]
        for write in after.reversed() where write.server == first.server { firsts[host(write.row.writer)] = write }
        let lastOnFormer = after.last { $0.server == before.server && $0.answered < first.answered } ?? before
        gap = lastOnFormer.answered.duration(to: first.answered)
        var lasts: [Int: Write] = [:]
        for write in log.all where write.outcome == .acknowledged && write.server == before.server {
            let own = host(write.row.writer)
            if let first = firsts[own], write.answered < first.answered { lasts[own] = write }
        }
        byHost = firsts.sorted { $0.key < $1.key }.map { host, first in
            OfHost(
                host: host, toFirstOnOther: fault.duration(to: first.answered),
                gap: (lasts[host]?.answered ?? fault).duration(to: first.answered))
        }
    }
}
