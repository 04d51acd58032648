import MySQLWire

/// What must be so on one server, whichever of the two is primary: pure.
struct CheckServer {
    let configuration: Configuration
    let id: ServerID
    let settings: ServerSettings

    private var subject: String { "server \(id) (\(configuration.servers[id]))" }
    private var agents: Bool { configuration.mode == .quorum }

    /// One finding for each thing that is not as it should be, and one for what is.
    func findings() -> [Finding] {
        [wrongSettings(), access(), account(), tables(), prepared(), replication()].flatMap { $0 }
            + (agents ? group(semiSync(), "semi-synchronous without a fallback") : [])
    }

    private func finding(_ level: Finding.Level, _ text: String, _ remedy: String? = nil) -> Finding {
        Finding(level, subject, text, remedy: remedy)
    }

    /// The group's own words where nothing was found in it.
    private func group(_ found: [Finding], _ fine: String) -> [Finding] {
        found.isEmpty ? [finding(.ok, fine)] : found
    }

    // MARK: Settings

    private struct Wanted {
        var name: String
        var level: Finding.Level
        var line: String
        var why: String
        var holds: @Sendable (String) -> Bool
    }

    private static func on(_ name: String, _ level: Finding.Level, _ why: String) -> Wanted {
        Wanted(name: name, level: level, line: "\(name) = ON", why: why) { ["ON", "1"].contains($0.uppercased()) }
    }

    private static let wanted: [Wanted] = [
        on("gtid_mode", .critical, "nothing can be brought back without GTIDs"),
        on("enforce_gtid_consistency", .critical, "GTIDs need it"),
        on("log_bin", .critical, "the other server could not replicate from it"),
        on("log_replica_updates", .critical, "promoted, it would lack the transactions that it has applied"),
        Wanted(
            name: "binlog_format", level: .warning, line: "binlog_format = ROW",
            why: "statements can do something else on the replica"
        ) { $0.uppercased() == "ROW" },
        Wanted(
            name: "sync_binlog", level: .warning, line: "sync_binlog = 1",
            why: "what was acknowledged can be gone after a power failure"
        ) { $0 == "1" },
        Wanted(
            name: "innodb_flush_log_at_trx_commit", level: .warning, line: "innodb_flush_log_at_trx_commit = 1",
            why: "what was acknowledged can be gone after a power failure"
        ) { $0 == "1" },
        Wanted(
            name: "binlog_expire_logs_seconds", level: .warning, line: "binlog_expire_logs_seconds = 2592000",
            why: "a server that was away for a day could come back only by a rebuild"
        ) { Int($0).map { $0 == 0 || $0 >= 86_400 } ?? true },
        on("replica_preserve_commit_order", .warning, "the replica can hold a transaction and lack one before it"),
    ]

    private func wrongSettings() -> [Finding] {
        var found: [Finding] = []
        if settings.value("server_id") == "0" {
            found.append(finding(.critical, "server_id is 0", "my.cnf, [mysqld]: server_id = \(id == .a ? 1 : 2)"))
        }
        if !settings.logFilter.isEmpty {
            found.append(
                finding(
                    .critical,
                    "\(settings.logFilter): what is left out of the binary log is on no replica, and a failover loses it",
                    "my.cnf, [mysqld]: remove it, and rebuild the replica"))
        }
        for wanted in Self.wanted {
            guard let value = settings.value(wanted.name), !wanted.holds(value) else { continue }
            found.append(
                finding(wanted.level, "\(wanted.name) is \(value): \(wanted.why)", "my.cnf, [mysqld]: \(wanted.line)"))
        }
        return group(found, "\(settings.facts.version), \(Self.wanted.count + 1) settings as they should be")
    }

    // MARK: Accounts

