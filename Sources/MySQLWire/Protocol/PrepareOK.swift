/// The answer to COM_STMT_PREPARE.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
struct PrepareOK: Sendable {
    var statement: UInt32
    var columns: UInt16
    var parameters: UInt16

    static func decode(_ packet: ByteReader) throws(Failure) -> PrepareOK {
        var reader = packet.named("answer to COM_STMT_PREPARE")
        let header = try reader.uint8("header")
        guard header == 0 else { throw reader.violation("begins with \(header)") }
        let statement = try reader.uint32("statement number")
        let columns = try reader.uint16("number of columns")
        let parameters = try reader.uint16("number of parameters")
        return PrepareOK(statement: statement, columns: columns, parameters: parameters)
    }
}
