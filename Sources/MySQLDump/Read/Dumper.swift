import MySQLWire

/// Reads a whole server out of one snapshot and sends it on, in the order in which another server can take it.
struct Dumper {
    let snapshot: SourceSnapshot
    /// A session for what must not run inside the snapshot's transaction.
    let side: Session
    let options: DumpOptions
    let sink: any ItemSink

    /// - Returns: what was sent; `bytes` counts statements.
    func dump() async throws(DumpError) -> DumpReport {
        let session = snapshot.session
        var warnings = snapshot.warnings
        var omissions: [String] = []
        func warn(_ text: String) { warnings.append(text) }
        func omit(_ text: String) { omissions.append(text) }
        if let source = try await RebuildMark.source(side) {
            warn("\(session.server) is itself an unfinished copy of server \(source)")
        }
        if options.accounts, session.version.isMySQL(atLeast: 8, 0, 16),
            try await side.value("SELECT @@GLOBAL.partial_revokes", "see what grants mean") == "1"
        {
            warn(
                "\(session.server): partial_revokes is ON; on a server where it is OFF, revocations are refused and "
                    + "grants on schemas whose names hold _ or % reach further")
        }
        let accounts = options.accounts ? try await Accounts.list(side) : []

        let traits = try await TableTraits.read(side, excluded: options.excludedSchemas)
        let needs = try await SourceNeeds(
            session: session, excluded: options.excludedSchemas, accounts: options.accounts
        ).read()
        for need in needs where need.kind == .obstacle { warn("no server will take this dump: \(need.value)") }
        try await begin(needs)
        let schemas = try await Catalog.schemas(session, excluded: options.excludedSchemas)
        var collations: [String: String] = [:]
        for schema in schemas { collations[schema] = try await self.schema(schema) }
        let readOnly = try await Catalog.readOnlySchemas(session).filter { schemas.contains($0) }

        let (tables, views) = try await relations(schemas)
        for table in tables where table.engine.uppercased() != "INNODB" {
            warn(
                "\(table.quoted) is \(table.engine), not InnoDB: what is written to it during the dump is not held apart from the snapshot"
            )
        }
        let referenced = try await Catalog.referenced(session)
        let (snapshot, side, options, sink, wanted) = (snapshot, side, options, sink, tables)
        let (facts, bytes) = try await Readers.using(snapshot.readers) { readers throws(DumpError) in
            var dump = TableDump(
                snapshot: snapshot, side: side, readers: readers, options: options, sink: sink,
                referenced: referenced, traits: traits, tables: wanted)
            return try await dump.run()
        }

        try await sink.send(.directive(.section(schema: "", table: "")))
        let accountSession = Accounts(session: side, sink: sink)
        if !accounts.isEmpty { try await accountSession.create(accounts, warn: warn, omit: omit) }
        try await objects(schemas: schemas, views: views, collations: collations, omit: omit)
        if !accounts.isEmpty {
            let names = Set(tables.map(\.quoted) + views.map(\.quoted))
            try await accountSession.grant(accounts, tables: names, warn: warn)
        }
        try await Histograms(session: session, sink: sink).send(schemas: schemas)
        for schema in readOnly {
            try await sink.send(.statement("/*!80022 ALTER DATABASE \(SQLText.name(schema)) READ ONLY = 1 */"))
        }

        try await notCarried(schemas: schemas, omit: omit)
        try await snapshot.assertUnbroken(side, options: options)
        for fact in facts { try await sink.send(.directive(.table(fact))) }
        for warning in warnings { try await sink.send(.directive(.warning(warning))) }
        for omission in omissions { try await sink.send(.directive(.omission(omission))) }
        try await sink.send(.directive(.end(statements: 0, bytes: 0, crc32: 0)))
        return DumpReport(
            gtidExecuted: snapshot.gtidExecuted,
            tables: facts.map { .init(schema: $0.schema, name: $0.name, rows: $0.rows) }, bytes: bytes,
            warnings: warnings + omissions, omissions: omissions)
    }

