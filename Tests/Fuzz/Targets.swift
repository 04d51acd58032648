/// What libFuzzer calls with each input. Compiled by Scripts/fuzz into one module with the driver's own sources.
///
/// A target takes bytes as a hostile server would choose them. It may end with a value or with a `Failure`; a trap, an
/// overrun or a promise that was not kept (`demand`) is a finding.
enum Target: String, CaseIterable {
    case greeting, ok, eof, error, column, authSwitch, row, version, framer, authentication, reply, prepare, binaryRow

    func run(_ bytes: [UInt8]) {
        switch self {
        case .greeting: packet(bytes) { (reader) throws(Failure) in try check(Greeting.decode(reader)) }
        case .ok:
            packet(bytes) { (reader) throws(Failure) in _ = try OKPacket.decode(reader) }
            packet(bytes) { (reader) throws(Failure) in _ = try OKPacket.decode(reader, sessionTrack: true) }
        case .eof: packet(bytes) { (reader) throws(Failure) in _ = try OKPacket.decodeEOF(reader) }
        case .error: packet(bytes) { (reader) throws(Failure) in try check(ServerError.decode(reader)) }
        case .column: packet(bytes) { (reader) throws(Failure) in _ = try ColumnDefinition.decode(reader) }
        case .authSwitch:
            packet(bytes) { (reader) throws(Failure) in demand(try AuthSwitchRequest.decode(reader).data.count <= 1024)
            }
        case .row: Rows.run(bytes)
        case .version:
            _ = ServerVersion(String(decoding: bytes, as: UTF8.self)).isMySQL(atLeast: 8)
        case .framer: Framing.run(bytes)
        case .authentication: Login.run(bytes)
        case .reply: Reply.run(bytes)
        case .prepare: Preparing.run(bytes)
        case .binaryRow: BinaryRows.run(bytes)
        }
    }

    private func packet(_ bytes: [UInt8], _ decode: (ByteReader) throws(Failure) -> Void) {
        // In the middle of a larger buffer, as packets are: a decoder must not look beyond its own.
        let buffer = [0xFF] + bytes + [UInt8](repeating: 0xFE, count: 16)
        do throws(Failure) { try decode(ByteReader(buffer, 1..<1 + bytes.count)) } catch { describe(error) }
    }

    private func check(_ greeting: Greeting) {
        demand(greeting.version.utf8.count <= 3 * 256 && greeting.plugin.utf8.count <= 3 * 256)
        demand(greeting.nonce.count <= 20)
    }

    private func check(_ error: ServerError) {
        demand(error.message.utf8.count <= 3 * ServerError.maximumMessage)
    }
}

/// A promise of the code under test.
func demand(_ holds: Bool, _ line: Int = #line) {
    if !holds { fatalError("a promise was not kept, line \(line)") }
}

/// Every failure can be put in words, and the words are bounded.
func describe(_ failure: Failure) {
    demand(failure.error(phase: .reply, server: "s", purpose: "p").description.utf8.count < 32 * 1024)
}

/// Packets as the corpus holds them: two bytes of length, the payload, and so on.
struct Packets: Sequence, IteratorProtocol {
    private let bytes: [UInt8]
    private var at: Int

    init(_ bytes: [UInt8], from: Int) {
        self.bytes = bytes
        at = from
    }

    mutating func next() -> [UInt8]? {
        guard at + 2 <= bytes.count else { return nil }
        let length = Int(bytes[at]) | Int(bytes[at + 1]) << 8
        let end = Swift.min(bytes.count, at + 2 + length)
        defer { at = end }
        return Array(bytes[at + 2..<end])
    }
}
