import MySQLWire

/// A digest of all that DDL can change.
struct Definitions: Equatable, Sendable {
    private let digest: [UInt8]

    /// - Parameter session: one that is in no transaction.
    static func read(_ session: Session, excluded: Set<String>) async throws(DumpError) -> Definitions {
        let hash = SHA256Stream()
        let left = Catalog.systemSchemas.union(excluded).sorted().map(SQLText.literal).joined(separator: ", ")
        for (view, schema, columns) in [
            ("SCHEMATA", "SCHEMA_NAME", "SCHEMA_NAME, DEFAULT_COLLATION_NAME"),
            ("TABLES", "TABLE_SCHEMA", "TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, CREATE_TIME"),
            ("COLUMNS", "TABLE_SCHEMA", "TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, EXTRA"),
            ("STATISTICS", "TABLE_SCHEMA", "TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME"),
            ("VIEWS", "TABLE_SCHEMA", "TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION"),
            ("ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, LAST_ALTERED"),
            ("TRIGGERS", "TRIGGER_SCHEMA", "TRIGGER_SCHEMA, TRIGGER_NAME, CREATED, ACTION_ORDER"),
            ("EVENTS", "EVENT_SCHEMA", "EVENT_SCHEMA, EVENT_NAME, LAST_ALTERED"),
        ] {
            let order = columns.split(separator: ",").indices.map { "\($0 + 1)" }.joined(separator: ", ")
            let result = try await session.run(
                "SELECT \(columns) FROM information_schema.\(view) WHERE \(schema) NOT IN (\(left)) ORDER BY \(order)",
                "read what the definitions are")
            for row in result.rows {
                for column in row.columns.indices {
                    let value = row.bytes(column)
                    // With its length, so that no two rows read alike.
                    for part in [Array("\(value?.count ?? -1):".utf8), value ?? []] {
                        part.withUnsafeBytes { hash.add($0) }
                    }
                }
            }
        }
        return Definitions(digest: hash.digest())
    }
}
