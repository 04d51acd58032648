import MySQLWire

/// Reads a whole server out of one snapshot and sends it on, in the order in which another server can take it.
struct Dumper {
    let snapshot: SourceSnapshot
    /// A second session, for what must not run inside the snapshot's transaction.
    let side: Session
    let options: DumpOptions
    let sink: any ItemSink

    /// - Returns: what was sent; `bytes` counts statements.
    func dump() async throws(DumpError) -> DumpReport {
        let session = snapshot.session
        var warnings = snapshot.warnings
        func warn(_ text: String) { warnings.append(text) }
        let accounts = options.accounts ? try await Accounts.list(side) : []

        try await begin()
        let schemas = try await Catalog.schemas(session, excluded: options.excludedSchemas)
        var collations: [String: String] = [:]
        for schema in schemas {
            let purpose = "read the definition of schema \(schema)"
            let created = try await session.run("SHOW CREATE DATABASE IF NOT EXISTS \(SQLText.name(schema))", purpose)
            guard let create = created.rows.first?.bytes(1) else { throw missing(purpose) }
            try await sink.send(.definition(create))
            collations[schema] = try await session.value(
                """
                SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA \
                WHERE SCHEMA_NAME = \(SQLText.literal(schema))
                """, purpose)
        }

        var facts: [TableFact] = []
        var views: [Catalog.Table] = []
        var bytes: UInt64 = 0
        let referenced = try await Catalog.referenced(session)
        for schema in schemas {
            try await sink.send(.statement("USE \(SQLText.name(schema))"))
            for table in try await Catalog.tables(session, schema: schema) {
                if table.isView {
                    views.append(table)
                    continue
                }
                if table.engine.uppercased() != "INNODB" {
                    warn(
                        "\(table.quoted) is \(table.engine), not InnoDB: what is written to it during the dump is not held apart from the snapshot"
                    )
                }
                facts.append(
                    try await self.table(
                        table, mayWait: !referenced.contains(table.quoted), before: bytes, total: &bytes))
            }
        }

        let accountSession = Accounts(session: side, sink: sink)
        if !accounts.isEmpty { try await accountSession.create(accounts, warn: warn) }
        try await objects(schemas: schemas, views: views, collations: collations, warn: warn)
        if !accounts.isEmpty {
            let names = Set(
                facts.map { "\(SQLText.name($0.schema)).\(SQLText.name($0.name))" } + views.map(\.quoted))
            try await accountSession.grant(accounts, tables: names, warn: warn)
        }

        try await notCarried(schemas: schemas, warn: warn)
        try await snapshot.assertUnbroken()
        for fact in facts { try await sink.send(.directive(.table(fact))) }
        for warning in warnings { try await sink.send(.directive(.warning(warning))) }
        try await sink.send(.directive(.end(statements: 0, bytes: 0, crc32: 0)))
        return DumpReport(
            gtidExecuted: snapshot.gtidExecuted,
            tables: facts.map { .init(schema: $0.schema, name: $0.name, rows: $0.rows) }, bytes: bytes,
            warnings: warnings)
    }

    private func begin() async throws(DumpError) {
        let version = ItemText.oneLine(snapshot.session.version.text, limit: 100)
        try await sink.send(
            .directive(
                .begin(
                    format: Directive.format, version: version, uuid: snapshot.serverUUID,
                    gtid: snapshot.gtidExecuted)))
        try await sink.send(.comment("Dump of a MySQL server \(version), for `zcat FILE | mysql` or repl-watchdog"))
        try await sink.send(.comment("gtid_executed of the snapshot: \(snapshot.gtidExecuted)"))
        try await sink.send(StoredObjects.restoreSession)
        try await sink.send(StoredObjects.restoreModes)
        try await sink.send(.statement("SET SESSION foreign_key_checks = 0, unique_checks = 0"))
        // Comments that only servers of at least this version read.
        try await sink.send(.statement("/*!80013 SET SESSION sql_require_primary_key = 0 */"))
        try await sink.send(.statement("/*!80030 SET SESSION sql_generate_invisible_primary_key = 0 */"))
        try await sink.send(.statement("/*!80400 SET SESSION restrict_fk_on_non_standard_key = 0 */"))
    }

