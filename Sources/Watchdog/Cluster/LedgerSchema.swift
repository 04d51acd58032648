import MySQLWire

/// Names and statements of what the agents keep on the servers.
enum LedgerSchema {
    static let schema = "ongoing_failover"
    /// Apart from the ledger, so that nothing that clears a ledger away can take the marker with it.
    static let rebuild = "ongoing_rebuild"

    /// The `event` column holds the seed's signals and nothing else; the others are ours. `master_epoch` is set by
    /// MAST rows only, and its unique key lets the server itself see to it that an epoch has one operation master.
    static let create = [
        "CREATE DATABASE IF NOT EXISTS ongoing_failover",
        """
        CREATE TABLE IF NOT EXISTS ongoing_failover.status (
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            event VARCHAR(255) NOT NULL,
            agent VARCHAR(255) NOT NULL,
            epoch BIGINT UNSIGNED NOT NULL,
            seen VARCHAR(36) NOT NULL,
            session BIGINT UNSIGNED NOT NULL,
            agent_lock VARCHAR(64) NOT NULL,
            master_epoch BIGINT UNSIGNED NULL UNIQUE,
            at DATETIME(6) NOT NULL,
            witnessed MEDIUMTEXT NULL,
            sync TINYINT NOT NULL DEFAULT 0
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
        """,
    ]

    /// `at` is in UTC: an age must not jump with summer time. The lock decides whether a row's writer lives: the server
    /// takes it away with the session. Only a session of the agents' account counts, whoever may write rows.
    static let read = """
        SELECT id, event, agent, epoch, seen, session,
            IFNULL(IS_USED_LOCK(agent_lock) = session, 0)
                AND COALESCE(JSON_CONTAINS(own.ids, CAST(session AS JSON)), own.ids IS NULL) AS alive,
            TIMESTAMPDIFF(MICROSECOND, at, UTC_TIMESTAMP(6)) DIV 1000 AS age, witnessed, sync
        FROM ongoing_failover.status, \(AgentLock.own) ORDER BY id
        """

    /// Ends every operation whose rows stand there. Rows and not the table: a client that holds the server for a backup
    /// (LOCK INSTANCE FOR BACKUP) lets rows be written, and keeps every CREATE and DROP waiting.
    static let clear = "DELETE FROM ongoing_failover.status"
    static let drop = "DROP DATABASE IF EXISTS ongoing_failover"

    /// What quorum mode keeps on both servers. Made in quiet times on the primary, from which it replicates.
    static var standing: [String] { create + createHistory + createControl }
    static let standingTables: Set<String> = [
        "ongoing_failover.status", "repl_watchdog.history", "repl_watchdog.control",
    ]

    /// By these a statement says that a table is not there, or is not one of the agents'.
    static let absent: Set<UInt16> = [1049, 1146]
    static let otherShape: Set<UInt16> = [1054, 1136, 1364, 1356]

    static var unreadable: Set<UInt16> { absent.union(otherShape) }

    static let createMarker = [
        "CREATE DATABASE IF NOT EXISTS ongoing_rebuild",
        """
        CREATE TABLE IF NOT EXISTS ongoing_rebuild.marker (
            source VARCHAR(36) NOT NULL PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, saved VARCHAR(1000) NOT NULL
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
        """,
        // Beside the marker, whose shape other programs know.
        """
        CREATE TABLE IF NOT EXISTS ongoing_rebuild.saved (
            number TINYINT NOT NULL PRIMARY KEY, executed MEDIUMTEXT NOT NULL
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
        """,
    ]

    static let rebuildTables = [
        ("ongoing_rebuild.marker", "source, epoch, saved"), ("ongoing_rebuild.saved", "number, executed"),
    ]

    /// What the server had executed when its data was saved.
    static let readSaved = "SELECT executed FROM ongoing_rebuild.saved WHERE number = 1"
    /// When the GTID history is gone: of what comes after that, the record would say nothing.
    static let forgetSaved = "DELETE FROM ongoing_rebuild.saved"
    static func writeSaved(_ executed: GTIDSet) -> String {
        "REPLACE INTO ongoing_rebuild.saved (number, executed) VALUES (1, \(SQLText.literal(executed.description)))"
    }

    static let createHistory = [
        "CREATE DATABASE IF NOT EXISTS repl_watchdog",
        """
        CREATE TABLE IF NOT EXISTS repl_watchdog.history (
            epoch BIGINT UNSIGNED NOT NULL PRIMARY KEY,
            primary_uuid VARCHAR(36) NOT NULL,
            old_uuid VARCHAR(36) NOT NULL,
            agent VARCHAR(255) NOT NULL,
            reason TEXT NOT NULL,
            executed MEDIUMTEXT NOT NULL,
            at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
        """,
    ]

    /// What operators asked for, `pause` and `ack`, and the link of the channel that ended with the last promotion
    /// (`ChannelLink`). Replicated, so that both servers say the same.
    static let createControl = [
        "CREATE DATABASE IF NOT EXISTS repl_watchdog",
        """
        CREATE TABLE IF NOT EXISTS repl_watchdog.control (
            name VARCHAR(64) NOT NULL PRIMARY KEY,
            value VARCHAR(255) NOT NULL,
            until TIMESTAMP(6) NULL,
            at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
        """,
    ]

    /// The primary's events and whether each is on (`Executor.keepEvents`).
    static let createEvents = [
        "CREATE DATABASE IF NOT EXISTS repl_watchdog",
        """
        CREATE TABLE IF NOT EXISTS repl_watchdog.events (
            event_schema VARCHAR(64) NOT NULL, event_name VARCHAR(64) NOT NULL, status VARCHAR(64) NOT NULL,
            PRIMARY KEY (event_schema, event_name)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
        """,
    ]

    /// What the write probes write. Local to each server that was primary, never in a binary log.
    static let createPulse = [
        "CREATE DATABASE IF NOT EXISTS repl_watchdog",
        """
        CREATE TABLE IF NOT EXISTS repl_watchdog.pulse (
            agent VARCHAR(255) NOT NULL PRIMARY KEY, at TIMESTAMP(6) NOT NULL
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
        """,
    ]

    /// User-level locks take names of at most 64 characters and compare them without case.
    static func lock(_ cluster: String, _ what: String) -> String {
        let name = "wd:\(cluster):\(what)".lowercased()
        if name.utf8.count <= 64, name.allSatisfy(\.isASCII) { return name }
        return "wd:" + String(name.filter(\.isASCII).suffix(40)) + ":" + String(StableHash.of(name), radix: 16)
    }

    static func agentLock(_ cluster: String, _ agent: String) -> String { lock(cluster, "agent:\(agent)") }
    static func operationLock(_ cluster: String) -> String { lock(cluster, "operation") }
    static func scanLock(_ cluster: String) -> String { lock(cluster, "scan") }
}
