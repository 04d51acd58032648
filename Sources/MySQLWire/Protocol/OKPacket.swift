/// The end of a successful reply.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
struct OKPacket: Sendable {
    var affectedRows: UInt64 = 0
    var lastInsertID: UInt64 = 0
    var status: ServerStatus = []
    var warnings: UInt16 = 0
    /// The transactions that the statement committed, if the session tracks them.
    var gtids: String?
    /// The session's default database has changed.
    var schemaChanged = false

    /// Takes a packet that begins with 0x00, or with 0xFE where it ends rows under CLIENT_DEPRECATE_EOF.
    /// - Parameter sessionTrack: whether CLIENT_SESSION_TRACK was agreed upon; what follows the warnings has another
    ///   form without it.
    static func decode(_ packet: ByteReader, sessionTrack: Bool = false) throws(Failure) -> OKPacket {
        var reader = packet.named("OK packet")
        _ = try reader.uint8("header")
        var ok = OKPacket(
            affectedRows: try reader.lenencInt("affected rows"),
            lastInsertID: try reader.lenencInt("last insert id"),
            status: ServerStatus(rawValue: try reader.uint16("status flags")),
            warnings: try reader.uint16("warnings"))
        if sessionTrack, ok.status.contains(.sessionStateChanged), reader.remaining > 0 {
            _ = try reader.lenencRange("info")
            if reader.remaining > 0 {
                let changes = try SessionChanges.decode(reader.slice(try reader.lenencRange("session changes")))
                ok.gtids = changes.gtids
                ok.schemaChanged = changes.schema
            }
        }
        return ok
    }

    /// The older end of columns and rows.
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html
    static func decodeEOF(_ packet: ByteReader) throws(Failure) -> OKPacket {
        var reader = packet.named("EOF packet")
        _ = try reader.uint8("header")
        let warnings = try reader.uint16("warnings")
        return OKPacket(status: ServerStatus(rawValue: try reader.uint16("status flags")), warnings: warnings)
    }
}
