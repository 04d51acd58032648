import MySQLWire

/// What is known of a table before its rows are read.
struct TablePlan: Sendable {
    let table: Catalog.Table
    let columns: [ColumnPlan]
    /// Names the key where a part of the table is read.
    var hint = ""
    /// Values beside the columns depend on the session that made them.
    var isDerived = false

    /// Whether several such rows at once could fill the memory: such a table is read by one session at a time.
    var hasLongRows: Bool {
        columns.contains { $0.isLong } && table.size >= 1 << 20
            && table.size / max(1, table.rows) >= TablePlan.longRow
    }

    /// Bytes of a row on average from which on rows are long.
    private static let longRow: UInt64 = 128 << 10
}

/// Reads a piece of a table and hands it on as INSERT statements.
struct TableReader {
    let session: Session
    let reading: Readers.Reading

    private var plan: TablePlan { reading.plan }
    private var table: Catalog.Table { reading.plan.table }

    func read() async throws(DumpError) {
        let columns = plan.columns
        let purpose = "read the rows of \(table.quoted)"
        let expressions = columns.isEmpty ? "1" : columns.map(\.expression).joined(separator: ", ")
        let part = reading.condition.isEmpty ? "" : "\(plan.hint) WHERE \(reading.condition)"
        var builder = InsertBuilder(table: table.name, columns: columns)
        do {
            let stream = try await session.connection.stream(
                "SELECT \(expressions) FROM \(table.quoted)\(part)", purpose: purpose, deadline: session.deadline)
            guard stream.columns.count == max(1, columns.count) else {
                throw DumpError(.mismatch, "\(session.server): \(table.quoted) changed while it was read")
            }
            while try await encodeNext(of: stream, into: &builder) {
                reading.count(builder.rows)
                for item in builder.takeReady() { try await reading.channel.send(item) }
            }
        } catch let error as MySQLError {
            throw DumpError(error, purpose)
        } catch {
            throw error as? DumpError ?? DumpError(.unsupported, "\(error)")
        }
        builder.finish()
        reading.count(builder.rows)
        for item in builder.takeReady() { try await reading.channel.send(item) }
    }

    /// The batch is gone when this returns: with long rows it is as large as what was made of it.
    /// - Returns: false after the last row.
    private func encodeNext(of stream: RowStream, into builder: inout InsertBuilder) async throws -> Bool {
        guard let batch = try await stream.next(deadline: session.deadline) else { return false }
        try encode(batch, into: &builder)
        return true
    }

    private func encode(_ batch: RowBatch, into builder: inout InsertBuilder) throws(DumpError) {
        let columns = plan.columns
        var wrongNull: Int?
        batch.bytes.withUnsafeBufferPointer { bytes in
            for row in 0..<batch.rowCount {
                builder.add { column in
                    guard let range = batch.range(row: row, column: column) else {
                        if !columns[column].nullable { wrongNull = column }
                        return nil
                    }
                    return UnsafeBufferPointer(rebasing: bytes[range])
                }
            }
        }
        if let wrongNull {
            throw DumpError(
                .mismatch,
                "\(session.server): column \(columns[wrongNull].name) of \(table.quoted) is NOT NULL, but a NULL was read"
            )
        }
    }
}
