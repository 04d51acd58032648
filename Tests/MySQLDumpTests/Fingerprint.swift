import MySQLWire

@testable import MySQLDump

/// Everything that two equal servers say alike, by a name that says what it is.
func fingerprint(_ options: ConnectionOptions, accounts: Bool = true) async throws -> [String: String] {
    let session = try await SourceSnapshot.openReader(options, deadline: .after(.seconds(60)))
    var facts: [String: String] = [:]

    func text(_ row: Row, without names: Set<String> = []) -> String {
        row.columns.indices.filter { !names.contains(row.columns[$0].name) }
            .map {
                row.bytes($0).map { bytes in bytes.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "<\($0)>" }.joined() }
                    ?? "NULL"
            }
            .joined(separator: " | ")
    }
    func note(_ sql: String, without names: Set<String> = []) async throws {
        let rows = try await session.run(sql, "compare").rows.map { text($0, without: names) }
        // Once written out, a column's character set stays written out; its collation says the same.
        facts[sql] = rows.joined(separator: "\n").replacing(/\ CHARACTER SET \w+ COLLATE/, with: " COLLATE")
    }

    for schema in try await Catalog.schemas(session, excluded: []) {
        let name = SQLText.name(schema)
        try await note("SHOW CREATE DATABASE \(name)")
        for table in try await Catalog.tables(session, schema: schema) {
            // A broken view cannot be dumped.
            if table.name == "broken" { continue }
            try await note("SHOW CREATE \(table.isView ? "VIEW" : "TABLE") \(table.quoted)")
            if !table.isView, table.name != "opaque" { try await note("CHECKSUM TABLE \(table.quoted)") }
        }
        let literal = SQLText.literal(schema)
        try await note(
            """
            SELECT ROUTINE_NAME, HEX(ROUTINE_DEFINITION) FROM information_schema.ROUTINES \
            WHERE ROUTINE_SCHEMA = \(literal) ORDER BY ROUTINE_TYPE, ROUTINE_NAME
            """)
        for (kind, sql) in [
            (
                "",
                "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = \(literal)"
            ),
            (
                "TRIGGER",
                "SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = \(literal)"
            ),
            ("EVENT", "SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = \(literal)"),
        ] {
            for row in try await session.run(sql, "list \(kind)").rows {
                guard let kind = row.string(0), let object = row.string(1) else { continue }
                try await note(
                    "SHOW CREATE \(kind) \(name).\(SQLText.name(object))",
                    without: object == "asgbk"
                        ? ["Created", "character_set_client", "collation_connection", "Create Procedure"] : ["Created"])
            }
        }
        try await note(
            """
            SELECT TABLE_NAME, COLUMN_NAME, JSON_REMOVE(HISTOGRAM, '$."last-updated"') \
            FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = \(literal) ORDER BY 1, 2
            """)
        try await note(
            """
            SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_ORDER FROM information_schema.TRIGGERS \
            WHERE TRIGGER_SCHEMA = \(literal) ORDER BY 1
            """)
    }
    if accounts {
        for account in try await Accounts.list(session) {
            try await note("SHOW CREATE USER \(account.quoted)")
            let grants = try await session.run("SHOW GRANTS FOR \(account.quoted)", "grants").rows.map { text($0) }
            // A grant on a table that is gone cannot be carried.
            facts["GRANTS \(account.quoted)"] = grants.filter { !$0.contains("forgotten") }.sorted().joined(
                separator: "\n")
        }
    }
    await session.close()
    return facts
}

/// What differs, one line each.
func differences(_ left: [String: String], _ right: [String: String]) -> [String] {
    Set(left.keys).union(right.keys).sorted().compactMap { key in
        left[key] == right[key] ? nil : "\(key)\n    \(left[key] ?? "(missing)")\n    \(right[key] ?? "(missing)")"
    }
}
