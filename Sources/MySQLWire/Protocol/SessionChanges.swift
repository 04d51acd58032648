/// What an OK packet tells about changes of the session's state. Only what was committed is kept; entries of kinds
/// that are not known here are skipped.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html#sect_protocol_basic_ok_packet_sessinfo
struct SessionChanges: Sendable {
    var gtids: String?
    /// The default database became another one.
    var schema = false

    private static let systemVariable: UInt8 = 0
    private static let schemaName: UInt8 = 1
    private static let committedGTIDs: UInt8 = 3

    static func decode(_ field: ByteReader) throws(Failure) -> SessionChanges {
        var reader = field
        var changes = SessionChanges()
        while reader.remaining > 0 {
            let kind = try reader.uint8("kind of session change")
            var entry = reader.slice(try reader.lenencRange("session change"))
            switch kind {
            case committedGTIDs:
                // The only encoding that is defined is 0, text.
                guard try entry.uint8("encoding of GTIDs") == 0 else { continue }
                changes.gtids = try entry.lenencString("GTIDs")
            case schemaName: changes.schema = true
            case systemVariable:
                // MariaDB puts several variables into one entry.
                while entry.remaining > 0 {
                    let name = try entry.lenencString("name of a variable")
                    let value = try entry.lenencString("value of a variable")
                    // MariaDB has no entry of its own for what was committed.
                    if name == "last_gtid", !value.isEmpty { changes.gtids = value }
                }
            default: continue
            }
        }
        return changes
    }
}
