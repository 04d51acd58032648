/// The server's first packet.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
struct Greeting: Sendable {
    var version: String
    var connectionID: UInt32
    /// 20 bytes, without the NUL that follows them on the wire.
    var nonce: [UInt8]
    var capabilities: Capabilities
    /// Empty where the server does not name one.
    var plugin: String

    static func decode(_ packet: ByteReader) throws(Failure) -> Greeting {
        var reader = packet.named("greeting")
        let protocolVersion = try reader.uint8("protocol version")
        guard protocolVersion == 10 else {
            throw reader.violation("protocol version \(protocolVersion), 10 was expected")
        }
        let version = try reader.nulTerminated("server version")
        guard version.count <= 256 else { throw reader.violation("a server version of \(version.count) bytes") }
        let connectionID = try reader.uint32("connection id")
        var nonce = try reader.take(8, "authentication data")
        try reader.skip(1, "filler")
        var flags = UInt32(try reader.uint16("capability flags"))
        var plugin: [UInt8] = []
        // A greeting may end here; such a server is too old to speak with, which the capabilities say.
        if reader.remaining > 0 {
            try reader.skip(1, "character set")
            try reader.skip(2, "status flags")
            flags |= UInt32(try reader.uint16("capability flags")) << 16
            let dataLength = Int(try reader.uint8("authentication data length"))
            try reader.skip(10, "reserved bytes")
            let capabilities = Capabilities(rawValue: flags)
            if capabilities.contains(.secureConnection) {
                // 12 bytes and a NUL; a server that names no plugin may leave the NUL out.
                let length = reader.remaining == 12 ? 12 : max(13, dataLength - 8)
                let second = try reader.take(length, "authentication data")
                nonce += second.prefix(12)
            }
            if capabilities.contains(.pluginAuth) {
                // Some old servers leave out the NUL at the end.
                plugin = Array(reader.rest(maximum: 256).prefix { $0 != 0 })
            }
        }
        return Greeting(
            version: String(decoding: version, as: UTF8.self), connectionID: connectionID, nonce: nonce,
            capabilities: Capabilities(rawValue: flags), plugin: String(decoding: plugin, as: UTF8.self))
    }
}