    /// - Parameter mayWait: whether its keys may come after its rows: a table that refers to it would miss them.
    private func table(
        _ table: Catalog.Table, mayWait: Bool, before: UInt64, total: inout UInt64
    ) async throws(DumpError) -> TableFact {
        let session = snapshot.session
        let purpose = "read the definition of \(table.quoted)"
        let created = try await session.run("SHOW CREATE TABLE \(table.quoted)", purpose)
        guard let create = created.rows.first?.bytes(1) else { throw missing(purpose) }
        try await sink.send(.statement("DROP TABLE IF EXISTS \(SQLText.name(table.name))"))
        let deferred =
            mayWait && table.engine.uppercased() == "INNODB" && table.size >= DeferredKeys.worthwhile
            ? DeferredKeys.split(create, name: SQLText.name(table.name)) : nil
        try await sink.send(.definition(deferred?.create ?? create))
        try await sink.send(.directive(.data(schema: table.schema, table: table.name)))
        guard table.holdsRows else {
            return TableFact(
                schema: table.schema, name: table.name, rows: 0, checksum: nil, hasJSON: false, pointsElsewhere: true)
        }
        var tableBytes: UInt64 = 0
        let fact = try await TableReader(
            snapshot: snapshot, table: table, sink: sink,
            progress: { rows, bytes in
                tableBytes = bytes
                options.progress?(
                    DumpProgress(table: "\(table.schema).\(table.name)", rows: rows, bytes: before + bytes))
            }
        ).read()
        if let deferred { try await sink.send(.definition(deferred.add)) }
        total += tableBytes
        return fact
    }

    /// Views need what they read, and triggers must not fire on the rows of the dump.
    private func objects(
        schemas: [String], views: [Catalog.Table], collations: [String: String], warn: (String) -> Void
    ) async throws(DumpError) {
        let objects = StoredObjects(session: snapshot.session, sink: sink, disableEvents: options.disableEvents)
        var real: [String: [StreamItem]] = [:]
        for view in views {
            guard let items = try await objects.view(view, warn: warn) else { continue }
            real[view.quoted] = items
            for item in try await objects.standIn(view) { try await sink.send(item) }
        }
        for schema in schemas {
            try await sink.send(.statement("USE \(SQLText.name(schema))"))
            try await objects.routines(of: schema, collation: collations[schema] ?? "")
        }
        for view in Catalog.ordered(views, reads: try await Catalog.viewReads(snapshot.session)) {
            for item in real[view.quoted] ?? [] { try await sink.send(item) }
        }
        for schema in schemas {
            try await sink.send(.statement("USE \(SQLText.name(schema))"))
            try await objects.triggers(of: schema, collation: collations[schema] ?? "")
            try await objects.events(of: schema, collation: collations[schema] ?? "")
        }
    }

    /// What a server may hold and this dump does not write yet: said, never dropped in silence.
    private func notCarried(schemas: [String], warn: (String) -> Void) async throws(DumpError) {
        guard !schemas.isEmpty else { return }
        let session = snapshot.session
        let list = schemas.map(SQLText.literal).joined(separator: ", ")
        var kinds = [("histograms", "COLUMN_STATISTICS", "SCHEMA_NAME")]
        if session.version.isMySQL(atLeast: 9, 2) { kinds.append(("libraries", "LIBRARIES", "LIBRARY_SCHEMA")) }
        for (kind, view, column) in kinds {
            let count = try await session.value(
                "SELECT COUNT(*) FROM information_schema.\(view) WHERE \(column) IN (\(list))", "count \(kind)")
            if let count, count != "0" { warn("\(count) \(kind) are not carried by this dump") }
        }
    }

    private func missing(_ purpose: String) -> DumpError {
        DumpError(.unsupported, "\(snapshot.session.server) answered with nothing: \(purpose)")
    }
}
