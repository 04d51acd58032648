/// One COM_QUERY under way: sends it and reads its reply, packet by packet.
/// Lives inside a call that holds the connection's lease.
struct Exchange: ~Copyable {
    /// What a row takes: its bytes, and what arrays and their elements take besides. A server that sends nothing but
    /// NULLs fills memory too.
    static func cost(of bytes: Int, columns: Int, each stride: Int) -> Int { 64 + bytes + columns * stride }

    let session: Session
    private var machine: ResultSetMachine
    private(set) var phase = MySQLError.Phase.idle
    private(set) var columns: [ColumnDefinition] = []
    private(set) var summary = OKPacket() { didSet { note(summary) } }
    /// What the reply ended with behind rows that are handed out first.
    private var pending: Failure?
    /// What was committed, whichever of several result sets said so.
    private var gtids: String?
    private var offsetsHint = 0
    /// Bytes of rows so far.
    private var taken = 0
    /// From so many on a reply is read in larger pieces.
    private static let bulk = 256 << 10
    /// Whether the reply was read to its end.
    private(set) var hasEnded = false

    init(session: Session) {
        self.session = session
        machine = ResultSetMachine(
            deprecateEOF: session.capabilities.contains(.deprecateEOF),
            sessionTrack: session.capabilities.contains(.sessionTrack))
    }

    /// Sends the statement. A call that is over before it began leaves the connection as it was.
    mutating func send(_ sql: [UInt8], _ deadline: Deadline) async throws(Failure) {
        try session.readyForCommand(deadline)
        phase = .command
        guard sql.count < 1 << 30 else {
            throw Failure(.limit, "a statement of more than 1 GiB").keepingConnection()
        }
        try await session.send(.query, sql, deadline)
        phase = .reply
    }

    /// Reads up to the first row or, without rows, to the end of the whole reply.
    mutating func readHeader(_ deadline: Deadline) async throws(Failure) {
        while true {
            let range = try await session.read(deadline)
            switch try receive(range) {
            case .read: continue
            case .columns(let definitions):
                columns = definitions
                return
            case .row: throw .violation("a row before its columns")
            case .nextResult(let ok):
                summary = ok
                return try await drain(deadline)
            case .end(let ok):
                summary = ok
                hasEnded = true
                return
            case .failed(let error): throw failure(error)
            }
        }
    }

    /// The rows that are there, or those of the next read; nil after the last. Reads any further result sets to
    /// their end, so that nil means the end of the reply.
    mutating func nextBatch(_ deadline: Deadline) async throws(Failure) -> RowBatch? {
        if let pending { throw pending }
        if hasEnded || columns.isEmpty { return nil }
        if Task.isCancelled { throw .cancelled }
        if deadline.hasPassed { throw .timeout }
        var offsets: [(start: Int32, length: Int32)] = []
        offsets.reserveCapacity(offsetsHint)
        while true {
            // Decodes all that is there in one go: no suspension and no allocation per row.
            try decodePlainRows(into: &offsets)
            decode: while let range = try session.framer.next() {
                switch try receive(range) {
                case .row:
                    try decodeRow(range, into: &offsets)
                    try decodePlainRows(into: &offsets)
                case .nextResult(let ok):
                    summary = ok
                    let batch = makeBatch(offsets)
                    do throws(Failure) {
                        try await drain(deadline)
                    } catch {
                        if batch == nil { throw error }
                        pending = error
                    }
                    return batch
                case .end(let ok):
                    summary = ok
                    hasEnded = true
                    return makeBatch(offsets)
                case .failed(let error):
                    pending = failure(error)
                    if let batch = makeBatch(offsets) { return batch }
                    throw failure(error)
                case .read, .columns: throw .violation("a column where a row was due")
                }
            }
            if !offsets.isEmpty { return makeBatch(offsets) }
            try await session.transport.fill(&session.framer, isBulk: taken > Self.bulk, deadline)
        }
    }

    /// The whole first result set.
    mutating func readAll(_ deadline: Deadline) async throws(Failure) -> ResultSet {
        try await readHeader(deadline)
        var rows: [Row] = []
        var collected = 0
        while let batch = try await nextBatch(deadline) {
            for row in 0..<batch.rowCount {
                var values: [[UInt8]?] = []
                values.reserveCapacity(batch.columnCount)
                for column in 0..<batch.columnCount {
                    values.append(batch.range(row: row, column: column).map { Array(batch.bytes[$0]) })
                }
                try collect(values, &collected)
                rows.append(Row(columns: columns, values: values))
            }
        }
        return ResultSet(
            columns: columns, rows: rows, affectedRows: summary.affectedRows, lastInsertID: summary.lastInsertID,
            warnings: summary.warnings, gtids: gtids)
    }

