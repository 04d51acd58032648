import MySQLWire

extension Target {
    /// Seconds.
    private static let patience = 5
    private static let tries = 6

    /// RESET BINARY LOGS AND GTIDS flushes tables: it waits for every statement that has one open, and whoever opens one
    /// meanwhile waits for it. So it waits for a few seconds, and again, after another look at what is about to go.
    func forgetHistory() async throws(DumpError) {
        let purpose = "forget the target's GTID history"
        let statement = session.version.isMySQL(atLeast: 8, 2) ? "RESET BINARY LOGS AND GTIDS" : "RESET MASTER"
        try await session.run("SET SESSION lock_wait_timeout = \(Self.patience)", "bound the wait for locks")
        for attempt in 1...Self.tries {
            try await requireKnown()
            guard let refusal = try await session.attempt(statement, purpose) else { break }
            guard refusal.number == 1205, attempt < Self.tries else {
                throw DumpError(refusal, on: session, purpose, "cannot \(purpose)")
            }
        }
        try await session.run("SET SESSION lock_wait_timeout = 60", "bound the wait for locks")
    }

    /// Nothing was executed that is in no saved dump.
    private func requireKnown() async throws(DumpError) {
        guard let known = options.wipesOnly else { return }
        let since = try await session.value(
            "SELECT GTID_SUBTRACT(@@global.gtid_executed, \(SQLText.literal(known)))",
            "see that nothing was executed since the target's data was saved")
        guard since == "" else {
            throw mismatch("\(since ?? "an unknown set") was executed since its data was saved: it is not wiped")
        }
    }
}
