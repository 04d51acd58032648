import MySQLWire

/// Carries the items of a dump out on a target. Nothing is touched before the dump has begun and the target is known to
/// have what it needs; the target claims the source's GTID set only when the dump has ended and both hold the same.
struct Loader {
    let target: Target
    private let rows: RowLoaders
    private var summary = DumpSummary()
    private var ended = false
    private var needs: [ImportNeed] = []
    private var isWiped = false
    private var existing: Set<Accounts.Account> = []
    private var warnings: [String] = []
    private var omissions: [String] = []
    private var bytes: UInt64 = 0
    /// The table whose rows come now, until a statement comes that is none of its data.
    private var data: (schema: String, table: String)?
    private var current = ""
    private var account: Accounts.Account?

    private let progress: (@Sendable (DumpProgress) -> Void)?
    /// Bytes of the whole, and rows by table, where these are known before.
    private let wholeBytes: UInt64
    private let tableRows: [String: UInt64]
    private var doneRows: UInt64 = 0

    /// - Parameters:
    ///   - rows: sessions of the same target.
    ///   - wanted: what a file was seen to hold.
    ///   - progress: nil where whoever reads the source tells it already.
    init(
        target: Target, rows: RowLoaders, wanted: DumpReport? = nil,
        progress: (@Sendable (DumpProgress) -> Void)? = nil
    ) {
        self.target = target
        self.rows = rows
        self.progress = progress
        wholeBytes = wanted?.bytes ?? 0
        tableRows = Dictionary(
            (wanted?.tables ?? []).map { ("\(SQLText.name($0.schema)).\(SQLText.name($0.name))", $0.rows) }
        ) { first, _ in first }
    }

    mutating func take(_ item: StreamItem) async throws(DumpError) {
        switch item {
        case .statement(let sql, let kind), .definition(let sql, let kind):
            guard summary.begun, !ended else { throw DumpError(.mismatch, "a statement outside of the dump") }
            // Straight from its builder or out of a file: the same statement is of the same kind.
            assert(kind == StatementKind(reading: sql), "a statement that its builder calls \(kind)")
            if !isWiped { try await wipe() }
            bytes += UInt64(sql.count)
            if try await !handOut(sql, kind) {
                // Everything but room for the next table waits for the rows: a trigger must not fire on them, and a view
                // reads them.
                if kind != .table { try await rows.drain() }
                var isDefinition = false
                if case .definition = item { isDefinition = true }
                try await run(sql, kind, object: isDefinition ? ObjectName(sql) : nil)
            }
            tell()
        case .directive(let directive):
            summary.take(directive)
            try await obey(directive)
        case .comment: break
        }
    }

    /// Gives rows to those who insert them side by side, in transactions of their own.
    /// - Returns: false for every other statement.
    private mutating func handOut(_ sql: [UInt8], _ kind: StatementKind) async throws(DumpError) -> Bool {
        guard let (schema, table) = data else { return false }
        switch kind {
        case .rows: try await rows.give(.init(schema: schema, table: table, kind: .rows, sql: sql))
        case .transaction: break
        case .keys:
            try await rows.give(.init(schema: schema, table: table, kind: .after, sql: sql))
            if target.isComparable(with: summary.version) {
                let name = "\(SQLText.name(schema)).\(SQLText.name(table))"
                try await rows.give(
                    .init(schema: schema, table: table, kind: .checksum, sql: Array("CHECKSUM TABLE \(name)".utf8)))
            }
        case .table, .histogram, .account, .grant, .other:
            data = nil
            return false
        }
        return true
    }

    /// Verifies, then claims the GTID set.
    mutating func finish() async throws(DumpError) -> DumpReport {
        guard ended else {
            throw DumpError(.mismatch, "\(target.session.server): the dump ended early; the target is incomplete")
        }
        try await rows.drain()
        var report = summary.report
        try await target.compare(summary.facts, version: summary.version, taken: rows.checksums) {
            warnings.append($0)
        }
        if target.options.accounts, !summary.accounts.isEmpty {
            try await target.dropSurplus(keeping: summary.accounts)
        }
        try await target.claim(report.gtidExecuted)
        try await target.clearMark()
        report.warnings += warnings
        report.omissions += omissions
        report.bytes = bytes
        return report
    }

