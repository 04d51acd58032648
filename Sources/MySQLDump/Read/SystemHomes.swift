import MySQLWire

/// What people keep in `mysql` and `sys`. These schemas are never dumped nor wiped as a whole: they belong to the server.
enum SystemHomes {
    static let schemas = ["mysql", "sys"]

    /// What servers of 8.0 and newer, their plugins and their forks make there themselves.
    private static let own: [String: Set<String>] = [
        "mysql": [
            "audit_log_filter", "audit_log_user", "columns_priv", "component", "db", "default_roles", "engine_cost",
            "event", "firewall_group_allowlist", "firewall_groups", "firewall_membership", "firewall_users",
            "firewall_whitelist", "func", "general_log", "global_grants", "gtid_executed", "gtid_slave_pos",
            "help_category", "help_keyword", "help_relation", "help_topic", "host", "innodb_index_stats",
            "innodb_table_stats", "masking_dictionaries", "password_history", "plugin", "proc", "procs_priv",
            "proxies_priv", "role_edges", "server_cost", "servers", "slow_log", "tables_priv", "time_zone",
            "time_zone_leap_second", "time_zone_name", "time_zone_transition", "time_zone_transition_type", "user",
        ],
        "sys": ["sys_config"],
    ]
    /// Beginnings of such names.
    private static let ownPrefixes = [
        "ndb_", "replication_", "slave_", "replica_", "innodb_", "option_", "backup_", "rds_",
    ]
    /// Makes everything that a server has in `sys` itself.
    private static let maker = "mysql.sys@localhost"

    static func contains(_ schema: String) -> Bool { schemas.contains(schema) }

    /// A condition that leaves out what the server made itself.
    static func madeByPeople(_ schema: String) -> String {
        contains(schema) ? " AND DEFINER <> \(SQLText.literal(maker))" : ""
    }

    static func tables(_ session: Session) async throws(DumpError) -> [Catalog.Table] {
        var found: [Catalog.Table] = []
        for schema in schemas {
            let views = Set(
                try await session.run(
                    """
                    SELECT TABLE_NAME AS table_name FROM information_schema.VIEWS \
                    WHERE TABLE_SCHEMA = \(SQLText.literal(schema))\(madeByPeople(schema))
                    """, "list the views of \(schema)"
                ).rows.compactMap { $0.string("table_name") })
            for table in try await Catalog.tables(session, schema: schema) {
                let isOwn =
                    table.isView
                    ? !views.contains(table.name)
                    : own[schema, default: []].contains(table.name.lowercased())
                        || schema == "mysql" && ownPrefixes.contains { table.name.lowercased().hasPrefix($0) }
                if !isOwn { found.append(table) }
            }
        }
        return found
    }
}
