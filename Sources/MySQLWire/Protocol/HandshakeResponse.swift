/// The client's answer to the greeting. Its first 32 bytes, sent alone, are the SSLRequest.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
struct HandshakeResponse: Sendable {
    var capabilities: Capabilities
    var maxPacketSize: UInt32
    var characterSet: UInt8
    var user: String
    var authentication: [UInt8]
    var database: String?
    var plugin: String
    var attributes: [(name: String, value: String)]

    private func encodeHead(_ capabilities: Capabilities) -> ByteWriter {
        var writer = ByteWriter()
        writer.uint32(capabilities.rawValue)
        writer.uint32(maxPacketSize)
        writer.uint8(characterSet)
        writer.raw(repeatElement(0, count: 23))
        return writer
    }

    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html
    func encodeSSLRequest() -> [UInt8] { encodeHead(capabilities.union(.ssl)).bytes }

    func encode() throws(Failure) -> [UInt8] {
        var writer = encodeHead(capabilities)
        writer.nulTerminated(user)
        if capabilities.contains(.pluginAuthLenencData) {
            writer.lenencBytes(authentication)
        } else {
            guard let length = UInt8(exactly: authentication.count) else {
                throw Failure(.authentication, "the password is too long for this server")
            }
            writer.uint8(length)
            writer.raw(authentication)
        }
        if capabilities.contains(.connectWithDatabase) { writer.nulTerminated(database ?? "") }
        if capabilities.contains(.pluginAuth) { writer.nulTerminated(plugin) }
        if capabilities.contains(.connectAttributes) {
            writer.connectAttributes(attributes)
        }
        return writer.bytes
    }
}

extension ByteWriter {
    /// The pairs that performance_schema.session_connect_attrs shows.
    mutating func connectAttributes(_ attributes: [(name: String, value: String)]) {
        var pairs = ByteWriter()
        for attribute in attributes {
            pairs.lenencBytes(Array(attribute.name.utf8))
            pairs.lenencBytes(Array(attribute.value.utf8))
        }
        lenencBytes(pairs.bytes)
    }
}
