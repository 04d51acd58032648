/// The argument of COM_STMT_EXECUTE: every value with its type, without a cursor.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
enum ExecuteRequest {
    static func encode(statement: UInt32, _ values: [SQLValue]) -> [UInt8] {
        var writer = ByteWriter()
        writer.uint32(statement)
        writer.uint8(0)
        writer.uint32(1)
        if values.isEmpty { return writer.bytes }
        var nulls = [UInt8](repeating: 0, count: (values.count + 7) / 8)
        for (index, value) in values.enumerated() where value == .null { nulls[index / 8] |= 1 << UInt8(index % 8) }
        writer.raw(nulls)
        writer.uint8(1)
        for value in values {
            let type = wireType(value)
            writer.uint8(type.code.rawValue)
            writer.uint8(type.unsigned ? 0x80 : 0)
        }
        for value in values { write(value, &writer) }
        return writer.bytes
    }

    private static func wireType(_ value: SQLValue) -> (code: ColumnType, unsigned: Bool) {
        switch value {
        case .null: (.null, false)
        case .int: (.longLong, false)
        case .uint: (.longLong, true)
        case .float: (.float, false)
        case .double: (.double, false)
        case .text: (.string, false)
        case .bytes: (.blob, false)
        case .dateTime: (.dateTime, false)
        // MySQL 9.7 answers a binary TIME of 34 days, which a TIME column may hold, with 1690 (out of range).
        case .time(let value): (value.days > 0 ? .string : .time, false)
        }
    }

    private static func write(_ value: SQLValue, _ writer: inout ByteWriter) {
        switch value {
        case .null: break
        case .int(let number): writer.uint64(UInt64(bitPattern: number))
        case .uint(let number): writer.uint64(number)
        case .float(let number): writer.uint32(number.bitPattern)
        case .double(let number): writer.uint64(number.bitPattern)
        case .text(let text): writer.lenencBytes(Array(text.utf8))
        case .bytes(let bytes): writer.lenencBytes(bytes)
        case .dateTime(let value):
            writer.uint8(11)
            writer.uint16(value.year)
            for part in [value.month, value.day, value.hour, value.minute, value.second] { writer.uint8(part) }
            writer.uint32(value.microsecond)
        case .time(let value) where value.days > 0: writer.lenencBytes(Array(value.description.utf8))
        case .time(let value):
            writer.uint8(12)
            writer.uint8(value.isNegative ? 1 : 0)
            writer.uint32(value.days)
            for part in [value.hour, value.minute, value.second] { writer.uint8(part) }
            writer.uint32(value.microsecond)
        }
    }
}

extension ByteWriter {
    mutating func uint64(_ value: UInt64) {
        uint32(UInt32(truncatingIfNeeded: value))
        uint32(UInt32(truncatingIfNeeded: value >> 32))
    }
}
