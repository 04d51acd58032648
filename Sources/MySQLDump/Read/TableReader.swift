import MySQLWire

/// Reads the rows of one table in the snapshot and hands them on as INSERT statements.
struct TableReader {
    let snapshot: SourceSnapshot
    let table: Catalog.Table
    let sink: any ItemSink
    let progress: (UInt64, UInt64) -> Void

    /// - Returns: what was written, proved by COUNT(*) in the same snapshot.
    func read() async throws(DumpError) -> TableFact {
        let session = snapshot.session
        let columns = try await Catalog.columns(session, of: table)
        let purpose = "read the rows of \(table.quoted)"
        let expressions = columns.isEmpty ? "1" : columns.map(\.expression).joined(separator: ", ")
        var builder = InsertBuilder(table: table.name, columns: columns)
        var bytes: UInt64 = 0
        do {
            let stream = try await session.connection.stream(
                "SELECT \(expressions) FROM \(table.quoted)", purpose: purpose, deadline: session.deadline)
            guard stream.columns.count == max(1, columns.count) else {
                throw DumpError(.mismatch, "\(session.server): \(table.quoted) changed while it was read")
            }
            while let batch = try await stream.next(deadline: session.deadline) {
                try encode(batch, columns, into: &builder)
                for item in builder.takeReady() {
                    bytes += UInt64(item.byteCount)
                    try await sink.send(item)
                }
                progress(builder.rows, bytes)
            }
        } catch let error as MySQLError {
            throw DumpError(error, purpose)
        } catch {
            throw error as? DumpError ?? DumpError(.unsupported, "\(error)")
        }
        builder.finish()
        for item in builder.takeReady() { try await sink.send(item) }

        let counted = try await session.value(
            "SELECT COUNT(*) FROM \(table.quoted)", "count the rows of \(table.quoted)")
        guard let counted, counted == "\(builder.rows)" else {
            throw DumpError(
                .mismatch,
                "\(session.server): \(builder.rows) rows of \(table.quoted) were read, but COUNT(*) is \(counted ?? "NULL")"
            )
        }
        let checksum = try await session.run("CHECKSUM TABLE \(table.quoted)", "take the checksum of \(table.quoted)")
        return TableFact(
            schema: table.schema, name: table.name, rows: builder.rows, checksum: checksum.rows.first?.string(1),
            hasJSON: columns.contains { $0.isJSON })
    }

    private func encode(
        _ batch: RowBatch, _ columns: [ColumnPlan], into builder: inout InsertBuilder
    ) throws(DumpError) {
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
                "\(snapshot.session.server): column \(columns[wrongNull].name) of \(table.quoted) is NOT NULL, but a NULL was read"
            )
        }
    }
}
