import MySQLWire

/// The tables of a dump: definitions in the order of their names, rows by readers that are some pieces ahead.
struct TableDump {
    let snapshot: SourceSnapshot
    let side: Session
    let readers: Readers
    let options: DumpOptions
    let sink: any ItemSink
    /// What foreign keys refer to.
    let referenced: Set<String>
    let traits: TableTraits
    let tables: [Catalog.Table]

    /// What goes out next, in this order.
    private enum Step {
        case items([StreamItem])
        case rows(Readers.Reading)
        case end(Part)
    }

    /// A table whose pieces are read.
    private final class Part: Sendable {
        let plan: TablePlan
        let readings: [Readers.Reading]
        let proof: Readers.Proof
        init(plan: TablePlan, readings: [Readers.Reading], proof: Readers.Proof) {
            self.plan = plan
            self.readings = readings
            self.proof = proof
        }
    }

    private var queue: [Step] = []
    private var planned = 0
    /// The table that is being cut into pieces: more are cut when there is room for them.
    private var cutting: Cutting?
    private var progress: ProgressCount

    private struct Cutting {
        let plan: TablePlan
        let proof: Readers.Proof
        let ranges: KeyRanges
        var start: [String]?
        var readings: [Readers.Reading] = []
        var after: [StreamItem]
    }

    init(
        snapshot: SourceSnapshot, side: Session, readers: Readers, options: DumpOptions, sink: any ItemSink,
        referenced: Set<String>, traits: TableTraits, tables: [Catalog.Table]
    ) {
        self.snapshot = snapshot
        self.side = side
        self.readers = readers
        self.options = options
        self.sink = sink
        self.referenced = referenced
        self.traits = traits
        self.tables = tables
        progress = ProgressCount(tables: tables, tell: options.progress)
    }

    /// - Returns: what the tables hold, and the bytes of their statements.
    mutating func run() async throws(DumpError) -> (facts: [TableFact], bytes: UInt64) {
        var ended: [Part] = []
        while true {
            while queue.count < 3 * (snapshot.readers.count + 1), try await planMore() {}
            guard !queue.isEmpty else { break }
            switch queue.removeFirst() {
            case .items(let items):
                for item in items {
                    if case .directive(.data(let schema, let table)) = item { progress.begin(schema, table) }
                    try await send(item)
                }
            case .rows(let reading):
                reading.takeTurn()
                while let items = try await reading.channel.receive() {
                    for item in items { try await send(item) }
                    progress.tell(rows: reading.rows)
                }
                progress.end(rows: reading.rows)
            case .end(let part): ended.append(part)
            }
        }
        var proved: [String: TableFact] = [:]
        for part in ended { proved[part.plan.table.quoted] = try await fact(part) }
        let facts = tables.map { table in
            proved[table.quoted]
                ?? TableFact(
                    schema: table.schema, name: table.name, rows: 0, checksum: nil, hasJSON: false,
                    pointsElsewhere: true)
        }
        return (facts, progress.bytes)
    }

    private mutating func send(_ item: StreamItem) async throws(DumpError) {
        progress.add(bytes: item.byteCount)
        try await sink.send(item)
    }

    /// Every row was read, and none twice: COUNT(*) in the same snapshot says so.
    private func fact(_ part: Part) async throws(DumpError) -> TableFact {
        let table = part.plan.table
        let rows = part.readings.reduce(0) { $0 + $1.rows }
        let values = try await part.proof.values()
        guard let counted = values.rows, counted == "\(rows)" else {
            throw DumpError(
                .mismatch,
                "\(snapshot.session.server): \(rows) rows of \(table.quoted) were read, but COUNT(*) is \(values.rows ?? "NULL")"
            )
        }
        return TableFact(
            schema: table.schema, name: table.name, rows: rows, checksum: values.checksum,
            hasJSON: part.plan.columns.contains { $0.isJSON }, columns: values.columns)
    }

    /// Orders one more piece.
    /// - Returns: false when everything has been ordered.
    private mutating func planMore() async throws(DumpError) -> Bool {
        if var cut = cutting {
            let end = try await cut.ranges.next(after: cut.start, number: cut.readings.count, snapshot.session)
            let reading = readers.read(cut.plan, condition: cut.ranges.condition(from: cut.start, to: end))
            queue.append(.rows(reading))
            cut.readings.append(reading)
            cut.start = end
            cutting = cut
            if end == nil {
                close(cut.plan, cut.readings, cut.proof, after: cut.after)
                cutting = nil
            }
            return true
        }
        guard planned < tables.count else { return false }
        let table = tables[planned]
        planned += 1
        try await begin(table)
        return true
    }

