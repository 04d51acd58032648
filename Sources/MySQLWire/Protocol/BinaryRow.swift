/// A row of a binary result set.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
enum BinaryRow {
    static func decode(_ packet: ByteReader, _ columns: [ColumnDefinition]) throws(Failure) -> [SQLValue] {
        var reader = packet.named("binary row")
        let header = try reader.uint8("row header")
        guard header == 0 else { throw reader.violation("begins with \(header)") }
        // The first two bits are not used.
        let nulls = try reader.take((columns.count + 9) / 8, "NULL bitmap")
        var values: [SQLValue] = []
        values.reserveCapacity(columns.count)
        for (index, column) in columns.enumerated() {
            let bit = index + 2
            let isNull = nulls[bit / 8] >> UInt8(bit % 8) & 1 == 1
            values.append(isNull ? .null : try value(&reader, column))
        }
        return values
    }

    private static func value(_ reader: inout ByteReader, _ column: ColumnDefinition) throws(Failure) -> SQLValue {
        guard let type = ColumnType(rawValue: column.type) else {
            throw reader.violation("a column of the unknown type \(column.type)")
        }
        let unsigned = column.isUnsigned
        switch type {
        case .null: return .null
        case .tiny:
            let byte = try reader.uint8("TINYINT")
            return unsigned ? .uint(UInt64(byte)) : .int(Int64(Int8(bitPattern: byte)))
        case .short, .year:
            let number = try reader.uint16("SMALLINT")
            return unsigned ? .uint(UInt64(number)) : .int(Int64(Int16(bitPattern: number)))
        case .long, .int24:
            let number = try reader.uint32("INT")
            return unsigned ? .uint(UInt64(number)) : .int(Int64(Int32(bitPattern: number)))
        case .longLong:
            let number = try reader.uint64("BIGINT")
            return unsigned ? .uint(number) : .int(Int64(bitPattern: number))
        case .float: return .float(Float(bitPattern: try reader.uint32("FLOAT")))
        case .double: return .double(Double(bitPattern: try reader.uint64("DOUBLE")))
        case .date, .dateTime, .timestamp: return .dateTime(try dateTime(&reader))
        case .time: return .time(try time(&reader))
        case .decimal, .varChar, .bit, .vector, .json, .newDecimal, .enumeration, .set, .tinyBlob, .mediumBlob,
            .longBlob, .blob, .varString, .string, .geometry:
            let bytes = try reader.lenencBytes("value")
            if column.isText, let text = String(validating: bytes, as: UTF8.self) { return .text(text) }
            return .bytes(bytes)
        }
    }

    private static func dateTime(_ reader: inout ByteReader) throws(Failure) -> SQLDateTime {
        let length = try reader.uint8("length of a date")
        guard [0, 4, 7, 11].contains(length) else { throw reader.violation("a date of \(length) bytes") }
        var value = SQLDateTime()
        if length >= 4 {
            value.year = try reader.uint16("year")
            value.month = try reader.uint8("month")
            value.day = try reader.uint8("day")
        }
        if length >= 7 {
            value.hour = try reader.uint8("hour")
            value.minute = try reader.uint8("minute")
            value.second = try reader.uint8("second")
        }
        if length == 11 { value.microsecond = try reader.uint32("microsecond") }
        return value
    }

    private static func time(_ reader: inout ByteReader) throws(Failure) -> SQLTime {
        let length = try reader.uint8("length of a time")
        guard [0, 8, 12].contains(length) else { throw reader.violation("a time of \(length) bytes") }
        var value = SQLTime()
        if length >= 8 {
            value.isNegative = try reader.uint8("sign of a time") != 0
            value.days = try reader.uint32("days")
            value.hour = try reader.uint8("hour")
            value.minute = try reader.uint8("minute")
            value.second = try reader.uint8("second")
        }
        if length == 12 { value.microsecond = try reader.uint32("microsecond") }
        return value
    }
}
