/// The server asks for another authentication plugin than the one the client began with.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_switch_request.html
struct AuthSwitchRequest: Sendable {
    var plugin: String
    var data: [UInt8]

    static func decode(_ packet: ByteReader) throws(Failure) -> AuthSwitchRequest {
        var reader = packet.named("request to switch the plugin")
        _ = try reader.uint8("header")
        if reader.remaining == 0 {
            throw Failure(.authentication, "the server asks for mysql_old_password, which is not secure")
        }
        let plugin = try reader.nulTerminated("plugin name")
        guard plugin.count <= 128 else { throw reader.violation("the plugin's name has \(plugin.count) bytes") }
        return AuthSwitchRequest(
            plugin: String(decoding: plugin, as: UTF8.self), data: reader.rest(maximum: 1024))
    }
}