    private func relations(_ schemas: [String]) async throws(DumpError) -> (
        tables: [Catalog.Table], views: [Catalog.Table]
    ) {
        var all: [Catalog.Table] = []
        for schema in schemas { all += try await Catalog.tables(snapshot.session, schema: schema) }
        all += try await SystemHomes.tables(snapshot.session)
        return (all.filter { !$0.isView }, all.filter(\.isView))
    }

    private func begin(_ needs: [ImportNeed]) async throws(DumpError) {
        let version = ItemText.oneLine(snapshot.session.version.text, limit: 100)
        try await sink.send(
            .directive(
                .begin(
                    format: Directive.format, version: version, uuid: snapshot.serverUUID,
                    gtid: snapshot.gtidExecuted)))
        for need in needs { try await sink.send(.directive(.need(need))) }
        try await sink.send(.comment("Dump of a MySQL server \(version), for `zcat FILE | mysql` or repl-watchdog"))
        try await sink.send(.comment("gtid_executed of the snapshot: \(snapshot.gtidExecuted)"))
        try await sink.send(StoredObjects.restoreSession)
        try await sink.send(StoredObjects.restoreModes)
        try await sink.send(.statement("SET SESSION foreign_key_checks = 0, unique_checks = 0"))
        // Comments that only servers of at least this version read.
        try await sink.send(.statement("/*!80000 SET SESSION innodb_strict_mode = 0 */"))
        try await sink.send(.statement("/*!80013 SET SESSION sql_require_primary_key = 0 */"))
        try await sink.send(.statement("/*!80030 SET SESSION sql_generate_invisible_primary_key = 0 */"))
        try await sink.send(.statement("/*!80400 SET SESSION restrict_fk_on_non_standard_key = 0 */"))
        try await sink.send(.directive(.section(schema: "", table: "")))
    }

    /// - Returns: its collation.
    private func schema(_ schema: String) async throws(DumpError) -> String? {
        let session = snapshot.session
        let purpose = "read the definition of schema \(schema)"
        let created = try await session.run("SHOW CREATE DATABASE IF NOT EXISTS \(SQLText.name(schema))", purpose)
        guard let create = created.rows.first?.bytes("Create Database") else {
            throw DumpError(.unsupported, "\(session.server) answered with nothing: \(purpose)")
        }
        try await sink.send(.definition(create))
        return try await session.value(
            """
            SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA \
            WHERE SCHEMA_NAME = \(SQLText.literal(schema))
            """, purpose)
    }

    /// Views need what they read, and triggers must not fire on the rows of the dump.
    private func objects(
        schemas: [String], views: [Catalog.Table], collations: [String: String], omit: (String) -> Void
    ) async throws(DumpError) {
        let objects = StoredObjects(session: snapshot.session, sink: sink, disableEvents: options.disableEvents)
        var real: [String: [StreamItem]] = [:]
        for view in views {
            guard let items = try await objects.view(view, omit: omit) else { continue }
            real[view.quoted] = items
            for item in try await objects.standIn(view) { try await sink.send(item) }
        }
        for schema in schemas + SystemHomes.schemas {
            try await sink.send(.statement("USE \(SQLText.name(schema))"))
            try await objects.routines(of: schema, collation: collations[schema] ?? "", omit: omit)
        }
        for view in Catalog.ordered(views, reads: try await Catalog.viewReads(snapshot.session)) {
            for item in real[view.quoted] ?? [] { try await sink.send(item) }
        }
        for schema in schemas + SystemHomes.schemas {
            try await sink.send(.statement("USE \(SQLText.name(schema))"))
            try await objects.triggers(of: schema, collation: collations[schema] ?? "", omit: omit)
            try await objects.events(of: schema, collation: collations[schema] ?? "", omit: omit)
        }
    }

    /// What a server may hold and this dump does not write: said, never dropped in silence.
    private func notCarried(schemas: [String], omit: (String) -> Void) async throws(DumpError) {
        guard !schemas.isEmpty, snapshot.session.version.isMySQL(atLeast: 9, 2) else { return }
        let list = schemas.map(SQLText.literal).joined(separator: ", ")
        let count = try await snapshot.session.value(
            "SELECT COUNT(*) FROM information_schema.LIBRARIES WHERE LIBRARY_SCHEMA IN (\(list))", "count libraries")
        if let count, count != "0" { omit("\(count) libraries are not carried by this dump") }
    }
}
