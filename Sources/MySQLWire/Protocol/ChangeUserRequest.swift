/// The argument of COM_CHANGE_USER.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
struct ChangeUserRequest: Sendable {
    var user: String
    /// At most 255 bytes.
    var authentication: [UInt8]
    var database: String
    var characterSet: UInt8
    var plugin: String
    /// nil where CLIENT_CONNECT_ATTRS was not agreed upon.
    var attributes: [(name: String, value: String)]?

    func encode() throws(Failure) -> [UInt8] {
        guard let length = UInt8(exactly: authentication.count) else {
            throw Failure(.authentication, "the password is too long for a change of the user")
        }
        var writer = ByteWriter()
        writer.nulTerminated(user)
        writer.uint8(length)
        writer.raw(authentication)
        writer.nulTerminated(database)
        writer.uint16(UInt16(characterSet))
        writer.nulTerminated(plugin)
        if let attributes { writer.connectAttributes(attributes) }
        return writer.bytes
    }
}
