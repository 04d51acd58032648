import MySQLWire

/// What was seen of `ongoing_failover.status` on one server.
struct LedgerView {
    private var last: Int64 = 0

    /// - Returns: the signals that are new, and whether all of those before have gone.
    mutating func look(_ connection: MySQLConnection) async throws(MySQLError) -> (signals: [String], isOver: Bool) {
        var signals: [String] = []
        do {
            let answer = try await connection.query(
                "SELECT id, event FROM ongoing_failover.status ORDER BY id", deadline: .after(.seconds(1)))
            if !answer.rows.isEmpty {
                for row in answer.rows {
                    guard let id = row.int("id"), id > last else { continue }
                    last = id
                    signals.append(row.string("event") ?? "")
                }
                return (signals, false)
            }
        } catch {
            // No such database, no such table.
            guard error.number == 1049 || error.number == 1146 else { throw error }
        }
        defer { last = 0 }
        return ([], last > 0)
    }
}