    /// - Parameter object: what the statement makes, where the rows are whole without it.
    private mutating func run(
        _ sql: [UInt8], _ kind: StatementKind, object: ObjectName? = nil
    ) async throws(DumpError) {
        if kind == .histogram { return try await analyze(sql) }
        let purpose = "import: " + ItemText.oneLine(String(decoding: sql.prefix(80), as: UTF8.self), limit: 80)
        do {
            let result = try await target.session.connection.query(
                sql, purpose: kind == .account ? "import an account" : purpose, deadline: target.session.deadline)
            if let object, result.warnings > 0, object.isEvent {
                let warnings = try await target.session.connection.query(
                    "SHOW WARNINGS", purpose: "see what became of an event", deadline: target.session.deadline)
                if warnings.rows.contains(where: { $0.int("Code") == 1588 }) {
                    leave("\(object): its time has passed, and the server drops such an event at once")
                }
            }
        } catch {
            // What no server takes (a trigger over a column that is gone) must not cost the rows.
            if let object, let refusal = error.serverError, target.session.connection.isOpen,
                ObjectName.isAboutObject(refusal)
            {
                leave("\(object): \(refusal)")
                return
            }
            // A privilege that this server does not know (its component is not installed) must not cost the rebuild.
            if let refusal = error.serverError, target.session.connection.isOpen, kind == .grant {
                // Nobody may grant PROXY who was not granted it; where it is there already all is well.
                if let account, try await holds(sql, account) { return }
                leave("\(ItemText.oneLine(String(decoding: sql, as: UTF8.self), limit: 500)): \(refusal)")
                return
            }
            var error = error
            if kind == .account, let refusal = error.serverError {
                // A syntax error quotes the statement, and with it the hash.
                error.message = ""
                error.serverError = ServerError(
                    number: refusal.number, sqlState: refusal.sqlState,
                    message: "(withheld: the statement holds a secret)")
            }
            throw Self.failed(error)
        }
    }

    private mutating func leave(_ what: String) {
        warnings.append("\(target.session.server): \(what)")
        omissions.append("\(target.session.server): \(what)")
    }

    /// A histogram that is refused costs no rebuild: the server says so in a row, not by an error.
    private mutating func analyze(_ sql: [UInt8]) async throws(DumpError) {
        let result = try await target.unlocked { () async throws(DumpError) in
            try await target.session.run(sql, "import a histogram")
        }
        for row in result.rows where row.string("Msg_type")?.lowercased() == "error" {
            warnings.append(
                "\(target.session.server): a histogram of \(row.string("Table") ?? "?") was not taken: "
                    + ItemText.oneLine(row.string("Msg_text") ?? ""))
        }
    }

    static func failed(_ error: MySQLError) -> DumpError {
        DumpError(error, "the import failed; the target is incomplete and claims no GTID set: import again")
    }

    private func tell() {
        guard let progress else { return }
        let fraction = wholeBytes == 0 ? 0 : min(1, Double(bytes) / Double(wholeBytes))
        progress(
            DumpProgress(
                table: current, rows: 0, tableRows: tableRows[current], allRows: doneRows, bytes: bytes,
                fraction: fraction))
    }

    private func holds(_ grant: [UInt8], _ account: Accounts.Account) async throws(DumpError) -> Bool {
        let grants = try await target.session.run(
            "SHOW GRANTS FOR \(account.quoted)", "read the grants of account \(account.quoted)")
        return grants.rows.contains { $0.bytes(0) == grant }
    }

    /// With the first statement: all that the target must have has been told by then.
    private mutating func wipe() async throws(DumpError) {
        try await TargetNeeds(session: target.session).assertMet(needs) { warnings.append($0) }
        isWiped = true
        try await target.wipe(source: summary.uuid)
        if target.options.accounts { try await AccountExtras.discardSecond(target.session) }
    }

    private mutating func obey(_ directive: Directive) async throws(DumpError) {
        switch directive {
        case .begin: existing = Set(try await Accounts.list(target.session))
        case .need(let need): needs.append(need)
        case .section: data = nil
        case .data(let schema, let table):
            data = (schema, table)
            doneRows += tableRows[current] ?? 0
            current = "\(SQLText.name(schema)).\(SQLText.name(table))"
            tell()
        case .account(let user, let host):
            let account = Accounts.Account(user: user, host: host)
            self.account = account
            if existing.contains(account), account != target.own { try await strip(account) }
        case .end: ended = true
        case .table, .warning, .omission: break
        }
    }

    /// Takes an account's grants and roles, right before it is given the source's.
    private func strip(_ account: Accounts.Account) async throws(DumpError) {
        try await target.session.run(
            "REVOKE ALL PRIVILEGES, GRANT OPTION FROM \(account.quoted)", "take the old grants of \(account.quoted)")
        let roles = try await target.session.run(
            """
            SELECT FROM_USER AS user, FROM_HOST AS host FROM mysql.role_edges \
            WHERE TO_USER = \(SQLText.literal(account.user)) AND TO_HOST = \(SQLText.literal(account.host))
            """, "list the roles of \(account.quoted)")
        for row in roles.rows {
            guard let role = Accounts.Account(row) else { continue }
            try await target.session.run(
                "REVOKE \(role.quoted) FROM \(account.quoted)",
                "take the old roles of \(account.quoted)")
        }
    }
}
