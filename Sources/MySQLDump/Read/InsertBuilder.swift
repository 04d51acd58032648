import MySQLWire

/// Collects rows into INSERT statements of about `size` bytes, and these into transactions.
struct InsertBuilder {
    /// Bytes of a statement. What a server makes of the statement, some five times its size, should stay in a core's
    /// cache until it is thrown away: 1 MB costs 9.7 a sixth more time per row (Benchmarks/DUMP.md).
    static let statementSize = 128 << 10
    /// Bytes of a transaction.
    static let transactionSize = 32 << 20

    private let head: [UInt8]
    private let encodings: [ValueEncoding]
    private let size: Int
    private let transaction: Int
    private var pending: [UInt8] = []
    private var pendingRows = 0
    private var inTransaction = 0
    private(set) var rows: UInt64 = 0
    /// Statements that are complete, for the caller to take.
    private(set) var ready: [StreamItem] = []
    private static let begin = Array("START TRANSACTION".utf8)
    private static let commit = Array("COMMIT".utf8)

    init(
        table: String, columns: [ColumnPlan], size: Int = Self.statementSize, transaction: Int = Self.transactionSize
    ) {
        let names = columns.map { SQLText.name($0.name) }.joined(separator: ",")
        head = Array("INSERT INTO \(SQLText.name(table)) (\(names)) VALUES\n".utf8)
        encodings = columns.map(\.encoding)
        self.size = size
        self.transaction = transaction
    }

    /// Adds a row. `value` gives the bytes of a column; nil is NULL.
    mutating func add(_ value: (Int) -> ValueEncoder.Bytes?) {
        // A long row gets a statement of its own: joined to others it might exceed the target's packet size.
        let length = length(of: value)
        if pendingRows > 0, pending.count + length > size + size / 4 { flush() }
        // Growing by doubling would hold a long row three times.
        if pendingRows == 0, rows > 0 || length > size {
            pending.reserveCapacity(head.count + (length > size ? length + length / 16 : size + size / 4))
        }
        if pendingRows == 0 { pending.append(contentsOf: head) } else { pending.append(contentsOf: ",\n".utf8) }
        pending.append(UInt8(ascii: "("))
        for column in encodings.indices {
            if column > 0 { pending.append(UInt8(ascii: ",")) }
            if let bytes = value(column) {
                ValueEncoder.append(bytes, as: encodings[column], to: &pending)
            } else {
                pending.append(contentsOf: "NULL".utf8)
            }
        }
        pending.append(UInt8(ascii: ")"))
        rows += 1
        pendingRows += 1
        if pending.count >= size { flush() }
    }

    /// About how much text a row becomes.
    private func length(of value: (Int) -> ValueEncoder.Bytes?) -> Int {
        var length = 2
        for column in encodings.indices {
            guard let bytes = value(column) else { continue }
            switch encodings[column] {
            case .hex where bytes.count > ValueEncoder.longestHex: length += bytes.count + 10
            case .hex, .introduced: length += 2 * bytes.count + 2
            default: length += bytes.count + 2
            }
        }
        return length
    }

    /// Closes the last statement and transaction.
    mutating func finish() {
        flush()
        if inTransaction > 0 { ready.append(.statement(Self.commit, .transaction)) }
        inTransaction = 0
    }

    mutating func takeReady() -> [StreamItem] {
        defer { ready = [] }
        return ready
    }

    private mutating func flush() {
        guard pendingRows > 0 else { return }
        if inTransaction == 0 { ready.append(.statement(Self.begin, .transaction)) }
        inTransaction += pending.count
        ready.append(.statement(pending, .rows))
        pending = []
        pendingRows = 0
        if inTransaction >= transaction {
            ready.append(.statement(Self.commit, .transaction))
            inTransaction = 0
        }
    }
}
