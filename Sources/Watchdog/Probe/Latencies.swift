import Histogram

/// Times of one stage, in an HdrHistogram: the memory is bounded by the range, not by the number of values, and
/// percentiles are never interpolated.
package struct Latencies: Sendable {
    /// How exact percentiles are.
    package enum Precision: Sendable {
        /// To 0.1 %.
        case fine
        /// To 1 %, in an eighth of the memory, for hundreds of hosts at once.
        case coarse
    }

    private var histogram: Histogram<UInt32>
    private let ceiling: UInt64
    private var lowest: UInt64 = .max
    private var highest: UInt64 = 0

    /// - Parameter longest: what is longer counts as this long in percentiles; `max` stays exact. Between 1 ms and a day.
    package init(longest: Duration, precision: Precision = .fine) {
        ceiling = Swift.min(Swift.max(Self.nanoseconds(longest), 1_000_000), 86_400_000_000_000)
        histogram = Histogram(
            // Two values closer to each other than 64 ns are one: no clock of a network tells them apart.
            lowestDiscernibleValue: 64, highestTrackableValue: ceiling,
            numberOfSignificantValueDigits: precision == .fine ? .three : .two)
    }

    package mutating func add(_ time: Duration) {
        let value = Self.nanoseconds(time)
        lowest = Swift.min(lowest, value)
        highest = Swift.max(highest, value)
        _ = histogram.record(Swift.min(value, ceiling))
    }

    package var count: UInt64 { histogram.totalCount }

    /// The shortest time in nanoseconds, exact; nil where there is none.
    package var min: UInt64? { count == 0 ? nil : lowest }
    /// The longest time in nanoseconds, exact; nil where there is none.
    package var max: UInt64? { count == 0 ? nil : highest }

    /// The time in nanoseconds that this part of all values, 0 to 100, does not exceed; nil where there is none.
    package func percentile(_ percent: Double) -> UInt64? {
        guard count > 0 else { return nil }
        return Swift.min(Swift.max(histogram.valueAtPercentile(percent), lowest), highest)
    }

    /// Every value that was recorded, rounded down to the precision, and how often; ascending.
    var recorded: [(nanoseconds: UInt64, count: UInt64)] {
        histogram.recordedValues().map {
            (Swift.min(Swift.max(histogram.lowestEquivalentForValue($0.value), lowest), highest), UInt64($0.count))
        }
    }

    private static func nanoseconds(_ time: Duration) -> UInt64 {
        let (seconds, attoseconds) = time.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, tooLong) = product.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return overflow || tooLong ? .max : sum
    }
}
