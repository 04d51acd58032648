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
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME", "list the schemas")
        var schemas = result.rows.compactMap { $0.string(0) }
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
            SELECT TABLE_NAME, TABLE_TYPE, ENGINE, DATA_LENGTH, TABLE_ROWS FROM information_schema.TABLES \
            WHERE TABLE_SCHEMA = \(SQLText.literal(schema)) ORDER BY TABLE_NAME
            """, "list the tables of \(schema)")
        return result.rows.compactMap { row in
            guard let name = row.string(0), let type = row.string(1), !isLocal(schema, name) else { return nil }
            return Table(
                schema: schema, name: name, isView: type != "BASE TABLE", engine: row.string(2) ?? "",
                size: row.string(3).flatMap { UInt64($0) } ?? 0, rows: row.string(4).flatMap { UInt64($0) } ?? 0)
        }
    }

    /// Schemas that are read-only (ALTER DATABASE ... READ ONLY = 1), which SHOW CREATE DATABASE says in a comment only.
    static func readOnlySchemas(_ session: Session) async throws(DumpError) -> [String] {
        guard session.version.isMySQL(atLeast: 8, 0, 22) else { return [] }
        let result = try await session.run(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA_EXTENSIONS WHERE OPTIONS LIKE '%READ ONLY=1%'",
            "list the read-only schemas")
        return result.rows.compactMap { $0.string(0) }
    }

    /// Tables that foreign keys refer to, quoted.
    static func referenced(_ session: Session) async throws(DumpError) -> Set<String> {
        let result = try await session.run(
            """
            SELECT DISTINCT UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME \
            FROM information_schema.REFERENTIAL_CONSTRAINTS
            """, "list what foreign keys refer to")
        return Set(
            result.rows.compactMap { row in
                guard let schema = row.string(0), let name = row.string(1) else { return nil }
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
            SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_SET_NAME, IS_NULLABLE, EXTRA FROM information_schema.COLUMNS \
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
            let extra = row.string(4)?.uppercased() ?? ""
            // DEFAULT_GENERATED is something else: an expression as default.
            if extra.contains("VIRTUAL GENERATED") || extra.contains("STORED GENERATED") {
                areGenerated = true
                continue
            }
            guard let name = row.string(0), let type = row.string(1),
                let plan = ColumnPlan(
                    .init(name: name, type: type, characterSet: row.string(2), nullable: row.string(3) != "NO"),
                    version: session.version)
            else {
                throw DumpError(
                    .unsupported,
                    "column \(row.string(0) ?? "?") of \(table.quoted) has the type \(row.string(1) ?? "?"), which this version cannot dump"
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
            "SELECT VIEW_SCHEMA, VIEW_NAME, TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEW_TABLE_USAGE",
            "list what the views read")
        return result.rows.compactMap { row in
            guard let schema = row.string(0), let view = row.string(1), let otherSchema = row.string(2),
                let other = row.string(3)
            else { return nil }
            return (
                "\(SQLText.name(schema)).\(SQLText.name(view))", "\(SQLText.name(otherSchema)).\(SQLText.name(other))"
            )
        }
    }
}
