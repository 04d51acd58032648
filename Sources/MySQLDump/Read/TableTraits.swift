import MySQLWire

/// What SHOW CREATE TABLE does not tell, or tells wrongly, of some tables; asked once for all of them.
struct TableTraits: Sendable {
    /// Tables with keys over expressions, quoted, and of each key its parts: expressions by the number of the part.
    private(set) var keys: [String: [String: [Int: String]]] = [:]
    /// Types of ENUM and SET columns that the server prints with question marks, by table and column.
    private(set) var types: [String: [String: String]] = [:]

    /// - Parameter side: stays outside of the snapshot; makes temporary tables of its own where it must.
    static func read(_ side: Session, excluded: Set<String>) async throws(DumpError) -> TableTraits {
        var traits = TableTraits()
        if side.version.isMySQL(atLeast: 8, 0, 13) {
            let found = try await side.run(
                """
                SELECT TABLE_SCHEMA AS table_schema, TABLE_NAME AS table_name, INDEX_NAME AS index_name, \
                SEQ_IN_INDEX AS seq_in_index, EXPRESSION AS expression FROM information_schema.STATISTICS \
                WHERE EXPRESSION IS NOT NULL
                """, "list the keys over expressions")
            for row in found.rows {
                guard let schema = row.string("table_schema"), let table = row.string("table_name"),
                    let key = row.string("index_name"), let part = row.int("seq_in_index"),
                    let expression = row.string("expression"), !excluded.contains(schema)
                else { continue }
                let quoted = "\(SQLText.name(schema)).\(SQLText.name(table))"
                traits.keys[quoted, default: [:]][key, default: [:]][Int(part) - 1] = expression
            }
        }
        for column in try await EnumMembers.unprintable(side, excluded: excluded) {
            traits.types[column.table, default: [:]][column.name] = try await EnumMembers(session: side).type(
                of: column)
        }
        return traits
    }

    /// Whether the columns behind a table's keys over expressions were made in strict mode. There a text that a function
    /// makes can be NULL, elsewhere it cannot where its arguments cannot; CHECKSUM TABLE reads these columns too.
    func isStrict(_ table: Catalog.Table, _ session: Session) async throws(DumpError) -> Bool {
        guard let keys = keys[table.quoted] else { return false }
        let found = try await session.run(
            "SHOW EXTENDED COLUMNS FROM \(table.quoted) LIKE '!hidden!%'", "see how \(table.quoted) was made")
        for row in found.rows {
            guard let name = row.string("Field"), let type = row.string("Type"), row.string("Null") == "NO",
                Self.isText(type)
            else { continue }
            // !hidden!key!part!number
            let words = name.dropFirst("!hidden!".count).split(separator: "!", omittingEmptySubsequences: false)
            guard words.count >= 3, let part = Int(words[words.count - 2]) else { continue }
            let key = words.dropLast(2).joined(separator: "!")
            // These take it from their arguments in either mode.
            let expression = keys[key]?[part]?.lowercased() ?? ""
            if ["ifnull(", "coalesce(", "if(", "(case ", "case "].contains(where: { expression.hasPrefix($0) }) {
                continue
            }
            return false
        }
        return true
    }

    private static func isText(_ type: String) -> Bool {
        ["char", "varchar", "binary", "varbinary", "tinytext", "text", "tinyblob", "blob"].contains {
            type.lowercased().hasPrefix($0)
        }
    }
}

/// ENUM and SET columns whose members have characters of four bytes: a server keeps them, and prints question marks.
struct EnumMembers {
    struct Column: Sendable {
        /// Quoted.
        var table: String
        var schema: String
        var name: String
        var isSet: Bool
        /// As the server prints it.
        var type: String
    }

    let session: Session

    static func unprintable(_ session: Session, excluded: Set<String>) async throws(DumpError) -> [Column] {
        let found = try await session.run(
            """
            SELECT TABLE_SCHEMA AS table_schema, TABLE_NAME AS table_name, COLUMN_NAME AS column_name, \
            DATA_TYPE AS data_type, COLUMN_TYPE AS column_type FROM information_schema.COLUMNS \
            WHERE DATA_TYPE IN ('enum', 'set') AND COLUMN_TYPE LIKE '%?%' \
            AND CHARACTER_SET_NAME IN ('utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030')
            """, "look for members that the server does not print")
        return found.rows.compactMap { row in
            guard let schema = row.string("table_schema"), let table = row.string("table_name"),
                let name = row.string("column_name"), let kind = row.string("data_type"),
                let type = row.string("column_type"), !excluded.contains(schema)
            else { return nil }
            return Column(
                table: "\(SQLText.name(schema)).\(SQLText.name(table))", schema: schema, name: name,
                isSet: kind.lowercased() == "set", type: type)
        }
    }

    /// The type with its real members: a temporary table of the same column is asked, by their numbers.
    func type(of column: Column) async throws(DumpError) -> String {
        let what = "read the members of column \(column.name) of \(column.table)"
        let count = DefinitionText.members(Array(column.type.utf8))
        guard (1...65535).contains(count), !column.isSet || count <= 64 else { throw unreadable(column, nil) }
        let copy = "\(SQLText.name(column.schema)).`repl_watchdog temporary members`"
        // Temporary tables are not replicated, but by statement they are.
        if let refusal = try await session.attempt("SET SESSION sql_log_bin = 0", what),
            try await session.value("SELECT @@SESSION.binlog_format = 'STATEMENT'", what) == "1"
        {
            throw unreadable(column, refusal)
        }
        if let refusal = try await session.attempt(
            "CREATE TEMPORARY TABLE \(copy) AS SELECT \(SQLText.name(column.name)) AS member FROM \(column.table) LIMIT 0",
            what)
        {
            throw unreadable(column, refusal)
        }
        let numbers = (0..<count).map { column.isSet ? "(\(UInt64(1) << UInt64($0)))" : "(\($0 + 1))" }
        try await session.run("INSERT INTO \(copy) VALUES \(numbers.joined(separator: ", "))", what)
        let found = try await session.run(
            "SELECT CONVERT(member USING utf8mb4) AS text FROM \(copy) ORDER BY CAST(member AS UNSIGNED)", what)
        let members = found.rows.compactMap { $0.string("text") }
        try await session.run("DROP TEMPORARY TABLE \(copy)", what)
        guard members.count == count else { throw unreadable(column, nil) }
        return "\(column.isSet ? "set" : "enum")(\(members.map(SQLText.literal).joined(separator: ",")))"
    }

    private func unreadable(_ column: Column, _ refusal: ServerError?) -> DumpError {
        let message =
            "\(session.server): column \(column.name) of \(column.table) may have members that the server does not print "
            + "(\(column.type)); grant CREATE TEMPORARY TABLES to the dumping account, so that they can be asked"
        guard let refusal else { return DumpError(.unsupported, message) }
        return DumpError(refusal, on: session, "read the members of a column", message)
    }
}