    private mutating func close(
        _ plan: TablePlan, _ readings: [Readers.Reading], _ proof: Readers.Proof, after: [StreamItem]
    ) {
        if !after.isEmpty { queue.append(.items(after)) }
        queue.append(.end(Part(plan: plan, readings: readings, proof: proof)))
    }

    private mutating func begin(_ table: Catalog.Table) async throws(DumpError) {
        let session = snapshot.session
        let purpose = "read the definition of \(table.quoted)"
        let created = try await session.run("SHOW CREATE TABLE \(table.quoted)", purpose)
        guard let create = created.rows.first?.bytes("Create Table") else {
            throw DumpError(.unsupported, "\(session.server) answered with nothing: \(purpose)")
        }
        var definition = create
        for (column, type) in traits.types[table.quoted] ?? [:] {
            guard let replaced = DefinitionText.replacingMembers(definition, column: column, type: type) else {
                throw DumpError(
                    .unsupported, "\(session.server): the type of \(column) in \(table.quoted) cannot be read")
            }
            definition = replaced
        }
        let isStrict = try await traits.isStrict(table, session)
        // A table that others refer to by foreign key must have its keys from the start.
        let deferred =
            !referenced.contains(table.quoted) && !isStrict && table.engine.uppercased() == "INNODB"
                && table.size >= DeferredKeys.worthwhile
            ? DeferredKeys.split(definition, name: SQLText.name(table.name)) : nil
        queue.append(
            .items(
                [
                    .directive(.section(schema: table.schema, table: table.name)),
                    .statement("USE \(SQLText.name(table.schema))"),
                    .statement("DROP TABLE IF EXISTS \(SQLText.name(table.name))"),
                ] + (isStrict ? [StoredObjects.strictModes] : []) + [.definition(deferred?.create ?? definition)]
                    + (isStrict ? [StoredObjects.restoreModes] : [])
                    + [.directive(.data(schema: table.schema, table: table.name))]))
        guard table.holdsRows else { return }
        let (columns, areGenerated) = try await Catalog.allColumns(session, of: table)
        let after: [StreamItem] = deferred.map { [.definition($0.add, .keys)] } ?? []
        var plan = TablePlan(table: table, columns: columns)
        plan.isDerived = areGenerated || traits.keys[table.quoted] != nil
        if let ranges = try await KeyRanges.plan(table, size: options.rangeSize, session: session) {
            plan.hint = ranges.hint
            // Its proof first, beside the reading of its rows: behind them it would run alone.
            cutting = Cutting(plan: plan, proof: readers.prove(plan), ranges: ranges, after: after)
        } else {
            let reading = readers.read(plan)
            queue.append(.rows(reading))
            close(plan, [reading], readers.prove(plan), after: after)
        }
    }
}

/// Counts what went out, and tells it now and then.
struct ProgressCount {
    private(set) var bytes: UInt64 = 0
    private let told: (@Sendable (DumpProgress) -> Void)?
    private let sizes: [String: (size: UInt64, rows: UInt64)]
    private let whole: UInt64
    private var done: UInt64 = 0
    private var table = ""
    /// Rows of the pieces of this table that are through.
    private var before: UInt64 = 0
    private var all: UInt64 = 0

    init(tables: [Catalog.Table], tell: (@Sendable (DumpProgress) -> Void)?) {
        told = tell
        sizes = Dictionary(tables.map { ($0.quoted, ($0.size, $0.rows)) }) { first, _ in first }
        whole = tables.reduce(0) { $0 &+ $1.size }
    }

    mutating func add(bytes count: Int) { bytes += UInt64(count) }

    mutating func begin(_ schema: String, _ name: String) {
        done += sizes[table]?.size ?? 0
        all += before
        before = 0
        table = "\(SQLText.name(schema)).\(SQLText.name(name))"
        tell(rows: 0)
    }

    mutating func end(rows: UInt64) {
        before += rows
        tell(rows: 0)
    }

    /// - Parameter rows: of the piece that goes out now.
    func tell(rows: UInt64) {
        guard let told else { return }
        let (size, expected) = sizes[table] ?? (0, 0)
        let mine = before + rows
        let part = expected == 0 ? 1 : min(1, Double(mine) / Double(expected))
        let fraction = whole == 0 ? 1 : min(1, (Double(done) + Double(size) * part) / Double(whole))
        told(
            DumpProgress(
                table: table, rows: mine, tableRows: expected, allRows: all + mine, bytes: bytes, fraction: fraction))
    }
}
