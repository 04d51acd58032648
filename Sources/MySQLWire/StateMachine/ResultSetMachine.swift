/// The reply to COM_QUERY: result sets one after the other, each with columns and rows or just an OK packet. No
/// input or output: packets go in, what they mean comes out.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
struct ResultSetMachine: ~Copyable {
    /// The server's own limit on columns in a table, and ours on a result set.
    static let maximumColumns = 4096

    enum Action: Sendable {
        /// Read the next packet.
        case read
        case columns([ColumnDefinition])
        /// The packet is a row of `columnCount` values.
        case row
        /// A result set has ended, and another follows.
        case nextResult(OKPacket)
        /// The reply has ended.
        case end(OKPacket)
        /// The reply has ended with an ERR packet.
        case failed(ServerError)
    }

    private enum State {
        case header
        case columns(left: Int)
        case endOfColumns
        case rows
        case finished
    }

    private var state = State.header
    private var definitions: [ColumnDefinition] = []
    private let deprecateEOF: Bool

    private let sessionTrack: Bool

    /// - Parameters: what was agreed upon in the handshake.
    init(deprecateEOF: Bool, sessionTrack: Bool = false) {
        self.deprecateEOF = deprecateEOF
        self.sessionTrack = sessionTrack
    }

    var columnCount: Int { definitions.count }

    /// - Parameters:
    ///   - first: the packet's first byte, nil if it is empty.
    ///   - length: the packet's length in bytes.
    ///   - packet: the packet itself, made only where it is no row.
    mutating func receive(first: UInt8?, length: Int, packet: @autoclosure () -> ByteReader) throws(Failure) -> Action {
        guard let first else { throw .violation("an empty packet in a reply") }
        if case .rows = state {
            switch first {
            case 0xFF: break
            // A row may begin with 0xFE too, but only if its first value fills more than a frame.
            case 0xFE where deprecateEOF ? length < PacketFramer.fullFrame : length < 9:
                return try finishResult(
                    deprecateEOF
                        ? OKPacket.decode(packet(), sessionTrack: sessionTrack) : OKPacket.decodeEOF(packet()))
            default: return .row
            }
        }
        if first == 0xFF {
            if case .finished = state { throw afterTheEnd }
            state = .finished
            return .failed(try ServerError.decode(packet()))
        }
        switch state {
        case .header: return try receiveHeader(first, packet())
        case .columns(let left):
            definitions.append(try ColumnDefinition.decode(packet()))
            if left > 1 {
                state = .columns(left: left - 1)
                return .read
            }
            if !deprecateEOF {
                state = .endOfColumns
                return .read
            }
            state = .rows
            return .columns(definitions)
        case .endOfColumns:
            guard first == 0xFE, length < 9 else { throw .violation("no EOF packet after the columns") }
            state = .rows
            return .columns(definitions)
        case .rows, .finished: throw afterTheEnd
        }
    }

    private mutating func receiveHeader(_ first: UInt8, _ packet: ByteReader) throws(Failure) -> Action {
        switch first {
        case 0x00: return try finishResult(OKPacket.decode(packet, sessionTrack: sessionTrack))
        case 0xFB:
            throw .violation("the server asks for a local file (LOAD DATA LOCAL), which was never offered")
        default:
            var reader = packet.named("head of a result set")
            let count = try reader.lenencInt("column count")
            guard count > 0 else { throw reader.violation("0 columns") }
            guard count <= UInt64(Self.maximumColumns) else {
                throw Failure(.limit, "a result set of \(count) columns, at most \(Self.maximumColumns) are taken")
            }
            definitions.removeAll()
            state = .columns(left: Int(truncatingIfNeeded: count))
            return .read
        }
    }

    private mutating func finishResult(_ ok: OKPacket) throws(Failure) -> Action {
        if ok.status.contains(.moreResults) {
            state = .header
            return .nextResult(ok)
        }
        state = .finished
        return .end(ok)
    }

    private var afterTheEnd: Failure { .violation("a packet after the end of the reply") }
}