    /// What the statements of the agents need, of a rebuild by dump or clone as well.
    /// https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html
    static func privileges(_ version: ServerVersion, clone: Bool) -> [String] {
        var names = [
            "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "PROCESS", "REFERENCES", "INDEX",
            "ALTER",
            "SHOW DATABASES", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE", "REPLICATION SLAVE",
            "REPLICATION CLIENT", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "CREATE USER", "EVENT",
            "TRIGGER", "GRANT OPTION",
        ]
        guard version.isMySQL(atLeast: 8, 0, 0) else { return names }
        names += [
            "BACKUP_ADMIN", "CONNECTION_ADMIN",
            // SET PERSIST_ONLY: a primary that was opened starts closed.
            "PERSIST_RO_VARIABLES_ADMIN",
            "REPLICATION_SLAVE_ADMIN", "ROLE_ADMIN", "SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN",
            "XA_RECOVER_ADMIN",
        ]
        // Views, routines, triggers and events are made for whoever made them, though he may be gone; events are switched on
        // for theirs.
        names += version.isMySQL(atLeast: 8, 2) ? ["SET_ANY_DEFINER", "ALLOW_NONEXISTENT_DEFINER"] : ["SET_USER_ID"]
        // Sessions of accounts that have it are ended by nobody else, and a rebuild replaces those accounts.
        if version.isMySQL(atLeast: 8, 0, 16) { names.append("SYSTEM_USER") }
        if clone, version.isMySQL(atLeast: 8, 0, 17) { names.append("CLONE_ADMIN") }
        return names
    }

    private func access() -> [Finding] {
        let wanted = Self.privileges(settings.facts.version, clone: configuration.rebuild.clone)
        let missing = wanted.filter { !settings.privileges.contains($0) }
        let user = configuration.credentials.user
        let (level, by) = settings.hasRoles ? (Finding.Level.warning, ", unless by a role") : (.critical, "")
        let remedy = "GRANT ALL PRIVILEGES ON *.* TO '\(user)'@'%' WITH GRANT OPTION;"
        var found: [Finding] = []
        if !missing.isEmpty {
            found.append(finding(level, "'\(user)' lacks \(missing.joined(separator: ", "))\(by)", remedy))
        }
        let beyond = settings.heldPrivileges.subtracting(settings.privileges).subtracting(wanted).sorted()
        if !beyond.isEmpty {
            found.append(
                finding(
                    level,
                    "accounts hold \(beyond.joined(separator: ", ")), which '\(user)' cannot give\(by): a rebuild by dump takes "
                        + "that from them", remedy))
        }
        return group(found, "'\(user)' may do what the agent does")
    }

    private func account() -> [Finding] {
        let user = configuration.replication.user
        guard settings.replicationHosts.isEmpty, settings.privileges.contains("SELECT") else {
            return settings.replicationHosts.isEmpty ? [] : [finding(.ok, "'\(user)' may replicate")]
        }
        return [
            finding(
                .critical, "there is no account '\(user)' that may replicate: no server could follow this one",
                "CREATE USER IF NOT EXISTS '\(user)'@'%' IDENTIFIED BY '...'; "
                    + "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '\(user)'@'%';")
        ]
    }

    // MARK: Data

    private func tables() -> [Finding] {
        func named(_ names: ServerSettings.Names) -> String {
            names.some.joined(separator: ", ") + (names.count > names.some.count ? " and others" : "")
        }
        var found: [Finding] = []
        for table in (settings.facts.quorum?.misshapen ?? []).sorted() {
            found.append(
                finding(
                    .warning, "the table \(table) is not as the agents make it, and is not read",
                    "RENAME TABLE \(table) TO ...; or DROP it, on the primary"))
        }
        if settings.otherEngines.count > 0 {
            found.append(
                finding(
                    .warning,
                    "\(settings.otherEngines.count) tables are no InnoDB: \(named(settings.otherEngines)). A crash or a "
                        + "dump under load can leave them different on the two servers",
                    "ALTER TABLE ... ENGINE = InnoDB;"))
        }
        if settings.keyless.count > 0 {
            found.append(
                finding(
                    .warning,
                    "\(settings.keyless.count) tables have no primary key: \(named(settings.keyless)). A change of many "
                        + "rows keeps the replica behind for long, and a dump reads them by one session",
                    "ALTER TABLE ... ADD PRIMARY KEY (...);"))
        }
        return group(found, "every table is InnoDB and has a primary key")
    }

