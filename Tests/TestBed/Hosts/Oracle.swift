import Foundation

/// Judges a run by what its writers were told and what the servers hold.
public struct Verdict: Sendable {
    public var acknowledged = 0
    public var refused = 0
    public var unknown = 0
    /// Without an answer, and there all the same: allowed.
    public var unknownButThere = 0
    /// Refused, and there all the same: the client was told something that is not so.
    public var refusedButThere = 0
    /// Acknowledged and not on the primary, but in a dump that an agent has saved.
    public var savedOnlyRows: [RowID] = []
    public var savedOnly: Int { savedOnlyRows.count }
    /// Acknowledged, and neither on the primary nor in such a dump where one counts.
    public var lost: [RowID] = []
    /// What both servers hold at the end, the primary first.
    public var holdings: [Holding] = []
    public struct Holding: Sendable {
        public var server: String
        public var executed: String
        /// Of the writers' table.
        public var checksum: String
    }
    public var violations: [String] = []
    public init() {}

    public var summary: String {
        "\(acknowledged) acknowledged, \(refused) refused (\(refusedButThere) of them there), "
            + "\(unknown) without an answer (\(unknownButThere) of them there), \(savedOnly) only in a saved dump, "
            + "\(violations.count) violations"
    }
}

public enum Oracle {
    /// The rows of one server as ranges of consecutive numbers, by writer.
    public struct Rows: Sendable {
        private var ranges: [Int: [ClosedRange<Int>]] = [:]
        public init(_ ranges: [(writer: Int, range: ClosedRange<Int>)]) {
            for (writer, range) in ranges { self.ranges[writer, default: []].append(range) }
            for writer in self.ranges.keys { self.ranges[writer]?.sort { $0.lowerBound < $1.lowerBound } }
        }

        public func contains(_ row: RowID) -> Bool {
            guard let own = ranges[row.writer] else { return false }
            var (low, high) = (0, own.count)
            while low < high {
                let middle = (low + high) / 2
                if own[middle].upperBound < row.n { low = middle + 1 } else { high = middle }
            }
            return low < own.count && own[low].contains(row.n)
        }
    }

    /// What must hold of the rows: each acknowledged one is on the primary, or, where that is allowed, in `saved`.
    /// - Parameter saved: nil: nothing but the primary counts (semi-sync without a fallback).
    public static func judgeRows(_ writes: [Write], primary: Rows, saved: Set<RowID>?) -> Verdict {
        var verdict = Verdict()
        for write in writes {
            let there = primary.contains(write.row)
            switch write.outcome {
            case .acknowledged:
                verdict.acknowledged += 1
                if there { continue }
                if let saved, saved.contains(write.row) {
                    verdict.savedOnlyRows.append(write.row)
                } else {
                    verdict.lost.append(write.row)
                }
            case .refused:
                verdict.refused += 1
                if there { verdict.refusedButThere += 1 }
            case .unknown:
                verdict.unknown += 1
                if there { verdict.unknownButThere += 1 }
            }
        }
        if !verdict.lost.isEmpty {
            let first = verdict.lost.sorted().prefix(20).map(\.description)
            verdict.violations.append("\(verdict.lost.count) acknowledged rows are lost: \(first)")
        }
        return verdict
    }

    /// What must hold of the order: writes are acknowledged by one server at a time, and the server changes only to one
    /// that was promoted. So the servers in the order of the answers, repetitions dropped, must be found in this order
    /// in `promotions` (which begins with the first primary).
    public static func judgeOrder(_ writes: [Write], promotions: [String]) -> [String] {
        var position = 0
        var current: Write?
        var violations: [String] = []
        for write in writes.filter({ $0.outcome == .acknowledged }).sorted(by: { $0.answered < $1.answered }) {
            if write.server == current?.server {
                current = write
                continue
            }
            if let next = promotions[min(position, promotions.count)...].firstIndex(of: write.server) {
                position = next
                current = write
                continue
            }
            let before = current.map { "\($0.answered.duration(to: write.answered)) after \($0.row) by \($0.server)" }
            violations.append(
                "row \(write.row) was acknowledged by \(write.server), \(before ?? "the first of all"), "
                    + "and no promotion lies between")
            if violations.count >= 20 { break }
        }
        return violations
    }

    /// Reads the rows of one server.
    public static func rows(of server: MySQLServer) async throws -> Rows {
        let answer = try await server.ask(
            """
            SELECT writer, MIN(n), MAX(n) FROM
              (SELECT writer, n, CAST(n AS SIGNED) - ROW_NUMBER() OVER (PARTITION BY writer ORDER BY n) AS island
               FROM shop.written) numbered
            GROUP BY writer, island
            """, within: .seconds(30))
        return Rows(
            try answer.map { row in
                guard row.count == 3, let writer = row[0].flatMap({ Int($0) }), let first = row[1].flatMap({ Int($0) }),
                    let last = row[2].flatMap({ Int($0) }), first <= last
                else { throw TestBedError("no such rows: \(row)") }
                return (writer, first...last)
            })
    }
}
