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
            SELECT SCHEMA_NAME AS schema_name, TABLE_NAME AS table_name, COLUMN_NAME AS column_name, \
            HISTOGRAM AS histogram, JSON_EXTRACT(HISTOGRAM, '$."number-of-buckets-specified"') AS buckets \
            FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME IN (\(list)) \
            ORDER BY SCHEMA_NAME, TABLE_NAME, COLUMN_NAME
            """, "read the histograms")
        for row in result.rows {
            guard let schema = row.string("schema_name"), let table = row.string("table_name"),
                let column = row.string("column_name"), let data = row.string("histogram")
            else { continue }
            // Not into the binary log of whoever imports this.
            var sql =
                "ANALYZE NO_WRITE_TO_BINLOG TABLE \(SQLText.name(schema)).\(SQLText.name(table)) "
                + "UPDATE HISTOGRAM ON \(SQLText.name(column))"
            if session.version.isMySQL(atLeast: 8, 0, 31) {
                sql += " USING DATA \(SQLText.literal(data))"
            } else {
                sql += " WITH \(row.string("buckets") ?? "100") BUCKETS"
            }
            try await sink.send(.statement(sql))
        }
    }
}
