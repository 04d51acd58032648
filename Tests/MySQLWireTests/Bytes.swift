@testable import MySQLWire

/// One frame: length, number, payload.
func frame(_ sequence: UInt8, _ payload: [UInt8]) -> [UInt8] {
    let length = payload.count
    return [UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length >> 16 & 0xFF), sequence] + payload
}

/// The bytes of a text of hexadecimal digits.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}

/// Packets as a server sends them.
enum Packets {
    static let nonce: [UInt8] = Array(1...20)

    /// A greeting of protocol 10.
    static func greeting(
        version: String = "9.7.4", plugin: String = "caching_sha2_password", without: Capabilities = .ssl
    ) -> [UInt8] {
        let flags = Capabilities.wanted.union([.ssl, .connectWithDatabase]).subtracting(without).rawValue
        var writer = ByteWriter()
        writer.uint8(10)
        writer.nulTerminated(version)
        writer.uint32(77)
        writer.raw(nonce.prefix(8))
        writer.uint8(0)
        writer.uint16(UInt16(truncatingIfNeeded: flags))
        writer.uint8(255)
        writer.uint16(2)
        writer.uint16(UInt16(truncatingIfNeeded: flags >> 16))
        writer.uint8(21)
        writer.raw(repeatElement(0, count: 10))
        writer.raw(nonce.suffix(12))
        writer.uint8(0)
        writer.nulTerminated(plugin)
        return writer.bytes
    }

    static func ok(status: UInt16 = 2, header: UInt8 = 0) -> [UInt8] {
        [header, 0, 0, UInt8(status & 0xFF), UInt8(status >> 8), 0, 0]
    }

    static func eof(status: UInt16 = 2) -> [UInt8] { [0xFE, 0, 0, UInt8(status & 0xFF), UInt8(status >> 8)] }

    static func error(_ number: UInt16, state: String? = "HY000", _ message: String) -> [UInt8] {
        [0xFF, UInt8(number & 0xFF), UInt8(number >> 8)] + Array((state.map { "#" + $0 } ?? "").utf8)
            + Array(message.utf8)
    }

    static func column(_ name: String) -> [UInt8] {
        var writer = ByteWriter()
        for text in ["def", "s", "t", "t", name, name] { writer.lenencBytes(Array(text.utf8)) }
        writer.uint8(0x0C)
        writer.uint16(255)
        writer.uint32(80)
        writer.uint8(0xFD)
        writer.uint16(0)
        writer.uint8(0)
        writer.uint16(0)
        return writer.bytes
    }

    static func columns(_ count: Int) -> [ColumnDefinition] {
        (0..<count).compactMap { try? ColumnDefinition.decode(ByteReader(column("c\($0)"))) }
    }

    /// A text row; nil is NULL.
    static func row(_ values: [String?]) -> [UInt8] {
        var writer = ByteWriter()
        for value in values {
            if let value { writer.lenencBytes(Array(value.utf8)) } else { writer.uint8(0xFB) }
        }
        return writer.bytes
    }
}
