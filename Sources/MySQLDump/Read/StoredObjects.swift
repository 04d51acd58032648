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
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00'")

    static let strictModes: StreamItem = .statement(
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,STRICT_TRANS_TABLES'")

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
    func view(_ view: Catalog.Table, omit: (String) -> Void) async throws(DumpError) -> [StreamItem]? {
        guard let object = try await read("VIEW", view.quoted, column: "Create View", omit: omit) else { return nil }
        if object.warnings > 0 {
            let warnings = try await session.run("SHOW WARNINGS", "read the warnings for view \(view.quoted)")
            if warnings.rows.contains(where: { $0.string("Code") == "1356" }) {
                omit("view \(view.quoted) is invalid on the source (error 1356) and was left out")
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
            SELECT COLUMN_NAME AS column_name FROM information_schema.COLUMNS \
            WHERE TABLE_SCHEMA = \(SQLText.literal(view.schema)) AND TABLE_NAME = \(SQLText.literal(view.name)) \
            ORDER BY ORDINAL_POSITION
            """, "list the columns of view \(view.quoted)")
        let columns = result.rows.compactMap { $0.string("column_name") }.map { "1 AS \(SQLText.name($0))" }
        guard !columns.isEmpty else { return [] }
        return [
            .statement("DROP TABLE IF EXISTS \(view.quoted)"), .statement("DROP VIEW IF EXISTS \(view.quoted)"),
            .definition("CREATE VIEW \(view.quoted) AS SELECT \(columns.joined(separator: ", "))"),
        ]
    }

    func routines(of schema: String, collation: String, omit: (String) -> Void) async throws(DumpError) {
        let list = try await session.run(
            """
            SELECT ROUTINE_NAME AS routine_name, ROUTINE_TYPE AS routine_type, \
            DATA_TYPE IN ('enum', 'set') AND DTD_IDENTIFIER LIKE '%?%' \
            AND CHARACTER_SET_NAME NOT IN ('latin1', 'utf8mb3') AS is_unprintable FROM information_schema.ROUTINES \
            WHERE ROUTINE_SCHEMA = \(SQLText.literal(schema))\(SystemHomes.madeByPeople(schema)) ORDER BY ROUTINE_TYPE, ROUTINE_NAME
            """, "list the routines of \(schema)")
        for row in list.rows {
            guard let name = row.string("routine_name"), let type = row.string("routine_type") else { continue }
            let kind = type.uppercased() == "FUNCTION" ? "FUNCTION" : "PROCEDURE"
            let quoted = "\(SQLText.name(schema)).\(SQLText.name(name))"
            guard let object = try await read(kind, quoted, column: "Create \(kind)", omit: omit) else { continue }
            if row.int("is_unprintable") == 1 {
                omit(
                    "members of the type that function \(quoted) returns: the server prints characters of four bytes as "
                        + "question marks, and so they arrive")
            }
            try await sink.send(.statement("DROP \(kind) IF EXISTS \(quoted)"))
            for item in items(object, schema: schema, collation: collation) { try await sink.send(item) }
        }
    }

    /// In ACTION_ORDER, which makes them run in the same order again.
    func triggers(of schema: String, collation: String, omit: (String) -> Void) async throws(DumpError) {
        let list = try await session.run(
            """
            SELECT TRIGGER_NAME AS trigger_name FROM information_schema.TRIGGERS \
            WHERE TRIGGER_SCHEMA = \(SQLText.literal(schema))\(SystemHomes.madeByPeople(schema)) \
            ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER
            """, "list the triggers of \(schema)")
        for row in list.rows {
            guard let name = row.string("trigger_name") else { continue }
            let quoted = "\(SQLText.name(schema)).\(SQLText.name(name))"
            guard let object = try await read("TRIGGER", quoted, column: "SQL Original Statement", omit: omit) else {
                continue
            }
            // Everywhere else it has gone with its schema.
            if SystemHomes.contains(schema) { try await sink.send(.statement("DROP TRIGGER IF EXISTS \(quoted)")) }
            for item in items(object, schema: schema, collation: collation) { try await sink.send(item) }
        }
    }

    func events(of schema: String, collation: String, omit: (String) -> Void) async throws(DumpError) {
        let list = try await session.run(
            """
            SELECT EVENT_NAME AS event_name FROM information_schema.EVENTS \
            WHERE EVENT_SCHEMA = \(SQLText.literal(schema))\(SystemHomes.madeByPeople(schema)) ORDER BY EVENT_NAME
            """, "list the events of \(schema)")
        let status = session.version.isMySQL(atLeast: 8, 4) ? "DISABLE ON REPLICA" : "DISABLE ON SLAVE"
        for row in list.rows {
            guard let name = row.string("event_name") else { continue }
            let quoted = "\(SQLText.name(schema)).\(SQLText.name(name))"
            guard var object = try await read("EVENT", quoted, column: "Create Event", omit: omit) else { continue }
            if disableEvents { object.body = DefinitionText.disablingEvent(object.body, status: status) ?? object.body }
            // NOT PRESERVE is a syntax error there, and what there is without it.
            if object.sqlMode?.contains("HIGH_NOT_PRECEDENCE") == true {
                object.body = DefinitionText.withoutNotPreserve(object.body)
            }
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
        let foreign =
            SystemHomes.contains(schema)
            ? nil : collation.flatMap { now in object.databaseCollation.flatMap { $0 == now ? nil : (now, $0) } }
        var items: [StreamItem] = []
        if let foreign { items.append(.statement("ALTER DATABASE \(SQLText.name(schema)) COLLATE \(foreign.1)")) }
        items.append(.statement("SET SESSION " + settings.joined(separator: ", ")))
        items.append(.definition(object.body))
        items.append(Self.restoreSession)
        items.append(Self.restoreModes)
        if let foreign { items.append(.statement("ALTER DATABASE \(SQLText.name(schema)) COLLATE \(foreign.0)")) }
        return items
    }

    /// One object that its server cannot show must not cost the rows of all tables.
    private func read(
        _ kind: String, _ quoted: String, column: String, omit: (String) -> Void
    ) async throws(DumpError) -> Object? {
        do throws(DumpError) {
            return try await show(kind, quoted, column: column)
        } catch {
            guard case .server(let failure) = error.cause, let refusal = failure.serverError, !refusal.isDenial,
                session.connection.isOpen
            else { throw error }
            omit("\(kind.lowercased()) \(quoted) cannot be read on the source (\(refusal)) and was left out")
            return nil
        }
    }

    /// - Returns: a definition that one client can send, whole, under the object's own settings.
    private func show(_ kind: String, _ quoted: String, column: String) async throws(DumpError) -> Object {
        let object = try await showOnce(kind, quoted, column: column)
        guard let kind = DefinitionParts.Kind(rawValue: kind) else {
            return Self.unsafeForClients.contains(object.characterSet)
                ? try await showConverted(kind, quoted, column: column) : object
        }
        let noBackslashes = object.sqlMode?.contains("NO_BACKSLASH_ESCAPES") == true
        let isUnsafe = Self.unsafeForClients.contains(object.characterSet)
        // Where a byte of a character may look like a quote, the author's parts are found in the converted text.
        let readable = isUnsafe ? try await showConverted(kind.rawValue, quoted, column: column) : object
        guard let parts = DefinitionParts(object.body, kind: kind, noBackslashes: noBackslashes),
            let authors = DefinitionParts(readable.body, kind: kind, noBackslashes: noBackslashes),
            parts.parts.count == authors.parts.count
        else {
            // Plain text means the same however it is read.
            guard object.body.allSatisfy({ $0 < 0x80 && !(noBackslashes && $0 == UInt8(ascii: "\\")) }) else {
                throw DumpError(
                    .unsupported,
                    "\(session.server): the definition of \(kind.rawValue.lowercased()) \(quoted) is not as servers print it"
                )
            }
            return readable
        }
        guard isUnsafe || parts.differ(noBackslashes: noBackslashes) else { return object }
        var whole = readable
        var body: [[UInt8]] = []
        for (part, author) in zip(parts.parts, authors.parts) {
            guard part.isServers else {
                body.append(author.text)
                continue
            }
            let text = noBackslashes ? DefinitionParts.withoutBackslashes(part.text) : part.text
            body.append(isUnsafe ? text : try await convert(text, from: "utf8mb4", to: object.characterSet) ?? [])
        }
        if !isUnsafe, zip(parts.parts, body).contains(where: { $0.isServers && $1.isEmpty }) {
            // A name or a comment that the author's character set does not have: everything goes as utf8mb4.
            whole.characterSet = "utf8mb4"
            for (number, part) in parts.parts.enumerated() {
                body[number] =
                    part.isServers
                    ? noBackslashes ? DefinitionParts.withoutBackslashes(part.text) : part.text
                    : try await convert(part.text, from: object.characterSet, to: "utf8mb4") ?? part.text
            }
        }
        whole.body = Array(body.joined())
        return whole
    }

    /// - Returns: nil where something would be lost.
    private func convert(
        _ text: [UInt8], from: String, to: String
    ) async throws(DumpError) -> [UInt8]? {
        guard from != to, from != "binary", to != "binary", text.contains(where: { $0 >= 0x80 }) else { return text }
        var hex: [UInt8] = []
        text.withUnsafeBufferPointer { ValueEncoder.appendHex($0, to: &hex) }
        let there = "CONVERT(CONVERT(\(String(decoding: hex, as: UTF8.self)) USING \(from)) USING \(to))"
        let row = try await session.run(
            "SELECT \(there) AS converted, CAST(CONVERT(\(there) USING \(from)) AS BINARY) AS back",
            "convert a definition"
        ).rows.first
        guard let converted = row?.bytes("converted"), row?.bytes("back") == text else { return nil }
        return converted
    }

    private func showConverted(_ kind: String, _ quoted: String, column: String) async throws(DumpError) -> Object {
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
