import MySQLWire

/// What a server holds, as information_schema lists it.
enum Catalog {
    /// Never dumped, never wiped: the server's own, and what marks an unfinished copy.
    /// Compared exactly: people have schemas like `SYS` and `Mysql`.
    static let systemSchemas: Set<String> = [
        "mysql", "sys", "information_schema", "performance_schema", RebuildMark.schema,
    ]

    struct Table: Sendable, Equatable {
        var schema: String
        var name: String
        var isView: Bool
        var engine: String
        /// Bytes of rows, as the server estimates them.
        var size: UInt64 = 0
        /// Rows, as the server estimates them.
        var rows: UInt64 = 0

        var quoted: String { "\(SQLText.name(schema)).\(SQLText.name(name))" }
        /// Tables that only point to rows kept elsewhere.
        var holdsRows: Bool { !["FEDERATED", "MRG_MYISAM", "BLACKHOLE"].contains(engine.uppercased()) }
    }

    /// The agents' write probes: each server's own, never in a binary log, and so in no moment of its GTID set.
    static func isLocal(_ schema: String, _ table: String) -> Bool { schema == "repl_watchdog" && table == "pulse" }

    static func schemas(_ session: Session, excluded: Set<String>) async throws(DumpError) -> [String] {
        let result = try await session.run(
            "SELECT SCHEMA_NAME AS schema_name FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME",
            "list the schemas")
        var schemas = result.rows.compactMap { $0.string("schema_name") }
            .filter { !systemSchemas.contains($0) && !excluded.contains($0) }
        if schemas.contains("ndbinfo"),
            try await session.value(
                "SELECT COUNT(*) FROM information_schema.ENGINES WHERE ENGINE = 'ndbinfo' AND SUPPORT <> 'NO'",
                "see whose the schema ndbinfo is") != "0"
        {
            schemas.removeAll { $0 == "ndbinfo" }
        }
        return schemas
    }

    static func tables(_ session: Session, schema: String) async throws(DumpError) -> [Table] {
        let result = try await session.run(
            """
            SELECT TABLE_NAME AS table_name, TABLE_TYPE AS table_type, ENGINE AS engine, DATA_LENGTH AS data_length, \
            TABLE_ROWS AS table_rows FROM information_schema.TABLES \
            WHERE TABLE_SCHEMA = \(SQLText.literal(schema)) ORDER BY TABLE_NAME
            """, "list the tables of \(schema)")
        return result.rows.compactMap { row in
            guard let name = row.string("table_name"), let type = row.string("table_type"), !isLocal(schema, name)
            else { return nil }
            return Table(
                schema: schema, name: name, isView: type != "BASE TABLE", engine: row.string("engine") ?? "",
                size: row.string("data_length").flatMap { UInt64($0) } ?? 0,
                rows: row.string("table_rows").flatMap { UInt64($0) } ?? 0)
        }
    }

    /// Schemas that are read-only (ALTER DATABASE ... READ ONLY = 1), which SHOW CREATE DATABASE says in a comment only.
    static func readOnlySchemas(_ session: Session) async throws(DumpError) -> [String] {
        guard session.version.isMySQL(atLeast: 8, 0, 22) else { return [] }
        let result = try await session.run(
            """
            SELECT SCHEMA_NAME AS schema_name FROM information_schema.SCHEMATA_EXTENSIONS \
            WHERE OPTIONS LIKE '%READ ONLY=1%'
            """,
            "list the read-only schemas")
        return result.rows.compactMap { $0.string("schema_name") }
    }

    /// Tables that foreign keys refer to, quoted.
    static func referenced(_ session: Session) async throws(DumpError) -> Set<String> {
        let result = try await session.run(
            """
            SELECT DISTINCT UNIQUE_CONSTRAINT_SCHEMA AS table_schema, REFERENCED_TABLE_NAME AS table_name \
            FROM information_schema.REFERENTIAL_CONSTRAINTS
            """, "list what foreign keys refer to")
        return Set(
            result.rows.compactMap { row in
                guard let schema = row.string("table_schema"), let name = row.string("table_name") else { return nil }
                return "\(SQLText.name(schema)).\(SQLText.name(name))"
            })
    }

