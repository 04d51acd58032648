/// Durations as people write them: `500ms`, `2s`, `5m`, `1h`, also `1.5s`.
package enum DurationText {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// - Returns: nil if the text is no number directly followed by ms, s, m or h, or is longer than 292 years.
    package static func parse(_ text: String) -> Duration? {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let unit = units.first(where: { $0.name == text[number.endIndex...] }) else { return nil }
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ Int64($0) }) else { return nil }
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit.nanoseconds)
        if overflow { return nil }
        guard parts.count == 2 else { return .nanoseconds(product) }
        // Up to nine digits behind the point: no unit is finer than that, and nothing overflows.
        guard (1...9).contains(parts[1].count), let digits = Int64(parts[1]) else { return nil }
        var scale: Int64 = 1
        for _ in parts[1] { scale *= 10 }
        let fraction = unit.nanoseconds >= scale ? unit.nanoseconds / scale * digits : digits * unit.nanoseconds / scale
        let (sum, tooLong) = product.addingReportingOverflow(fraction)
        return tooLong ? nil : .nanoseconds(sum)
    }

    /// The shortest text that `parse` reads back as the same duration, to the millisecond.
    package static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if milliseconds != 0 {
            let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
            return overflow ? "\(seconds)s" : "\(product + milliseconds)ms"
        }
        if seconds != 0, seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        if seconds != 0, seconds % 60 == 0 { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }
}