    /// On a replica XA COMMIT and XA ROLLBACK would be transactions that its primary lacks.
    private func prepared() -> [Finding] {
        guard let abandoned = settings.abandoned else { return [] }
        return [
            finding(
                .warning, abandoned.text(on: id),
                "XA COMMIT or XA ROLLBACK each, as its transaction manager says"
                    + (settings.channels.isEmpty ? ";" : "; on the primary, from where it replicates"))
        ]
    }

    private func replication() -> [Finding] {
        guard let channel = settings.channels.first else { return [] }
        var found: [Finding] = []
        if !channel.autoPosition {
            found.append(
                finding(
                    .critical, "it replicates by file and position: after a failover it could not find its place",
                    "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 1; START REPLICA;"))
        }
        if agents, channel.heartbeat == 0 || channel.heartbeat > 2 {
            found.append(
                finding(
                    .warning,
                    "it hears from an idle source every \(channel.heartbeat) s: too seldom to witness that it lives",
                    "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 1; START REPLICA;"))
        }
        switch settings.facts.channels.first?.health {
        case .running?, nil: break
        case .stopped?: found.append(finding(.warning, "replication is stopped", "START REPLICA;"))
        case .disconnected(let why)?: found.append(finding(.critical, "replication is not connected: \(why)"))
        case .interrupted(let why)?:
            found.append(finding(.warning, "replication is interrupted: \(why)", "end the cause, then START REPLICA;"))
        case .broken(let why)?: found.append(finding(.critical, "replication is broken: \(why)"))
        }
        if agents, !settings.facts.superReadOnly {
            found.append(
                finding(
                    .critical, "it is a replica and not closed: whoever writes there makes it differ",
                    "SET PERSIST super_read_only = ON;"))
        }
        return group(found, "it replicates by GTID, and does")
    }

    // MARK: Semi-synchronous replication

    /// The settings that let a commit be acknowledged which no replica has.
    /// https://dev.mysql.com/doc/refman/8.4/en/replication-semisync.html
    func semiSync() -> [Finding] {
        let prefix = "a commit that was acknowledged can be lost with the primary: "
        // Under their names since 8.0.26; the agents know no others.
        guard settings.variables["rpl_semi_sync_source_enabled"] != nil,
            settings.variables["rpl_semi_sync_replica_enabled"] != nil
        else {
            return [
                finding(
                    .warning, prefix + "replication is asynchronous",
                    "my.cnf, [mysqld]: plugin_load_add = semisync_source.so;semisync_replica.so, "
                        + "and the settings in Documentation/Guarantees.md")
            ]
        }
        var found: [Finding] = []
        func want(_ name: String, _ line: String, _ why: String, _ holds: (String) -> Bool) {
            guard let value = settings.value(name), !holds(value) else { return }
            found.append(
                finding(.warning, prefix + "\(name) is \(value)\(why)", "SET PERSIST \(name) = \(line); on both"))
        }
        want("rpl_semi_sync_replica_enabled", "ON", ", it acknowledges nothing") { $0.uppercased() == "ON" }
        want("rpl_semi_sync_source_wait_point", "AFTER_SYNC", ", others see it before the replica has it") {
            $0.uppercased() == "AFTER_SYNC"
        }
        want("rpl_semi_sync_source_timeout", "4294967295", " ms, then it goes on without asking anybody") {
            (Int($0) ?? 0) >= SemiSync.longTimeout
        }
        want("rpl_semi_sync_source_wait_no_replica", "ON", ", without a replica it does not wait") {
            $0.uppercased() == "ON"
        }
        return found
    }
}
