extension ServerError {
    /// Longest text that is kept, in bytes.
    static let maximumMessage = 4096

    /// Takes a packet that begins with 0xFF. Before the handshake it has no SQLSTATE.
    static func decode(_ packet: ByteReader) throws(Failure) -> ServerError {
        var reader = packet.named("ERR packet")
        _ = try reader.uint8("header")
        let number = try reader.uint16("error number")
        var sqlState = ""
        if reader.peek == UInt8(ascii: "#") {
            try reader.skip(1, "SQLSTATE marker")
            sqlState = String(decoding: try reader.take(5, "SQLSTATE"), as: UTF8.self)
        }
        let message = String(decoding: reader.rest(maximum: maximumMessage), as: UTF8.self)
        return ServerError(number: number, sqlState: sqlState, message: message)
    }
}
