import MySQLWire

/// How one column is read and written.
struct ColumnPlan: Sendable, Equatable {
    var name: String
    /// What stands in the SELECT.
    var expression: String
    var encoding: ValueEncoding
    var nullable: Bool
    var isJSON = false
    var isInteger = false
    /// A value may be longer than 64 KiB.
    var isLong = false

    /// A column as information_schema.COLUMNS describes it.
    struct Description: Sendable, Equatable {
        var name: String
        /// DATA_TYPE
        var type: String
        /// CHARACTER_SET_NAME
        var characterSet: String?
        var nullable: Bool
    }

    /// Character sets whose every text comes back from utf8mb4 as the same bytes (tried byte by byte on a server);
    /// all others are carried as bytes.
    static let survivesUTF8: Set<String> = [
        "latin1", "latin2", "latin5", "latin7", "cp850", "cp852", "cp866", "koi8r", "koi8u", "keybcs2", "macce",
        "macroman", "utf16", "utf16le",
    ]
    /// Character sets whose characters are two or four bytes wide: not even a letter stands for itself.
    static let wide: Set<String> = ["ucs2", "utf16", "utf16le", "utf32"]

    /// - Returns: nil for a type that is not known: better no dump than a wrong one.
    init?(_ column: Description, version: ServerVersion) {
        name = column.name
        nullable = column.nullable
        let quoted = SQLText.name(column.name)
        expression = quoted
        switch column.type.lowercased() {
        case "tinyint", "smallint", "mediumint", "int", "bigint":
            encoding = .number
            isInteger = true
        case "decimal", "year":
            encoding = .number
        case "float", "double":
            // In the text protocol a FLOAT has six digits only. + 0e0 would lose the sign of a negative zero.
            encoding = .approximate
            expression = version.isMySQL(atLeast: 8, 0, 17) ? "CAST(\(quoted) AS DOUBLE)" : "\(quoted) * 1e0"
        case "enum", "set":
            // By number: the value for errors, number 0, reads '' as a member may do too. And no + 0, which is DOUBLE
            // and too short for a SET of 64 members.
            encoding = .number
            expression = "CAST(\(quoted) AS UNSIGNED)"
        case "date", "time", "datetime", "timestamp":
            encoding = .quoted
        case "json":
            encoding = .text
            isJSON = true
            isLong = true
        case "bit", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector", "geometry", "point",
            "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection",
            "geometrycollection":
            encoding = .hex
            isLong = !["bit", "binary", "varbinary", "tinyblob", "blob"].contains(column.type.lowercased())
        case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
            guard let characterSet = column.characterSet?.lowercased() else { return nil }
            isLong = column.type.lowercased() == "mediumtext" || column.type.lowercased() == "longtext"
            if characterSet == "utf8mb4" || characterSet == "utf8mb3" || characterSet == "utf8" {
                encoding = .text
            } else if Self.survivesUTF8.contains(characterSet), !isLong {
                // Not for long ones: a conversion that outgrows max_allowed_packet could come back as NULL.
                encoding = .text
                expression = "CONVERT(\(quoted) USING utf8mb4)"
            } else {
                encoding = .introduced(characterSet, plainLetters: !Self.wide.contains(characterSet))
            }
        default:
            return nil
        }
    }
}
