extension ColumnDefinition {
    /// Longest packet that is taken, in bytes.
    static let maximumLength = 16 * 1024

    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
    static func decode(_ packet: ByteReader) throws(Failure) -> ColumnDefinition {
        var reader = packet.named("column definition")
        // The names have at most 256 characters; up to 4,096 definitions are held at once.
        guard reader.remaining <= maximumLength else {
            throw Failure(.limit, "a column definition of \(reader.remaining) bytes")
        }
        _ = try reader.lenencRange("catalog")
        let schema = try reader.lenencString("schema")
        let table = try reader.lenencString("table")
        _ = try reader.lenencRange("original table")
        let name = try reader.lenencString("column name")
        _ = try reader.lenencRange("original column name")
        let fixed = try reader.lenencInt("length of fixed fields")
        guard fixed >= 10 else { throw reader.violation("\(fixed) bytes of fixed fields") }
        return ColumnDefinition(
            schema: schema, table: table, name: name,
            characterSet: try reader.uint16("character set"),
            length: try reader.uint32("column length"),
            type: try reader.uint8("column type"),
            flags: try reader.uint16("column flags"),
            decimals: try reader.uint8("decimals"))
    }
}
