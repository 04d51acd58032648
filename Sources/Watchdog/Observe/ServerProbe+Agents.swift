import MySQLWire

/// What a server says of agents that go by another configuration.
extension ServerProbe {
    /// Other lists of agents: who goes by one, and what their members say.
    func readLists(
        _ connection: MySQLConnection, _ locks: QuorumLocks, _ about: About, _ quorum: inout QuorumFacts,
        deadline: Deadline
    ) async throws(MySQLError) {
        if about.lists {
            // The agents' own account only: anybody may call itself what it likes.
            let found = try await connection.query(
                """
                SELECT DISTINCT a.attr_value AS program FROM performance_schema.session_connect_attrs a
                    JOIN performance_schema.threads t ON t.processlist_id = a.processlist_id
                WHERE a.attr_name = 'program_name' AND a.attr_value LIKE 'repl-watchdog protocol=%'
                    AND t.processlist_user = SUBSTRING_INDEX(USER(), '@', 1)
                """, purpose: "see which lists agents go by", deadline: deadline)
            quorum.lists = found.rows.compactMap { $0.string("program").flatMap { AgentList(program: $0) } }
                .filter { $0.digest != locks.digest }
            let doubles = try await connection.query(
                "SELECT \(locks.doublesColumn) AS doubles FROM \(AgentLock.own)",
                purpose: "see of which agents there are two", deadline: deadline)
            quorum.doubles = Set(
                QuorumLocks.set(doubles.rows.first?.string("doubles")).names(locks.agents))
        }
        guard !about.foreign.isEmpty else { return }
        let parts = about.foreign.enumerated().flatMap { place, list in
            [
                "\(locks.count([.unreachable, .dead], of: list, among: about.foreign)) AS votes\(place)",
                "\(locks.count([.async], of: list, among: about.foreign)) AS async\(place)",
                "\(locks.count([.seesPrimary], of: list, among: about.foreign)) AS sees\(place)",
            ]
        }
        let row = try await connection.query(
            "SELECT \(parts.joined(separator: ", ")) FROM \(AgentLock.own)",
            purpose: "count the agents of another list", deadline: deadline
        ).rows.first
        for (place, list) in about.foreign.enumerated() {
            quorum.listCounts[list.digest] = ListCount(
                votes: Int(row?.int("votes\(place)") ?? 0), async: Int(row?.int("async\(place)") ?? 0),
                sees: Int(row?.int("sees\(place)") ?? 0))
        }
    }

    /// Whether the name of the agent that asks is held by a session from another host. One from its own host is what it
    /// left behind itself, for as long as a statement of that session takes.
    func isHeldElsewhere(
        _ connection: MySQLConnection, _ locks: QuorumLocks, _ name: String?, _ answer: ServerAnswer, deadline: Deadline
    ) async throws(MySQLError) -> Bool {
        guard let name, let own = locks.agents.firstIndex(of: name),
            QuorumLocks.set(answer.text(.present)).contains(own)
        else { return false }
        let found = try await connection.query(
            """
            SELECT processlist_id AS id FROM performance_schema.threads
            WHERE processlist_id = IS_USED_LOCK(\(SQLText.literal(locks.presence(name))))
                AND processlist_host <> SUBSTRING_INDEX(USER(), '@', -1)
            """, purpose: "see whether another host's agent goes by this one's name", deadline: deadline)
        return !found.rows.isEmpty
    }

    /// Configured agents that are connected here with another configuration, and in what it differs.
    func strangers(
        _ connection: MySQLConnection, _ locks: QuorumLocks, _ answer: ServerAnswer, deadline: Deadline
    ) async throws(MySQLError) -> [String: String] {
        let others = QuorumLocks.set(answer.text(.present)).subtracting(QuorumLocks.set(answer.text(.here)))
        guard !others.isEmpty else { return [:] }
        var out: [String: String] = [:]
        for name in others.names(locks.agents) {
            let found = try await connection.query(
                """
                SELECT attr_value AS program FROM performance_schema.session_connect_attrs
                WHERE attr_name = 'program_name' AND processlist_id = IS_USED_LOCK(\(SQLText.literal(locks.presence(name))))
                """, purpose: "see how another agent's configuration differs", deadline: deadline)
            out[name] = found.rows.first?.string("program") ?? ""
        }
        return out
    }
}
