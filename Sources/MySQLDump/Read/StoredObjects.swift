import MySQLWire

/// Views, routines, triggers and events: read as the server prints them, written with the session settings under
/// which they were made.
struct StoredObjects {
    let session: Session
    let sink: any ItemSink
    let disableEvents: Bool
    /// The text that the body of the dump runs under; each object puts it back.
    static let restoreSession: StreamItem = .statement(
        "SET NAMES utf8mb4")
    static let restoreModes: StreamItem = .statement(
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'")

    static let strictModes: StreamItem = .statement(
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES'")

    /// Character sets in whose two-byte characters a backslash or a quote can be the second byte: no client that cuts
    /// statements could read a body in them.
    private static let unsafeForClients: Set<String> = ["big5", "cp932", "gbk", "sjis", "gb18030"]

    private struct Object {
        var body: [UInt8]
        var characterSet: String
        var connectionCollation: String
        var databaseCollation: String?
        var sqlMode: String?
        var timeZone: String?
        var warnings: UInt16
    }

    /// A view that is broken on the source (it reads something that is gone) is left out with a warning: no server
    /// would take its definition.
    /// - Returns: the definition, to be sent when all that it may read is there.
    func view(_ view: Catalog.Table, warn: (String) -> Void) async throws(DumpError) -> [StreamItem]? {
        let object = try await show("VIEW", view.quoted, column: "Create View")
        if object.warnings > 0 {
            let warnings = try await session.run("SHOW WARNINGS", "read the warnings for view \(view.quoted)")
            if warnings.rows.contains(where: { $0.string(1) == "1356" }) {
                warn("view \(view.quoted) is invalid on the source (error 1356) and was left out")
                return nil
            }
        }
        // Tables are printed with their schema, functions without.
        return [
            .statement("USE \(SQLText.name(view.schema))"), .statement("DROP VIEW IF EXISTS \(view.quoted)"),
        ] + items(object, schema: view.schema, collation: nil)
    }

    /// Something of the same name and columns, so that routines and other views find it before the real one comes.
    func standIn(_ view: Catalog.Table) async throws(DumpError) -> [StreamItem] {
        let result = try await session.run(
            """
            SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = \(SQLText.literal(view.schema)) \
            AND TABLE_NAME = \(SQLText.literal(view.name)) ORDER BY ORDINAL_POSITION
            """, "list the columns of view \(view.quoted)")
        let columns = result.rows.compactMap { $0.string(0) }.map { "1 AS \(SQLText.name($0))" }
        guard !columns.isEmpty else { return [] }
        return [
            .statement("DROP TABLE IF EXISTS \(view.quoted)"), .statement("DROP VIEW IF EXISTS \(view.quoted)"),
            .definition("CREATE VIEW \(view.quoted) AS SELECT \(columns.joined(separator: ", "))"),
        ]
    }

    func routines(of schema: String, collation: String) async throws(DumpError) {
        let list = try await session.run(
            """
            SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES \
            WHERE ROUTINE_SCHEMA = \(SQLText.literal(schema)) ORDER BY ROUTINE_TYPE, ROUTINE_NAME
            """, "list the routines of \(schema)")
        for row in list.rows {
            guard let name = row.string(0), let type = row.string(1) else { continue }
            let kind = type.uppercased() == "FUNCTION" ? "FUNCTION" : "PROCEDURE"
            let quoted = "\(SQLText.name(schema)).\(SQLText.name(name))"
            let object = try await show(kind, quoted, column: "Create \(kind)")
            try await sink.send(.statement("DROP \(kind) IF EXISTS \(quoted)"))
            for item in items(object, schema: schema, collation: collation) { try await sink.send(item) }
        }
    }

    /// In ACTION_ORDER, which makes them run in the same order again.
    func triggers(of schema: String, collation: String) async throws(DumpError) {
        let list = try await session.run(
            """
            SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = \(SQLText.literal(schema)) \
            ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER
            """, "list the triggers of \(schema)")
        for row in list.rows {
            guard let name = row.string(0) else { continue }
            let quoted = "\(SQLText.name(schema)).\(SQLText.name(name))"
            let object = try await show("TRIGGER", quoted, column: "SQL Original Statement")
            for item in items(object, schema: schema, collation: collation) { try await sink.send(item) }
        }
    }

    func events(of schema: String, collation: String) async throws(DumpError) {
        let list = try await session.run(
            """
            SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = \(SQLText.literal(schema)) \
            ORDER BY EVENT_NAME
            """, "list the events of \(schema)")
        let status = session.version.isMySQL(atLeast: 8, 4) ? "DISABLE ON REPLICA" : "DISABLE ON SLAVE"
        for row in list.rows {
            guard let name = row.string(0) else { continue }
            let quoted = "\(SQLText.name(schema)).\(SQLText.name(name))"
            var object = try await show("EVENT", quoted, column: "Create Event")
            if disableEvents { object.body = DefinitionText.disablingEvent(object.body, status: status) ?? object.body }
            try await sink.send(.statement("DROP EVENT IF EXISTS \(quoted)"))
            for item in items(object, schema: schema, collation: collation) { try await sink.send(item) }
        }
    }

    private func items(_ object: Object, schema: String, collation: String?) -> [StreamItem] {
        var settings = [
            "character_set_client = \(object.characterSet)", "collation_connection = \(object.connectionCollation)",
        ]
        if let mode = object.sqlMode { settings.append("sql_mode = \(SQLText.literal(mode))") }
        if let zone = object.timeZone { settings.append("time_zone = \(SQLText.literal(zone))") }
        // The collation of the schema when the object was made decides what its variables are.
        let foreign = collation.flatMap { now in object.databaseCollation.flatMap { $0 == now ? nil : (now, $0) } }
        var items: [StreamItem] = []
        if let foreign { items.append(.statement("ALTER DATABASE \(SQLText.name(schema)) COLLATE \(foreign.1)")) }
        items.append(.statement("SET SESSION " + settings.joined(separator: ", ")))
        items.append(.definition(object.body))
        items.append(Self.restoreSession)
        items.append(Self.restoreModes)
        if let foreign { items.append(.statement("ALTER DATABASE \(SQLText.name(schema)) COLLATE \(foreign.0)")) }
        return items
    }

    private func show(_ kind: String, _ quoted: String, column: String) async throws(DumpError) -> Object {
        let object = try await showOnce(kind, quoted, column: column)
        guard Self.unsafeForClients.contains(object.characterSet) else { return object }
        try await session.run("SET SESSION character_set_results = utf8mb4", "ask for a definition as utf8mb4")
        var converted = try await showOnce(kind, quoted, column: column)
        try await session.run("SET SESSION character_set_results = NULL", "ask for text as stored")
        converted.characterSet = "utf8mb4"
        return converted
    }

    private func showOnce(_ kind: String, _ quoted: String, column: String) async throws(DumpError) -> Object {
        let purpose = "read the definition of \(kind.lowercased()) \(quoted)"
        let result = try await session.run("SHOW CREATE \(kind) \(quoted)", purpose)
        guard let row = result.rows.first, let index = row.index(of: column), let body = row.bytes(index),
            let characterSet = row.string("character_set_client"),
            let connectionCollation = row.string("collation_connection")
        else {
            // A definition that may not be seen comes as NULL.
            throw DumpError(
                .unsupported,
                "\(session.server) does not show the definition of \(kind.lowercased()) \(quoted): grant SHOW_ROUTINE, SHOW VIEW, TRIGGER and EVENT to the dumping account"
            )
        }
        return Object(
            body: body, characterSet: characterSet, connectionCollation: connectionCollation,
            databaseCollation: row.string("Database Collation"), sqlMode: row.string("sql_mode"),
            timeZone: row.string("time_zone"), warnings: result.warnings)
    }
}
