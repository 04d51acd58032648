/// Values of a row by the type of their column: what does not fit is an error, never a guess and never a trap.
extension Row {
    /// A value that must be there.
    /// - Parameters:
    ///   - name: the column's name, compared without regard to case.
    ///   - type: `Int64`, `UInt64`, `Int`, `Double`, `Bool`, `String`, `SQLDateTime`, `SQLTime` or `[UInt8]`.
    /// - Throws: `conversion` where there is no such column, the value is NULL, the column's type is another, or the
    ///   value lies outside of the range.
    public func value<Value: SQLConvertible>(_ name: String, as type: Value.Type = Value.self) throws(MySQLError)
        -> Value
    {
        guard let value = try optional(name, as: type) else { throw Self.failure(name, "is NULL") }
        return value
    }

    /// The same by position, counted from 0.
    public func value<Value: SQLConvertible>(_ index: Int, as type: Value.Type = Value.self) throws(MySQLError)
        -> Value
    {
        guard let value = try optional(index, as: type) else { throw Self.failure(label(index), "is NULL") }
        return value
    }

    /// A value that may be NULL; nil for NULL only.
    public func optional<Value: SQLConvertible>(_ name: String, as type: Value.Type = Value.self)
        throws(MySQLError) -> Value?
    {
        guard let index = index(of: name) else { throw Self.failure(name, "does not exist") }
        return try optional(index, as: type)
    }

    /// The same by position, counted from 0.
    public func optional<Value: SQLConvertible>(_ index: Int, as type: Value.Type = Value.self)
        throws(MySQLError) -> Value?
    {
        guard values.indices.contains(index), columns.indices.contains(index) else {
            throw Self.failure(label(index), "does not exist")
        }
        guard let bytes = values[index] else { return nil }
        return try columns[index].convert(bytes)
    }

    private func label(_ index: Int) -> String {
        columns.indices.contains(index) ? columns[index].name : "number \(index)"
    }

    /// Names the column and the type, never the value: it may be a secret.
    static func failure(_ column: String, _ what: String) -> MySQLError {
        MySQLError(.conversion, phase: .reply, server: "row", message: "the column \(column) \(what)")
    }
}

extension RowBatch {
    /// A value that must be there; see `Row.value`.
    /// - Throws: `conversion`, also where there is no such row or column.
    public func value<Value: SQLConvertible>(row: Int, column: Int, as type: Value.Type = Value.self)
        throws(MySQLError) -> Value
    {
        guard let value = try optional(row: row, column: column, as: type) else {
            throw Row.failure(columns[column].name, "is NULL")
        }
        return value
    }

    /// A value that may be NULL; nil for NULL only.
    public func optional<Value: SQLConvertible>(row: Int, column: Int, as type: Value.Type = Value.self)
        throws(MySQLError) -> Value?
    {
        guard columns.indices.contains(column), row >= 0, row < rowCount else {
            throw Row.failure("number \(column)", "does not exist in row \(row)")
        }
        guard let range = range(row: row, column: column) else { return nil }
        return try columns[column].convert(Array(bytes[range]))
    }
}

extension ColumnDefinition {
    fileprivate func convert<Value: SQLConvertible>(_ bytes: [UInt8]) throws(MySQLError) -> Value {
        guard let value = Value(sqlText: bytes, column: self) else {
            throw Row.failure(name, "of type \(type) holds no \(Value.self) that could be given exactly")
        }
        return value
    }
}

/// What a value of a text result set can be read as.
public protocol SQLConvertible: Sendable {
    /// - Parameters:
    ///   - sqlText: the value as the server wrote it.
    ///   - column: says the type and the character set.
    /// - Returns: nil if the column is of another type, or the value out of range.
    init?(sqlText: [UInt8], column: ColumnDefinition)
}

extension SQLConvertible where Self: FixedWidthInteger {
    /// Integer columns, and DECIMAL without digits behind the point.
    public init?(sqlText: [UInt8], column: ColumnDefinition) {
        switch ColumnType(rawValue: column.type) {
        case .tiny, .short, .int24, .long, .longLong, .year: break
        case .decimal, .newDecimal: if column.decimals != 0 { return nil }
        default: return nil
        }
        // A plus sign is nothing that a server writes.
        guard sqlText.first != UInt8(ascii: "+"), let number = Self(String(decoding: sqlText, as: UTF8.self)) else {
            return nil
        }
        self = number
    }
}

extension Int64: SQLConvertible {}
extension UInt64: SQLConvertible {}
extension Int: SQLConvertible {}

extension Bool: SQLConvertible {
    /// An integer column that holds 0 or 1, as BOOLEAN columns do.
    public init?(sqlText: [UInt8], column: ColumnDefinition) {
        switch Int64(sqlText: sqlText, column: column) {
        case 0: self = false
        case 1: self = true
        default: return nil
        }
    }
}

extension Double: SQLConvertible {
    /// FLOAT, DOUBLE, and integers of up to 53 bits; no DECIMAL, which would be rounded.
    public init?(sqlText: [UInt8], column: ColumnDefinition) {
        switch ColumnType(rawValue: column.type) {
        case .float, .double:
            guard let number = Double(String(decoding: sqlText, as: UTF8.self)), number.isFinite else { return nil }
            self = number
        default:
            guard let number = Int64(sqlText: sqlText, column: column), let exact = Double(exactly: number) else {
                return nil
            }
            self = exact
        }
    }
}

extension String: SQLConvertible {
    /// Any column whose values are text on the wire (numbers and dates too); no binary strings, no invalid UTF-8.
    public init?(sqlText: [UInt8], column: ColumnDefinition) {
        switch ColumnType(rawValue: column.type) {
        case .varChar, .varString, .string, .enumeration, .set, .tinyBlob, .mediumBlob, .longBlob, .blob:
            guard column.isText else { return nil }
        case .bit, .geometry, .vector, nil: return nil
        default: break
        }
        guard let text = String(validating: sqlText, as: UTF8.self) else { return nil }
        self = text
    }
}

extension [UInt8]: SQLConvertible {
    /// Any column.
    public init?(sqlText: [UInt8], column: ColumnDefinition) { self = sqlText }
}
