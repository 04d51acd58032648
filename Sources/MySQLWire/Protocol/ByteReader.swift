/// Reads the fields of one packet, front to back. Every length is checked against what is left; a packet that is
/// too short is an error, never a trap. Trailing bytes are allowed: newer servers append fields.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_data_types.html
struct ByteReader {
    private let bytes: [UInt8]
    private let start: Int
    private(set) var position: Int
    let end: Int
    /// What the packet is called in an error.
    private var name: StaticString = "packet"

    /// - Precondition: the range lies in `bytes`.
    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        start = range.lowerBound
        position = range.lowerBound
        end = range.upperBound
    }

    /// The same under the name of the packet that it is read as.
    func named(_ name: StaticString) -> ByteReader {
        var copy = self
        copy.name = name
        return copy
    }

    init(_ bytes: [UInt8]) { self.init(bytes, bytes.indices) }

    var remaining: Int { end - position }

    /// The next byte without taking it; nil at the end.
    var peek: UInt8? { position < end ? bytes[position] : nil }

    private func tooShort(_ field: StaticString) -> Failure { violation("too short for its \(field)") }

    /// - Parameter what: said of the packet, at the place that was read last.
    func violation(_ what: String) -> Failure { .violation("\(name), byte \(position - start): \(what)") }

    mutating func uint8(_ field: StaticString) throws(Failure) -> UInt8 {
        guard position < end else { throw tooShort(field) }
        defer { position += 1 }
        return bytes[position]
    }

    private mutating func littleEndian(_ width: Int, _ field: StaticString) throws(Failure) -> UInt64 {
        guard remaining >= width else { throw tooShort(field) }
        var value: UInt64 = 0
        for index in 0..<width { value |= UInt64(bytes[position + index]) << UInt64(8 * index) }
        position += width
        return value
    }

    mutating func uint16(_ field: StaticString) throws(Failure) -> UInt16 {
        UInt16(truncatingIfNeeded: try littleEndian(2, field))
    }

    mutating func uint32(_ field: StaticString) throws(Failure) -> UInt32 {
        UInt32(truncatingIfNeeded: try littleEndian(4, field))
    }

    mutating func uint64(_ field: StaticString) throws(Failure) -> UInt64 { try littleEndian(8, field) }

    /// A length-encoded integer. 0xFB (NULL) and 0xFF (ERR) are not integers.
    mutating func lenencInt(_ field: StaticString) throws(Failure) -> UInt64 {
        let first = try uint8(field)
        switch first {
        case 0..<0xFB: return UInt64(first)
        case 0xFC: return try littleEndian(2, field)
        case 0xFD: return try littleEndian(3, field)
        case 0xFE: return try littleEndian(8, field)
        default: throw violation("no length-encoded integer begins with \(first): \(field)")
        }
    }

    /// A length-encoded string, as its place.
    mutating func lenencRange(_ field: StaticString) throws(Failure) -> Range<Int> {
        let length = try lenencInt(field)
        guard let length = Int(exactly: length), length <= remaining else { throw tooShort(field) }
        defer { position += length }
        return position..<position + length
    }

    mutating func lenencString(_ field: StaticString) throws(Failure) -> String {
        String(decoding: bytes[try lenencRange(field)], as: UTF8.self)
    }

    mutating func lenencBytes(_ field: StaticString) throws(Failure) -> [UInt8] {
        Array(bytes[try lenencRange(field)])
    }

    mutating func take(_ count: Int, _ field: StaticString) throws(Failure) -> [UInt8] {
        guard count >= 0, count <= remaining else { throw tooShort(field) }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func skip(_ count: Int, _ field: StaticString) throws(Failure) {
        guard count >= 0, count <= remaining else { throw tooShort(field) }
        position += count
    }

    /// Bytes up to a NUL, which is taken too.
    mutating func nulTerminated(_ field: StaticString) throws(Failure) -> [UInt8] {
        guard let nul = bytes[position..<end].firstIndex(of: 0) else { throw tooShort(field) }
        defer { position = nul + 1 }
        return Array(bytes[position..<nul])
    }

    /// A reader of one field of the packet.
    /// - Precondition: the range came from this reader.
    func slice(_ range: Range<Int>) -> ByteReader { ByteReader(bytes, range).named(name) }

    /// What is left, at most `maximum` bytes of it.
    mutating func rest(maximum: Int = .max) -> [UInt8] {
        defer { position = end }
        return Array(bytes[position..<end].prefix(maximum))
    }
}