    private func collect(_ values: [[UInt8]?], _ collected: inout Int) throws(Failure) {
        let bytes = values.reduce(0) { $0 + ($1.map { $0.isEmpty ? 0 : 32 + $0.count } ?? 0) }
        collected += Self.cost(of: bytes, columns: values.count, each: MemoryLayout<[UInt8]?>.stride)
        guard collected <= session.maximumCollected else {
            throw Failure(.limit, "an answer that takes more than \(session.maximumCollected) bytes; stream it")
        }
    }

    /// All result sets.
    mutating func readEvery(_ deadline: Deadline) async throws(Failure) -> [ResultSet] {
        var results: [ResultSet] = []
        var current = ResultSet()
        var collected = 0
        while true {
            // Packets that are there already come without a wait: the deadline counts for them all the same.
            if Task.isCancelled { throw .cancelled }
            if deadline.hasPassed { throw .timeout }
            let range = try await session.read(deadline)
            switch try receive(range) {
            case .read: continue
            case .columns(let definitions):
                columns = definitions
                current.columns = definitions
                collected += definitions.count * 256
            case .row:
                var offsets: [(start: Int32, length: Int32)] = []
                try decodeRow(range, into: &offsets)
                let values = offsets.map { place in
                    place.length < 0
                        ? nil : Array(session.framer.buffer[Int(place.start)..<Int(place.start + place.length)])
                }
                try collect(values, &collected)
                current.rows.append(Row(columns: current.columns, values: values))
            case .nextResult(let ok):
                results.append(current.ended(by: ok))
                note(ok)
                current = ResultSet()
                try collect([], &collected)
            case .end(let ok):
                results.append(current.ended(by: ok))
                note(ok)
                hasEnded = true
                return results
            case .failed(let error): throw failure(error)
            }
        }
    }

    private mutating func note(_ ok: OKPacket) {
        gtids = ok.gtids ?? gtids
        if ok.schemaChanged { session.isForeign = true }
    }

    /// Reads what is left of the reply and drops it.
    private mutating func drain(_ deadline: Deadline) async throws(Failure) {
        while true {
            let range = try await session.read(deadline)
            switch try receive(range) {
            case .read, .columns, .row: continue
            case .nextResult(let ok): note(ok)
            case .end(let ok):
                note(ok)
                hasEnded = true
                return
            case .failed(let error): throw failure(error)
            }
        }
    }

    private mutating func receive(_ range: Range<Int>) throws(Failure) -> ResultSetMachine.Action {
        try machine.receive(
            first: session.firstByte(range), length: range.count, packet: session.packet(range))
    }

    /// Rows that lie in the buffer in one frame each and begin with what only a row begins with: what the machine would
    /// make of them, with less ado.
    private func decodePlainRows(into offsets: inout [(start: Int32, length: Int32)]) throws(Failure) {
        let count = columns.count
        try session.framer.takeWhole { (bytes, range) throws(Failure) in
            if bytes[range.lowerBound] >= 0xFE { return false }
            try TextRow.decode(bytes, range, columns: count, into: &offsets)
            return true
        }
    }

    private func decodeRow(_ range: Range<Int>, into offsets: inout [(start: Int32, length: Int32)]) throws(Failure) {
        var failure: Failure?
        session.framer.buffer.withUnsafeBufferPointer { bytes in
            do throws(Failure) {
                try TextRow.decode(bytes, range, columns: columns.count, into: &offsets)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private mutating func makeBatch(_ offsets: [(start: Int32, length: Int32)]) -> RowBatch? {
        if offsets.isEmpty { return nil }
        offsetsHint = offsets.count
        let bytes = session.framer.detach()
        taken += bytes.count
        return RowBatch(bytes: bytes, columns: columns, offsets: offsets)
    }

    /// An ERR packet in its place ends the reply; one that came outside the numbering is the server's farewell.
    private func failure(_ error: ServerError) -> Failure {
        Failure(error, keepsConnection: !session.framer.sawUnsolicitedError)
    }
}
