/// A set of global transaction identifiers: `uuid:1-9:12,uuid:tag:1-3`.
/// https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html
///
/// The diagnosis compares sets without asking a server, so that the same code can run where there is none.
public struct GTIDSet: Sendable, Hashable, CustomStringConvertible {
    /// Per source (`uuid` or `uuid:tag`, lower case) the numbers: sorted, disjoint, not adjacent.
    private var intervals: [String: [ClosedRange<UInt64>]] = [:]

    public init() {}

    /// Reads what MySQL prints, line breaks and spaces included.
    /// - Returns: nil if the text is not a GTID set.
    public init?(_ text: String) {
        for part in text.split(separator: ",") {
            let fields = part.split(separator: ":").map { field in
                String(field.filter { !$0.isWhitespace }).lowercased()
            }
            if fields == [""] || fields.isEmpty { continue }
            guard fields.count >= 2, Self.isUUID(fields[0]) else { return nil }
            var source = fields[0]
            for field in fields.dropFirst() {
                guard let first = field.first else { return nil }
                if first.isLetter || first == "_" {
                    source = fields[0] + ":" + field
                    continue
                }
                let ends = field.split(separator: "-", omittingEmptySubsequences: false)
                guard let low = UInt64(ends[0]), low > 0, ends.count <= 2 else { return nil }
                guard let high = ends.count == 2 ? UInt64(ends[1]) : low, high >= low, high < UInt64(Int64.max) else {
                    return nil
                }
                intervals[source, default: []].append(low...high)
            }
        }
        for (source, ranges) in intervals { intervals[source] = Self.normalised(ranges) }
    }

    private static func isUUID(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.count) == [8, 4, 4, 4, 12] && text.allSatisfy { $0 == "-" || $0.isHexDigit }
    }

    private static func normalised(_ ranges: [ClosedRange<UInt64>]) -> [ClosedRange<UInt64>] {
        var out: [ClosedRange<UInt64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = out.last, range.lowerBound <= last.upperBound + 1 {
                out[out.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                out.append(range)
            }
        }
        return out
    }

    public var isEmpty: Bool { intervals.isEmpty }

    /// How many transactions the set holds.
    public var count: UInt64 {
        intervals.values.joined().reduce(0) { $0 + ($1.upperBound - $1.lowerBound + 1) }
    }

    /// The part that came from one server.
    public func from(uuid: String) -> GTIDSet {
        var out = GTIDSet()
        let uuid = uuid.lowercased()
        out.intervals = intervals.filter { $0.key == uuid || $0.key.hasPrefix(uuid + ":") }
        return out
    }

    public func union(_ other: GTIDSet) -> GTIDSet {
        var out = self
        for (source, ranges) in other.intervals {
            out.intervals[source] = Self.normalised((intervals[source] ?? []) + ranges)
        }
        return out
    }

    public func subtracting(_ other: GTIDSet) -> GTIDSet {
        var out = GTIDSet()
        for (source, ranges) in intervals {
            let holes = other.intervals[source] ?? []
            let left = ranges.flatMap { Self.subtract(holes, from: $0) }
            if !left.isEmpty { out.intervals[source] = left }
        }
        return out
    }

    public func isSubset(of other: GTIDSet) -> Bool { subtracting(other).isEmpty }

    private static func subtract(
        _ holes: [ClosedRange<UInt64>], from range: ClosedRange<UInt64>
    ) -> [ClosedRange<UInt64>] {
        var out: [ClosedRange<UInt64>] = []
        var next = range.lowerBound
        for hole in holes where hole.overlaps(range) {
            if hole.lowerBound > next { out.append(next...hole.lowerBound - 1) }
            next = hole.upperBound + 1
        }
        if next <= range.upperBound { out.append(next...range.upperBound) }
        return out
    }

    public var description: String {
        intervals.sorted { $0.key < $1.key }.map { source, ranges in
            source
                + ranges.map { range in
                    range.count == 1 ? ":\(range.lowerBound)" : ":\(range.lowerBound)-\(range.upperBound)"
                }.joined()
        }.joined(separator: ",")
    }
}
