/// A set of global transaction identifiers: `uuid:1-9:12,uuid:tag:1-3`.
/// https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html
///
/// The diagnosis compares sets without asking a server, so that the same code can run where there is none. Sets are
/// compared far more often than they are read: sources are numbers and not text, and a comparison allocates nothing.
package struct GTIDSet: Sendable, Hashable, CustomStringConvertible {
    /// What transactions come from: a server, and the tag that a session gave them.
    private struct Source: Sendable, Hashable, Comparable {
        var high: UInt64
        var low: UInt64
        /// Lower case; mostly empty.
        var tag: String

        static func < (a: Source, b: Source) -> Bool {
            if a.high != b.high { return a.high < b.high }
            if a.low != b.low { return a.low < b.low }
            return a.tag < b.tag
        }
    }

    private struct Entry: Sendable, Hashable {
        var source: Source
        /// Sorted, disjoint, not adjacent, never empty.
        var ranges: [ClosedRange<UInt64>]
    }

    /// Sorted by source.
    private var entries: [Entry] = []

    package init() {}

    // MARK: Text

    /// Reads what MySQL prints, line breaks and spaces included.
    /// - Returns: nil if the text is not a GTID set.
    package init?(_ text: String) {
        for part in text.split(separator: ",") {
            let fields = part.split(separator: ":").map { field in
                String(field.filter { !$0.isWhitespace }).lowercased()
            }
            if fields == [""] || fields.isEmpty { continue }
            guard fields.count >= 2, var source = Self.source(fields[0]) else { return nil }
            for field in fields.dropFirst() {
                guard let first = field.first else { return nil }
                if first.isLetter || first == "_" {
                    source.tag = field
                    continue
                }
                let ends = field.split(separator: "-", omittingEmptySubsequences: false)
                guard let low = UInt64(ends[0]), low > 0, ends.count <= 2 else { return nil }
                guard let high = ends.count == 2 ? UInt64(ends[1]) : low, high >= low, high < UInt64(Int64.max) else {
                    return nil
                }
                add([low...high], from: source)
            }
        }
    }

    /// Reads `8-4-4-4-12` hexadecimal digits of either case.
    private static func source(_ uuid: String) -> Source? {
        var source = Source(high: 0, low: 0, tag: "")
        var place = 0
        for byte in uuid.utf8 {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            case UInt8(ascii: "-"):
                guard place == 8 || place == 13 || place == 18 || place == 23 else { return nil }
                place += 1
                continue
            default: return nil
            }
            guard place != 8, place != 13, place != 18, place != 23, place < 36 else { return nil }
            if place < 18 {
                source.high = source.high << 4 | UInt64(digit)
            } else {
                source.low = source.low << 4 | UInt64(digit)
            }
            place += 1
        }
        return place == 36 ? source : nil
    }

    private static func text(_ source: Source) -> String {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        let digits = Array(hex(source.high) + hex(source.low))
        let groups = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }
        return groups.joined(separator: "-") + (source.tag.isEmpty ? "" : ":" + source.tag)
    }

    package var description: String {
        entries.map { entry in
            Self.text(entry.source)
                + entry.ranges.map { range in
                    range.count == 1 ? ":\(range.lowerBound)" : ":\(range.lowerBound)-\(range.upperBound)"
                }.joined()
        }.joined(separator: ",")
    }

    // MARK: Sets

    package var isEmpty: Bool { entries.isEmpty }

    /// How many transactions the set holds.
    package var count: UInt64 {
        var sum: UInt64 = 0
        for entry in entries {
            for range in entry.ranges { sum += range.upperBound - range.lowerBound + 1 }
        }
        return sum
    }

    /// The part that came from one server, whatever its tags.
    package func from(uuid: String) -> GTIDSet {
        guard let wanted = Self.source(uuid) else { return GTIDSet() }
        var out = GTIDSet()
        out.entries = entries.filter { $0.source.high == wanted.high && $0.source.low == wanted.low }
        return out
    }

    /// What a server that has this set holds and its source lacks, but for what the source itself made: that may wait there
    /// for an acknowledgement, or be missing in a set that was read a moment earlier.
    /// - Parameter uuid: server_uuid of the source.
    package func errant(beside source: GTIDSet, of uuid: String) -> GTIDSet {
        let surplus = subtracting(source)
        return surplus.subtracting(surplus.from(uuid: uuid))
    }

    /// What a server that has this set holds of the source's own transactions and the source lacks: it has lost them, or
    /// they wait there for an acknowledgement, or its set was read a moment earlier.
    package func lost(by source: GTIDSet, of uuid: String) -> GTIDSet { subtracting(source).from(uuid: uuid) }

    package func union(_ other: GTIDSet) -> GTIDSet {
        if other.entries.isEmpty || entries == other.entries { return self }
        if entries.isEmpty { return other }
        var out = self
        for entry in other.entries { out.add(entry.ranges, from: entry.source) }
        return out
    }

    package func subtracting(_ other: GTIDSet) -> GTIDSet {
        if entries.isEmpty || other.entries.isEmpty { return self }
        var out = GTIDSet()
        if isSubset(of: other) { return out }
        for entry in entries {
            let holes = other.ranges(of: entry.source)
            let left = holes.isEmpty ? entry.ranges : entry.ranges.flatMap { Self.subtract(holes, from: $0) }
            if !left.isEmpty { out.entries.append(Entry(source: entry.source, ranges: left)) }
        }
        return out
    }

    package func isSubset(of other: GTIDSet) -> Bool {
        var at = 0
        for entry in entries {
            while at < other.entries.count, other.entries[at].source < entry.source { at += 1 }
            guard at < other.entries.count, other.entries[at].source == entry.source,
                Self.covers(other.entries[at].ranges, entry.ranges)
            else { return false }
        }
        return true
    }

    // MARK: Ranges

    private func place(of source: Source) -> (index: Int, found: Bool) {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].source < source { low = middle + 1 } else { high = middle }
        }
        return (low, low < entries.count && entries[low].source == source)
    }

    private func ranges(of source: Source) -> [ClosedRange<UInt64>] {
        let (index, found) = place(of: source)
        return found ? entries[index].ranges : []
    }

    private mutating func add(_ ranges: [ClosedRange<UInt64>], from source: Source) {
        let (index, found) = place(of: source)
        if found {
            if Self.covers(entries[index].ranges, ranges) { return }
            entries[index].ranges = Self.normalised(entries[index].ranges + ranges)
        } else {
            entries.insert(Entry(source: source, ranges: Self.normalised(ranges)), at: index)
        }
    }

    /// Whether every part lies within one of the ranges; both sorted.
    private static func covers(_ ranges: [ClosedRange<UInt64>], _ parts: [ClosedRange<UInt64>]) -> Bool {
        var at = 0
        for part in parts {
            while at < ranges.count, ranges[at].upperBound < part.lowerBound { at += 1 }
            guard at < ranges.count, ranges[at].lowerBound <= part.lowerBound,
                part.upperBound <= ranges[at].upperBound
            else { return false }
        }
        return true
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
}