    /// The columns that a dump writes: all but generated ones.
    static func columns(_ session: Session, of table: Table) async throws(DumpError) -> [ColumnPlan] {
        try await allColumns(session, of: table).written
    }

    /// - Returns: the columns that a dump writes, and whether there are generated ones beside them.
    static func allColumns(
        _ session: Session, of table: Table
    ) async throws(DumpError) -> (written: [ColumnPlan], areGenerated: Bool) {
        let result = try await session.run(
            """
            SELECT COLUMN_NAME AS column_name, DATA_TYPE AS data_type, CHARACTER_SET_NAME AS character_set_name, \
            IS_NULLABLE AS is_nullable, EXTRA AS extra FROM information_schema.COLUMNS \
            WHERE TABLE_SCHEMA = \(SQLText.literal(table.schema)) AND TABLE_NAME = \(SQLText.literal(table.name)) \
            ORDER BY ORDINAL_POSITION
            """, "list the columns of \(table.quoted)")
        guard !result.rows.isEmpty else {
            throw DumpError(
                .unsupported, "\(session.server) lists no columns of \(table.quoted): is SELECT on it granted?")
        }
        var columns: [ColumnPlan] = []
        var areGenerated = false
        for row in result.rows {
            let extra = row.string("extra")?.uppercased() ?? ""
            // DEFAULT_GENERATED is something else: an expression as default.
            if extra.contains("VIRTUAL GENERATED") || extra.contains("STORED GENERATED") {
                areGenerated = true
                continue
            }
            let (name, type) = (row.string("column_name"), row.string("data_type"))
            guard let name, let type,
                let plan = ColumnPlan(
                    .init(
                        name: name, type: type, characterSet: row.string("character_set_name"),
                        nullable: row.string("is_nullable") != "NO"),
                    version: session.version)
            else {
                throw DumpError(
                    .unsupported,
                    "column \(name ?? "?") of \(table.quoted) has the type \(type ?? "?"), which this version cannot dump"
                )
            }
            columns.append(plan)
        }
        return (columns, areGenerated)
    }

    /// Views in an order in which each comes after those it reads.
    static func ordered(_ views: [Table], reads: [(view: String, read: String)]) -> [Table] {
        let byName = Dictionary(views.map { ($0.quoted, $0) }) { first, _ in first }
        var edges: [String: [String]] = [:]
        for (view, read) in reads where byName[read] != nil && read != view { edges[view, default: []].append(read) }
        var done: Set<String> = []
        var out: [Table] = []
        func visit(_ name: String) {
            // Marked before its edges are followed: a circle, which only broken views can form, ends here.
            guard done.insert(name).inserted else { return }
            for read in edges[name] ?? [] { visit(read) }
            if let view = byName[name] { out.append(view) }
        }
        for view in views { visit(view.quoted) }
        return out
    }

    static func viewReads(_ session: Session) async throws(DumpError) -> [(view: String, read: String)] {
        guard session.version.isMySQL(atLeast: 8, 0, 13) else { return [] }
        let result = try await session.run(
            """
            SELECT VIEW_SCHEMA AS view_schema, VIEW_NAME AS view_name, TABLE_SCHEMA AS table_schema, \
            TABLE_NAME AS table_name FROM information_schema.VIEW_TABLE_USAGE
            """,
            "list what the views read")
        return result.rows.compactMap { row in
            guard let schema = row.string("view_schema"), let view = row.string("view_name"),
                let otherSchema = row.string("table_schema"), let other = row.string("table_name")
            else { return nil }
            return (
                "\(SQLText.name(schema)).\(SQLText.name(view))", "\(SQLText.name(otherSchema)).\(SQLText.name(other))"
            )
        }
    }
}
