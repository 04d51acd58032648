/// The types of columns and parameters that the protocol knows, by their number.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
enum ColumnType: UInt8 {
    case decimal = 0
    case tiny = 1
    case short = 2
    case long = 3
    case float = 4
    case double = 5
    case null = 6
    case timestamp = 7
    case longLong = 8
    case int24 = 9
    case date = 10
    case time = 11
    case dateTime = 12
    case year = 13
    case varChar = 15
    case bit = 16
    case vector = 242
    case json = 245
    case newDecimal = 246
    case enumeration = 247
    case set = 248
    case tinyBlob = 249
    case mediumBlob = 250
    case longBlob = 251
    case blob = 252
    case varString = 253
    case string = 254
    case geometry = 255
}

extension ColumnDefinition {
    /// UNSIGNED_FLAG.
    var isUnsigned: Bool { flags & 0x20 != 0 }

    /// Whether the values are text in the session's character set; numbers with digits and JSON are so, although the
    /// server calls their character set binary.
    var isText: Bool {
        switch ColumnType(rawValue: type) {
        case .decimal, .newDecimal, .json: true
        case .bit, .geometry, .vector: false
        default: characterSet != 63
        }
    }
}
