import MySQLWire

/// Prepared XA transactions that no session owns, and that have stood for longer than a transaction manager takes.
package struct AbandonedTransactions: Sendable, Equatable {
    /// What is prepared, the younger ones included: InnoDB knows their ages, XA RECOVER their names, and nothing leads from
    /// one to the other. Nil where XA_RECOVER_ADMIN is missing.
    package var prepared: [PreparedTransaction]?
    /// How many of them are abandoned.
    package var count: Int
    /// Seconds since the oldest began.
    package var age: Int

    /// Seconds.
    static let patience = 60

    package init(prepared: [PreparedTransaction]?, count: Int, age: Int) {
        (self.prepared, self.count, self.age) = (prepared, count, age)
    }

    /// Nil: there are none. For reports, not for every look.
    static func find(
        _ connection: MySQLConnection, olderThan seconds: Int = patience, deadline: Deadline
    ) async throws(MySQLError) -> Self? {
        // After a crash InnoDB itself rolls back what was not prepared, without a session too. trx_started is in the
        // system's time zone, whatever the session's.
        let ages = try await connection.query(
            """
            SELECT COUNT(*) AS abandoned, MAX(age) AS oldest FROM (
                SELECT TIMESTAMPDIFF(SECOND, trx_started, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')) AS age
                FROM information_schema.innodb_trx
                WHERE trx_mysql_thread_id = 0 AND trx_state <> 'ROLLING BACK') AS t
            WHERE age > \(seconds)
            """, purpose: "look for transactions without a session", deadline: deadline)
        guard let row = ages.rows.first, let count = row.int("abandoned"), count > 0 else { return nil }
        var prepared: [PreparedTransaction]?
        do throws(MySQLError) {
            prepared = try await PreparedTransaction.list(connection, deadline: deadline)
        } catch {
            guard error.serverError != nil else { throw error }
        }
        let found = prepared.map { min(Int(count), $0.count) } ?? Int(count)
        guard found > 0 else { return nil }
        return Self(prepared: prepared, count: found, age: Int(row.int("oldest") ?? 0))
    }

    /// What `status` and `explain` say.
    func text(on id: ServerID) -> String {
        let what =
            "\(count) prepared XA transaction\(count == 1 ? "" : "s") on \(id) that no session owns, the oldest begun "
            + "\(age) s ago: locks are held until XA COMMIT or XA ROLLBACK"
        guard let prepared else { return "\(what); grant XA_RECOVER_ADMIN to the agents, and the names are told" }
        let among = prepared.count > count ? " (among these \(prepared.count))" : ""
        return "\(what)\(among): \(PreparedTransaction.names(prepared))"
    }
}
