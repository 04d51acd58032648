import MySQLWire

/// Cuts a table into ranges of a key, so that several sessions can read it side by side. The ranges come from one list
/// of boundaries in the key's own order, each the end of one range and the beginning of the next: half open, so that
/// there is neither a gap nor an overlap, whatever the order of the key is (collations, composite keys, negative and
/// unsigned numbers).
struct KeyRanges: Sendable {
    /// The key's columns, in its order.
    private let columns: [ColumnPlan]
    private let key: String
    private let table: Catalog.Table
    /// Rows of a range.
    private let step: UInt64
    /// The boundaries, where they are known from the start: an integer key without large gaps is cut by arithmetic.
    private let even: [String]?

    /// A part of a table as it stands in a WHERE; empty for all of it.
    typealias Condition = String

    /// - Returns: nil where the table is small, or has no key by which it can be cut.
    static func plan(_ table: Catalog.Table, size: UInt64, session: Session) async throws(DumpError) -> KeyRanges? {
        guard size > 0, table.size >= 2 * size, table.rows > 1, table.engine.uppercased() == "INNODB",
            let key = try await key(of: table, session)
        else { return nil }
        let pieces = table.size / size
        return KeyRanges(
            columns: key.columns, key: key.name, table: table, step: max(1, table.rows / max(1, pieces)),
            even: try await evenly(table, key.columns, pieces: pieces, session))
    }

    /// Walking a key to find boundaries costs a good part of what reading costs; integers that lie dense need no walk.
    private static func evenly(
        _ table: Catalog.Table, _ columns: [ColumnPlan], pieces: UInt64, _ session: Session
    ) async throws(DumpError) -> [String]? {
        guard columns.count == 1, columns[0].isInteger else { return nil }
        let name = SQLText.name(columns[0].name)
        let result = try await session.run(
            "SELECT MIN(\(name)) AS low, MAX(\(name)) AS high FROM \(table.quoted)",
            "read the ends of the key of \(table.quoted)")
        guard let low = result.rows.first?.string("low").flatMap({ Int128($0) }),
            let high = result.rows.first?.string("high").flatMap({ Int128($0) })
        else { return nil }
        return even(low: low, high: high, rows: table.rows, pieces: pieces)
    }

    /// - Returns: boundaries within `low..<high`, rising; nil where less than a third of the numbers seem to be in use.
    static func even(low: Int128, high: Int128, rows: UInt64, pieces: UInt64) -> [String]? {
        let span = high - low + 1
        guard span > 0, pieces > 1, span / 3 <= Int128(rows), span >= Int128(pieces) else { return nil }
        return (1..<Int128(pieces)).map { "\(low + span * $0 / Int128(pieces))" }
    }

    /// The primary key, or else a unique one that cannot hold NULL; nil where none will do. Columns that are compared
    /// otherwise than they are written are left alone: approximate numbers, ENUM, SET, BIT, and prefixes.
    private static func key(
        of table: Catalog.Table, _ session: Session
    ) async throws(DumpError) -> (name: String, columns: [ColumnPlan])? {
        let result = try await session.run(
            """
            SELECT s.INDEX_NAME AS index_name, s.COLUMN_NAME AS column_name, s.SUB_PART AS sub_part, \
            s.IS_VISIBLE AS is_visible, c.DATA_TYPE AS data_type, c.CHARACTER_SET_NAME AS character_set_name, \
            c.IS_NULLABLE AS is_nullable \
            FROM information_schema.STATISTICS s LEFT JOIN information_schema.COLUMNS c \
            ON c.TABLE_SCHEMA = s.TABLE_SCHEMA AND c.TABLE_NAME = s.TABLE_NAME AND c.COLUMN_NAME = s.COLUMN_NAME \
            WHERE s.TABLE_SCHEMA = \(SQLText.literal(table.schema)) AND s.TABLE_NAME = \(SQLText.literal(table.name)) \
            AND s.NON_UNIQUE = 0 ORDER BY s.INDEX_NAME <> 'PRIMARY', s.INDEX_NAME, s.SEQ_IN_INDEX
            """, "list the unique keys of \(table.quoted)")
        var keys: [(name: String, columns: [ColumnPlan?])] = []
        for row in result.rows {
            guard let name = row.string("index_name") else { continue }
            if keys.last?.name != name { keys.append((name, [])) }
            var plan: ColumnPlan?
            if let column = row.string("column_name"), row.string("sub_part") == nil,
                row.string("is_visible") == "YES", let type = row.string("data_type"),
                row.string("is_nullable") == "NO",
                !["float", "double", "enum", "set", "bit"].contains(type.lowercased())
            {
                plan = ColumnPlan(
                    .init(
                        name: column, type: type, characterSet: row.string("character_set_name"), nullable: false),
                    version: session.version)
            }
            keys[keys.count - 1].columns.append(plan)
        }
        for key in keys {
            let columns = key.columns.compactMap { $0 }
            if columns.count == key.columns.count { return (key.name, columns) }
        }
        return nil
    }

    /// The first values of the range that follows range `number`, which begins with `start` (nil: the first one), as
    /// they stand in SQL; nil if it is the last one. Read in the snapshot, so that nothing moves.
    func next(after start: [String]?, number: Int, _ session: Session) async throws(DumpError) -> [String]? {
        if let even { return number < even.count ? [even[number]] : nil }
        let names = columns.map { SQLText.name($0.name) }.joined(separator: ", ")
        let expressions = columns.map(\.expression).joined(separator: ", ")
        // The first range has no beginning: its rows are counted from the first one.
        let condition = start.map { " WHERE \(from($0))" } ?? ""
        let result = try await session.run(
            """
            SELECT \(expressions) FROM \(table.quoted) FORCE INDEX (\(SQLText.name(key)))\(condition) \
            ORDER BY \(names) LIMIT \(step), 1
            """, "find where to cut \(table.quoted)")
        guard let row = result.rows.first else { return nil }
        var values: [String] = []
        for (index, column) in columns.enumerated() {
            guard let bytes = row.bytes(index) else {
                throw DumpError(.mismatch, "\(session.server): a NULL in the key of \(table.quoted)")
            }
            var text: [UInt8] = []
            bytes.withUnsafeBufferPointer { ValueEncoder.append($0, as: column.encoding, to: &text) }
            // Every encoding of a key's column writes valid text.
            values.append(String(decoding: text, as: UTF8.self))
        }
        return values
    }

    /// The rows from `start` (nil: from the first) up to but without `end` (nil: to the last).
    func condition(from start: [String]?, to end: [String]?) -> Condition {
        [start.map(from), end.map(before)].compactMap { $0 }.map { "(\($0))" }.joined(separator: " AND ")
    }

    var hint: String { " FORCE INDEX (\(SQLText.name(key)))" }

    /// `(a, b) >= (x, y)`, written out: only so can the server use the key.
    private func from(_ values: [String]) -> String { compare(values, last: ">=", others: ">") }

    private func before(_ values: [String]) -> String { compare(values, last: "<", others: "<") }

    private func compare(_ values: [String], last: String, others: String) -> String {
        var alternatives: [String] = []
        for index in columns.indices {
            var parts = columns[..<index].indices.map { "\(SQLText.name(columns[$0].name)) = \(values[$0])" }
            let sign = index == columns.count - 1 ? last : others
            parts.append("\(SQLText.name(columns[index].name)) \(sign) \(values[index])")
            alternatives.append(parts.count == 1 ? parts[0] : "(\(parts.joined(separator: " AND ")))")
        }
        return alternatives.joined(separator: " OR ")
    }
}
