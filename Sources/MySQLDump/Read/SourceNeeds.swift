import MySQLWire

/// Finds out what a target must have, or be, to take what this server holds.
struct SourceNeeds {
    let session: Session
    let excluded: Set<String>
    let accounts: Bool

    func read() async throws(DumpError) -> [ImportNeed] {
        var needs = try await names()
        needs += try await list(
            .engine,
            """
            SELECT ENGINE AS value, MIN(CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)) AS owner \
            FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' \
            AND \(dumped("TABLE_SCHEMA")) GROUP BY ENGINE
            """)
        for (view, schema, column) in [
            ("SCHEMATA", "SCHEMA_NAME", "DEFAULT_COLLATION_NAME"), ("TABLES", "TABLE_SCHEMA", "TABLE_COLLATION"),
            ("COLUMNS", "TABLE_SCHEMA", "COLLATION_NAME"),
        ] {
            needs += try await list(
                .collation,
                """
                SELECT \(column) AS value, MIN(\(schema)) AS owner FROM information_schema.\(view) \
                WHERE \(column) IS NOT NULL AND \(dumped(schema)) GROUP BY \(column)
                """)
        }
        needs += try await list(.pageSize, "SELECT @@GLOBAL.innodb_page_size AS value, 'the source' AS owner")
        // Without PROCESS the server does not tell where a table lies.
        needs += try await list(
            .tablespace,
            """
            SELECT s.NAME AS value, MIN(REPLACE(t.NAME, '/', '.')) AS owner FROM information_schema.INNODB_TABLES t \
            JOIN information_schema.INNODB_TABLESPACES s ON s.SPACE = t.SPACE \
            WHERE s.SPACE_TYPE = 'General' AND s.NAME <> 'mysql' GROUP BY s.NAME
            """, mayBeDenied: true)
        if accounts {
            needs += try await list(
                .plugin,
                """
                SELECT plugin AS value, MIN(CONCAT(User, '@', Host)) AS owner FROM mysql.user WHERE plugin <> '' \
                GROUP BY plugin
                """)
        }
        needs += try await obstacles()
        var seen: Set<String> = []
        return needs.filter { seen.insert("\($0.kind.rawValue) \($0.value)").inserted }
    }

    private func dumped(_ column: String) -> String {
        let left = Catalog.systemSchemas.union(excluded).sorted().map(SQLText.literal).joined(separator: ", ")
        return "\(column) NOT IN (\(left))"
    }

    /// - Parameter sql: what is needed as `value`, and what needs it as `owner`.
    private func list(
        _ kind: ImportNeed.Kind, _ sql: String, mayBeDenied: Bool = false
    ) async throws(DumpError) -> [ImportNeed] {
        let rows: [Row]
        do throws(DumpError) {
            rows = try await session.run(sql, "see what a target needs").rows
        } catch {
            guard mayBeDenied, case .server(let failure) = error.cause, failure.serverError?.isDenial == true else {
                throw error
            }
            return []
        }
        return rows.compactMap { row in
            row.string("value").map { ImportNeed(kind: kind, value: $0, by: row.string("owner") ?? "") }
        }
    }

    private func names() async throws(DumpError) -> [ImportNeed] {
        switch try await session.value("SELECT @@GLOBAL.lower_case_table_names", "see how names are compared") {
        case "1": return [ImportNeed(kind: .caseless, value: "1", by: "the source")]
        case "0":
            return try await list(
                .capitals,
                """
                SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS value, 'the source' AS owner \
                FROM information_schema.TABLES WHERE \(dumped("TABLE_SCHEMA")) \
                AND CAST(CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS BINARY) \
                <> CAST(LOWER(CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)) AS BINARY) LIMIT 1
                """)
        default: return []
        }
    }

    // MARK: What no server takes

    private func obstacles() async throws(DumpError) -> [ImportNeed] {
        var found = try await list(
            .obstacle,
            """
            SELECT CONCAT('foreign key ', k.CONSTRAINT_NAME, ' of ', k.TABLE_SCHEMA, '.', k.TABLE_NAME, ' refers to column ', \
            k.REFERENCED_COLUMN_NAME, ' of ', k.REFERENCED_TABLE_SCHEMA, '.', k.REFERENCED_TABLE_NAME, \
            ', which has another character set since it was altered') AS value, 'the source' AS owner \
            FROM information_schema.KEY_COLUMN_USAGE k \
            JOIN information_schema.COLUMNS a ON a.TABLE_SCHEMA = k.TABLE_SCHEMA AND a.TABLE_NAME = k.TABLE_NAME \
            AND a.COLUMN_NAME = k.COLUMN_NAME \
            JOIN information_schema.COLUMNS b ON b.TABLE_SCHEMA = k.REFERENCED_TABLE_SCHEMA \
            AND b.TABLE_NAME = k.REFERENCED_TABLE_NAME AND b.COLUMN_NAME = k.REFERENCED_COLUMN_NAME \
            WHERE k.REFERENCED_TABLE_NAME IS NOT NULL AND a.CHARACTER_SET_NAME <> b.CHARACTER_SET_NAME \
            AND \(dumped("k.TABLE_SCHEMA"))
            """)
        found += try await checks()
        return found
    }

    /// Rows that a CHECK refuses in the time zone of every dump, because the session that wrote them had another.
    private func checks() async throws(DumpError) -> [ImportNeed] {
        guard session.version.isMySQL(atLeast: 8, 0, 16) else { return [] }
        let constraints = try await session.run(
            """
            SELECT t.TABLE_SCHEMA AS table_schema, t.TABLE_NAME AS table_name, c.CONSTRAINT_NAME AS constraint_name, \
            c.CHECK_CLAUSE AS check_clause FROM information_schema.TABLE_CONSTRAINTS t \
            JOIN information_schema.CHECK_CONSTRAINTS c ON c.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA \
            AND c.CONSTRAINT_NAME = t.CONSTRAINT_NAME \
            WHERE t.CONSTRAINT_TYPE = 'CHECK' AND t.ENFORCED = 'YES' AND \(dumped("t.TABLE_SCHEMA")) AND EXISTS ( \
            SELECT 1 FROM information_schema.COLUMNS s WHERE s.TABLE_SCHEMA = t.TABLE_SCHEMA \
            AND s.TABLE_NAME = t.TABLE_NAME AND s.DATA_TYPE = 'timestamp')
            """, "list the checks of tables with timestamps")
        var found: [ImportNeed] = []
        for row in constraints.rows {
            guard let schema = row.string("table_schema"), let table = row.string("table_name"),
                let name = row.string("constraint_name"), let clause = row.string("check_clause")
            else { continue }
            // As information_schema prints it, quotes have a backslash before them.
            let condition = clause.replacing("\\'", with: "'")
            do throws(DumpError) {
                let violated = try await session.value(
                    "SELECT 1 FROM \(SQLText.name(schema)).\(SQLText.name(table)) WHERE NOT (\(condition)) LIMIT 1",
                    "see whether check \(name) holds in UTC")
                guard violated != nil else { continue }
                found.append(
                    ImportNeed(
                        kind: .obstacle,
                        value:
                            "check \(name) of \(schema).\(table) is violated by a row when it is written in UTC: it was "
                            + "written in another time zone", by: "the source"))
            } catch {
                // What cannot be asked so is seen by the import.
                guard case .server(let failure) = error.cause, failure.serverError != nil, session.connection.isOpen
                else { throw error }
            }
        }
        return found
    }
}
