/// Dates and times of a text result set by their parts, for those who ask for them; as `String` they stay as they are.
extension SQLDateTime: SQLConvertible {
    /// DATE, DATETIME and TIMESTAMP; zero dates too.
    public init?(sqlText: [UInt8], column: ColumnDefinition) {
        guard [.date, .dateTime, .timestamp].contains(ColumnType(rawValue: column.type)) else { return nil }
        self.init(text: sqlText)
    }

    /// For example `2026-02-28`, `2026-02-28 23:59:59`, `0000-00-00 00:00:00.000000`.
    init?(text: [UInt8]) {
        var digits = Digits(text)
        guard let year = digits.number(4...4), digits.skip("-"), let month = digits.number(2...2), digits.skip("-"),
            let day = digits.number(2...2)
        else { return nil }
        self.init(year: UInt16(year), month: UInt8(month), day: UInt8(day))
        if digits.isAtEnd { return }
        guard digits.skip(" "), let hour = digits.number(2...2), let rest = digits.minutes() else { return nil }
        self.hour = UInt8(hour)
        (minute, second, microsecond) = rest
    }
}

extension SQLTime: SQLConvertible {
    /// TIME.
    public init?(sqlText: [UInt8], column: ColumnDefinition) {
        guard ColumnType(rawValue: column.type) == .time else { return nil }
        self.init(text: sqlText)
    }

    /// For example `-838:59:59`, `12:00:00.5`.
    init?(text: [UInt8]) {
        var digits = Digits(text)
        let isNegative = digits.skip("-")
        guard let hours = digits.number(2...4), let rest = digits.minutes() else { return nil }
        self.init(isNegative: isNegative, days: hours / 24, hour: UInt8(hours % 24))
        (minute, second, microsecond) = rest
    }
}

/// Reads numbers of few digits, front to back.
private struct Digits {
    private var rest: ArraySlice<UInt8>

    init(_ text: [UInt8]) { rest = text[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    /// - Parameter count: of digits, at most 6.
    mutating func number(_ count: ClosedRange<Int>) -> UInt32? {
        let digits = rest.prefix(count.upperBound).prefix { (0x30...0x39).contains($0) }
        guard digits.count >= count.lowerBound else { return nil }
        rest.removeFirst(digits.count)
        return digits.reduce(0) { $0 * 10 + UInt32($1 - 0x30) }
    }

    /// `:mm:ss` with up to 6 digits behind a point, and nothing after it.
    mutating func minutes() -> (UInt8, UInt8, UInt32)? {
        guard skip(":"), let minute = number(2...2), skip(":"), let second = number(2...2) else { return nil }
        var microsecond: UInt32 = 0
        if skip(".") {
            let before = rest.count
            guard let fraction = number(1...6) else { return nil }
            microsecond = (before - rest.count..<6).reduce(fraction) { value, _ in value * 10 }
        }
        return isAtEnd ? (UInt8(minute), UInt8(second), microsecond) : nil
    }
}
