/// The whole answer of a prepared statement.
public struct TypedResultSet: Sendable {
    public var columns: [ColumnDefinition] = []
    /// A value for each column, row after row.
    public var rows: [[SQLValue]] = []
    public var affectedRows: UInt64 = 0
    public var lastInsertID: UInt64 = 0
    public var warnings: UInt16 = 0
    /// What was committed; see `ResultSet.gtids`.
    public var gtids: String?
}

/// Reads the reply to COM_STMT_EXECUTE: the packets of a text reply, but for the rows.
struct TypedReply: ~Copyable {
    private let session: Session
    private var machine: ResultSetMachine
    private var result = TypedResultSet()
    private var collected = 0
    /// Whether the first result set has ended: what follows is read and dropped.
    private var isComplete = false

    init(session: Session) {
        self.session = session
        machine = ResultSetMachine(
            deprecateEOF: session.capabilities.contains(.deprecateEOF),
            sessionTrack: session.capabilities.contains(.sessionTrack))
    }

    mutating func read(_ deadline: Deadline) async throws(Failure) -> TypedResultSet {
        while true {
            // Packets that are there already come without a wait: the deadline counts for them all the same.
            if Task.isCancelled { throw .cancelled }
            if deadline.hasPassed { throw .timeout }
            let range = try await session.read(deadline)
            let action = try machine.receive(
                first: session.firstByte(range), length: range.count, packet: session.packet(range))
            switch action {
            case .read: continue
            case .columns(let columns): if !isComplete { result.columns = columns }
            case .row: if !isComplete { try append(range) }
            case .nextResult(let ok): complete(ok)
            case .end(let ok):
                complete(ok)
                return result
            case .failed(let error): throw Failure(error, keepsConnection: !session.framer.sawUnsolicitedError)
            }
        }
    }

    private mutating func append(_ range: Range<Int>) throws(Failure) {
        collected += Exchange.cost(
            of: range.count, columns: result.columns.count, each: MemoryLayout<SQLValue>.stride + 32)
        guard collected <= session.maximumCollected else {
            throw Failure(.limit, "an answer that takes more than \(session.maximumCollected) bytes")
        }
        result.rows.append(try BinaryRow.decode(session.packet(range), result.columns))
    }

    private mutating func complete(_ ok: OKPacket) {
        result.gtids = ok.gtids ?? result.gtids
        if isComplete { return }
        isComplete = true
        result.affectedRows = ok.affectedRows
        result.lastInsertID = ok.lastInsertID
        result.warnings = ok.warnings
    }
}
