import MySQLWire

/// The histograms of columns, which the optimizer plans by: carried as the source has them.
struct Histograms {
    let session: Session
    let sink: any ItemSink

    func send(schemas: [String]) async throws(DumpError) {
        guard !schemas.isEmpty else { return }
        let list = schemas.map(SQLText.literal).joined(separator: ", ")
        let result = try await session.run(
            """
            SELECT SCHEMA_NAME, TABLE_NAME, COLUMN_NAME, HISTOGRAM, \
            JSON_EXTRACT(HISTOGRAM, '$."number-of-buckets-specified"') FROM information_schema.COLUMN_STATISTICS \
            WHERE SCHEMA_NAME IN (\(list)) ORDER BY SCHEMA_NAME, TABLE_NAME, COLUMN_NAME
            """, "read the histograms")
        for row in result.rows {
            guard let schema = row.string(0), let table = row.string(1), let column = row.string(2),
                let data = row.string(3)
            else { continue }
            // Not into the binary log of whoever imports this.
            var sql =
                "ANALYZE NO_WRITE_TO_BINLOG TABLE \(SQLText.name(schema)).\(SQLText.name(table)) "
                + "UPDATE HISTOGRAM ON \(SQLText.name(column))"
            if session.version.isMySQL(atLeast: 8, 0, 31) {
                sql += " USING DATA \(SQLText.literal(data))"
            } else {
                sql += " WITH \(row.string(4) ?? "100") BUCKETS"
            }
            try await sink.send(.statement(sql))
        }
    }
}
