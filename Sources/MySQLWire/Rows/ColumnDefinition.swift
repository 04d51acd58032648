/// A column of a result set.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
public struct ColumnDefinition: Sendable, Hashable {
    public var schema: String
    public var table: String
    public var name: String
    /// The collation's number; 63 is binary.
    public var characterSet: UInt16
    /// Longest value in bytes.
    public var length: UInt32
    /// The type byte, for example 0xFE MYSQL_TYPE_STRING.
    public var type: UInt8
    public var flags: UInt16
    public var decimals: UInt8

    public init(
        schema: String, table: String, name: String, characterSet: UInt16, length: UInt32, type: UInt8, flags: UInt16,
        decimals: UInt8
    ) {
        self.schema = schema
        self.table = table
        self.name = name
        self.characterSet = characterSet
        self.length = length
        self.type = type
        self.flags = flags
        self.decimals = decimals
    }
}
