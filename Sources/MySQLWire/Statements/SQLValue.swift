/// A value with its type, as it goes to and comes from a prepared statement: nothing is rounded or reformatted on the
/// way. Only DECIMAL and JSON are text here too, as they are on the wire.
public enum SQLValue: Sendable, Hashable {
    case null
    /// TINYINT to BIGINT, and YEAR.
    case int(Int64)
    /// The same where the column is UNSIGNED.
    case uint(UInt64)
    case float(Float)
    case double(Double)
    /// A value in a character set; valid UTF-8.
    case text(String)
    /// BINARY, BLOB, BIT, GEOMETRY; also what claims to be text and is not valid UTF-8.
    case bytes([UInt8])
    /// DATE, DATETIME and TIMESTAMP.
    case dateTime(SQLDateTime)
    case time(SQLTime)

    public var isNull: Bool { self == .null }
}

/// A DATE, DATETIME or TIMESTAMP as the server has it, without a time zone. Zero dates and days that are in no
/// calendar are values like others: this is no instant.
/// https://dev.mysql.com/doc/refman/8.4/en/datetime.html
public struct SQLDateTime: Sendable, Hashable, CustomStringConvertible {
    public var year: UInt16
    public var month: UInt8
    public var day: UInt8
    public var hour: UInt8
    public var minute: UInt8
    public var second: UInt8
    public var microsecond: UInt32

    public init(
        year: UInt16 = 0, month: UInt8 = 0, day: UInt8 = 0, hour: UInt8 = 0, minute: UInt8 = 0, second: UInt8 = 0,
        microsecond: UInt32 = 0
    ) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.microsecond = microsecond
    }

    /// For example `2026-02-28 23:59:59.000001`; without the fraction where it is 0.
    public var description: String {
        padded(UInt32(year), 4) + "-" + padded(UInt32(month), 2) + "-" + padded(UInt32(day), 2) + " "
            + clock(UInt64(hour), minute, second, microsecond)
    }
}

/// A TIME: a span of up to 838 hours in either direction.
/// https://dev.mysql.com/doc/refman/8.4/en/time.html
public struct SQLTime: Sendable, Hashable, CustomStringConvertible {
    public var isNegative: Bool
    public var days: UInt32
    public var hour: UInt8
    public var minute: UInt8
    public var second: UInt8
    public var microsecond: UInt32

    public init(
        isNegative: Bool = false, days: UInt32 = 0, hour: UInt8 = 0, minute: UInt8 = 0, second: UInt8 = 0,
        microsecond: UInt32 = 0
    ) {
        self.isNegative = isNegative
        self.days = days
        self.hour = hour
        self.minute = minute
        self.second = second
        self.microsecond = microsecond
    }

    /// For example `-838:59:59`; days are counted into the hours, as the server writes it.
    public var description: String {
        (isNegative ? "-" : "") + clock(UInt64(days) * 24 + UInt64(hour), minute, second, microsecond)
    }
}

private func padded(_ number: some BinaryInteger, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

private func clock(_ hours: UInt64, _ minute: UInt8, _ second: UInt8, _ microsecond: UInt32) -> String {
    let time = padded(hours, 2) + ":" + padded(minute, 2) + ":" + padded(second, 2)
    return microsecond == 0 ? time : time + "." + padded(microsecond, 6)
}
