import MySQLWire

/// Which tables the transactions touched that only one server has, by its binary log. An operator who must merge them
/// by hand looks there.
/// https://dev.mysql.com/doc/refman/8.4/en/show-binlog-events.html
struct SurplusTables {
    /// Most events that are looked at; a log of many gigabytes is not read to its beginning.
    private static let limit = 5_000_000

    private let wanted: GTIDSet
    private var left: GTIDSet
    private var current = GTIDSet()
    private var events = 0
    /// Table (or the beginning of a statement) to how many of the transactions touched it.
    private(set) var counts: [String: Int] = [:]
    private var touched: Set<String> = []

    init(_ wanted: GTIDSet) {
        self.wanted = wanted
        left = wanted
    }

    /// Reads the logs from the newest back, until every transaction was found.
    static func find(_ wanted: GTIDSet, on session: ServerSession, deadline: Deadline) async throws(MySQLError)
        -> String
    {
        if wanted.isEmpty { return "none" }
        let what = "list the tables of transactions that only one server has"
        var found = SurplusTables(wanted)
        let logs = try await session.connection.query("SHOW BINARY LOGS", purpose: what, deadline: deadline)
        for row in logs.rows.reversed() where !found.left.isEmpty && found.events < limit {
            guard let name = row.string("Log_name") else { continue }
            let stream = try await session.connection.stream(
                "SHOW BINLOG EVENTS IN \(SQLText.literal(name))", purpose: what, deadline: deadline)
            while let batch = try await stream.next(deadline: deadline) {
                for index in 0..<batch.rowCount { found.event(batch.text(index, 2), batch.text(index, 5)) }
            }
            found.end()
        }
        return found.text
    }

    private mutating func event(_ type: String, _ info: String) {
        events += 1
        switch type {
        case "Gtid", "Gtid_tagged":
            end()
            // SET @@SESSION.GTID_NEXT= 'uuid:number'
            let parts = info.split(separator: "'")
            let gtid = parts.count >= 2 ? GTIDSet(String(parts[1])) ?? GTIDSet() : GTIDSet()
            current = !gtid.isEmpty && gtid.isSubset(of: wanted) ? gtid : GTIDSet()
        case "Table_map" where !current.isEmpty:
            // table_id: 90 (shop.orders)
            guard let open = info.firstIndex(of: "("), let close = info.lastIndex(of: ")"), open < close else { return }
            touched.insert(String(info[info.index(after: open)..<close]))
        case "Query" where !current.isEmpty && info != "BEGIN":
            touched.insert(String(info.prefix(120)))
        default: break
        }
    }

    /// A transaction, or a log, is over.
    private mutating func end() {
        for table in touched { counts[table, default: 0] += 1 }
        touched = []
        left = left.subtracting(current)
        current = GTIDSet()
    }

    private var text: String {
        var lines = counts.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value)" }
        if !left.isEmpty { lines.append("  not found in the binary logs: \(left)") }
        return lines.isEmpty ? "none" : "\n" + lines.joined(separator: "\n")
    }
}

extension RowBatch {
    fileprivate func text(_ row: Int, _ column: Int) -> String {
        guard column < columnCount, let range = range(row: row, column: column) else { return "" }
        return String(decoding: bytes[range], as: UTF8.self)
    }
}
