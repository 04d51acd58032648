import Synchronization

/// The rows of one statement, pulled: nothing is read from the socket that nobody asked for, so a slow consumer slows
/// the server down instead of filling memory.
///
/// A stream that is dropped before its end closes its connection: what is left of the reply could otherwise be taken
/// for the answer to the next statement.
public final class RowStream: Sendable {
    public let columns: [ColumnDefinition]
    private let core: ConnectionCore
    private let purpose: String
    private let reader: Reader
    private let state: Mutex<State>

    private enum State { case idle, reading, ended }

    /// Used only by the call that turned `state` from idle to reading.
    private final class Reader: @unchecked Sendable {
        var exchange: Exchange
        init(_ exchange: consuming Exchange) { self.exchange = exchange }
    }

    init(core: ConnectionCore, exchange: consuming Exchange, purpose: String) {
        self.core = core
        self.purpose = purpose
        columns = exchange.columns
        let ended = exchange.hasEnded
        state = Mutex(ended ? .ended : .idle)
        reader = Reader(exchange)
        if ended { core.end() }
    }

    deinit { cancel() }

    /// The next rows, as many as one read brought; nil after the last.
    /// - Throws: `MySQLError`; also when the server ends the reply with an ERR packet in the middle of the rows.
    ///   After any error but `busy` the stream has ended.
    public func next(deadline: Deadline) async throws(MySQLError) -> RowBatch? {
        enum Turn { case read, ended, busy }
        let turn: Turn = state.withLock { state in
            switch state {
            case .idle:
                state = .reading
                return .read
            case .reading: return .busy
            case .ended: return .ended
            }
        }
        switch turn {
        case .ended: return nil
        case .busy: throw core.error(.busy, .reply, purpose)
        case .read: break
        }
        do throws(Failure) {
            let batch = try await reader.exchange.nextBatch(deadline)
            let ended = reader.exchange.hasEnded
            state.withLock { $0 = ended ? .ended : .idle }
            if ended { core.end() }
            return batch
        } catch {
            state.withLock { $0 = .ended }
            core.finish(error)
            throw core.error(error, .reply, purpose)
        }
    }

    /// Gives up the rest of the rows and closes the connection. Nothing after the last row.
    public func cancel() {
        let wasUnderWay = state.withLock { state in
            defer { state = .ended }
            return state != .ended
        }
        if wasUnderWay { core.abandon() }
    }
}

/// Some rows of a stream: their bytes as received, and where each value lies in them.
public struct RowBatch: Sendable {
    /// Backing store of all values of the batch.
    public let bytes: [UInt8]
    public let columns: [ColumnDefinition]
    public let columnCount: Int
    /// Row after row, column after column: start and length in `bytes`; length -1 is NULL.
    @usableFromInline let offsets: [(start: Int32, length: Int32)]

    init(bytes: [UInt8], columns: [ColumnDefinition], offsets: [(start: Int32, length: Int32)]) {
        self.bytes = bytes
        self.columns = columns
        columnCount = columns.count
        self.offsets = offsets
    }

    @inlinable
    public var rowCount: Int { columnCount == 0 ? 0 : offsets.count / columnCount }

    /// Where a value lies in `bytes`; nil for NULL.
    /// - Precondition: row and column exist.
    @inlinable
    public func range(row: Int, column: Int) -> Range<Int>? {
        let (start, length) = offsets[row * columnCount + column]
        return length < 0 ? nil : Int(start)..<Int(start) + Int(length)
    }

    /// A value as text; nil for NULL.
    public func string(row: Int, column: Int) -> String? {
        range(row: row, column: column).map { String(decoding: bytes[$0], as: UTF8.self) }
    }
}
