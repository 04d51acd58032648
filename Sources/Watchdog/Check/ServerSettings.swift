import MySQLWire

/// What `check` reads from one server.
struct ServerSettings: Sendable {
    var facts: ServerFacts
    /// Global variables by their name in lower case.
    var variables: [String: String] = [:]
    /// What the agent's account may do everywhere, in upper case; GRANT OPTION where it may give all of that.
    var privileges: Set<String> = []
    /// What any account may do everywhere.
    var heldPrivileges: Set<String> = []
    /// The agent's account has roles, whose privileges are not among those.
    var hasRoles = false
    /// The hosts for which the replication account is there and may replicate.
    var replicationHosts: [String] = []
    /// Tables that are no InnoDB, and those without a primary key: how many, and some of their names.
    var otherEngines = Names()
    var keyless = Names()
    /// Schemas that the binary log takes alone, or leaves out (binlog_do_db, binlog_ignore_db); empty where it takes all.
    var logFilter = ""
    /// Prepared XA transactions that nobody ends.
    var abandoned: AbandonedTransactions?
    /// Of each channel, by the server's own record.
    var channels: [Channel] = []

    struct Names: Sendable {
        var count = 0
        var some: [String] = []
    }

    struct Channel: Sendable {
        var autoPosition: Bool
        /// Seconds.
        var heartbeat: Double
    }

    /// A variable under its name since 8.0.26, or under the one before.
    func value(_ name: String) -> String? {
        variables[name]
            ?? variables[name.replacing("replica", with: "slave").replacing("source", with: "master")]
    }

    func isOn(_ name: String) -> Bool { ["on", "1"].contains(value(name)?.lowercased()) }
}

/// Asks one server what `check` wants to know.
struct ServerSettingsProbe {
    let configuration: Configuration

    /// The server's schemas and the agents'.
    private static let own = """
        ('mysql', 'sys', 'information_schema', 'performance_schema', 'ongoing_failover', 'ongoing_rebuild', 'repl_watchdog')
        """

    private struct Asking {
        let connection: MySQLConnection
        let deadline: Deadline

        func rows(_ sql: String, _ purpose: String) async throws(MySQLError) -> [Row] {
            try await connection.query(sql, purpose: purpose, deadline: deadline).rows
        }
    }

    func read(_ id: ServerID, deadline: Deadline) async throws(MySQLError) -> ServerSettings {
        let connection = try await MySQLConnection.connect(
            configuration.connectionOptions(configuration.servers[id]), deadline: deadline)
        defer { connection.abort() }
        let asking = Asking(connection: connection, deadline: deadline)
        let facts = try await ServerProbe(configuration, configuration.mode == .quorum ? .quorum : .plain)
            .facts(connection, .init(lists: configuration.mode == .quorum), deadline: deadline)
        var settings = ServerSettings(facts: facts)
        for row in try await asking.rows("SHOW GLOBAL VARIABLES", "read the settings") {
            if let name = row.string("Variable_name"), let value = row.string("Value") {
                settings.variables[name.lowercased()] = value
            }
        }
        try await readAccounts(&settings, asking)
        try await readTables(&settings, asking)
        try await readReplication(&settings, asking)
        do throws(MySQLError) {
            settings.abandoned = try await AbandonedTransactions.find(connection, deadline: deadline)
        } catch {
            // Which privilege is missing is a finding of its own.
            guard error.serverError != nil else { throw error }
        }
        await connection.close()
        return settings
    }

    private func readAccounts(_ settings: inout ServerSettings, _ asking: Asking) async throws(MySQLError) {
        let own = try await asking.rows(
            """
            SELECT privilege_type AS privilege_type, is_grantable AS is_grantable FROM information_schema.user_privileges
            WHERE grantee = CONCAT(QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', 1)), '@',
                QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)))
            """, "read the agent's own privileges")
        settings.privileges = Set(own.compactMap { $0.string("privilege_type")?.uppercased() })
        if !own.isEmpty, own.allSatisfy({ $0.string("is_grantable") == "YES" }) {
            settings.privileges.insert("GRANT OPTION")
        }
        // The server's own accounts are in no dump.
        settings.heldPrivileges = Set(
            try await asking.rows(
                """
                SELECT DISTINCT privilege_type AS privilege_type FROM information_schema.user_privileges
                WHERE grantee NOT IN ('\\'mysql.sys\\'@\\'localhost\\'', '\\'mysql.session\\'@\\'localhost\\'',
                    '\\'mysql.infoschema\\'@\\'localhost\\'') AND privilege_type <> 'USAGE'
                """, "read what accounts may do"
            ).compactMap { $0.string("privilege_type")?.uppercased() })
        if settings.facts.version.isMySQL(atLeast: 8, 0, 0) {
            let roles = try await asking.rows("SELECT CURRENT_ROLE() AS roles", "read the agent's own roles")
                .first?.string("roles")
            settings.hasRoles = roles.map { $0 != "NONE" } ?? false
        }
        if settings.privileges.contains("SELECT") {
            settings.replicationHosts = try await asking.rows(
                """
                SELECT host AS host FROM mysql.user
                WHERE user = \(SQLText.literal(configuration.replication.user)) AND Repl_slave_priv = 'Y'
                """, "look for the replication account"
            ).compactMap { $0.string("host") }
        }
    }

    private func readTables(_ settings: inout ServerSettings, _ asking: Asking) async throws(MySQLError) {
        settings.otherEngines = names(
            try await asking.rows(
                """
                SELECT CONCAT(table_schema, '.', table_name, ' (', engine, ')') AS name FROM information_schema.tables
                WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB' AND table_schema NOT IN \(Self.own)
                """, "look for tables without transactions"))
        settings.keyless = names(
            try await asking.rows(
                """
                SELECT CONCAT(t.table_schema, '.', t.table_name) AS name FROM information_schema.tables t
                LEFT JOIN information_schema.table_constraints c
                    ON c.table_schema = t.table_schema AND c.table_name = t.table_name
                        AND c.constraint_type = 'PRIMARY KEY'
                WHERE t.table_type = 'BASE TABLE' AND c.table_name IS NULL AND t.table_schema NOT IN \(Self.own)
                """, "look for tables without a primary key"))
    }

    private func readReplication(_ settings: inout ServerSettings, _ asking: Asking) async throws(MySQLError) {
        // The source's filters are in no variable.
        let log = try await asking.rows(
            settings.facts.version.isMySQL(atLeast: 8, 2) ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS",
            "read what the binary log leaves out"
        ).first
        settings.logFilter = [("binlog_do_db", "Binlog_Do_DB"), ("binlog_ignore_db", "Binlog_Ignore_DB")].compactMap {
            (name, column) in log?.string(column).flatMap { $0.isEmpty ? nil : "\(name) = \($0)" }
        }.joined(separator: ", ")
        settings.channels = try await asking.rows(
            """
            SELECT auto_position, heartbeat_interval FROM performance_schema.replication_connection_configuration
            WHERE host <> '' AND channel_name NOT IN ('group_replication_applier', 'group_replication_recovery')
            """, "read how replication is set up"
        ).map { row in
            .init(
                autoPosition: row.string("auto_position") == "1",
                heartbeat: row.string("heartbeat_interval").flatMap { Double($0) } ?? 0)
        }
    }

    private func names(_ rows: [Row]) -> ServerSettings.Names {
        .init(count: rows.count, some: rows.prefix(3).compactMap { $0.string("name") })
    }
}
