import Logging
import MySQLWire

/// A session for mutating statements on the server that is not the ledger's: nothing it does reaches a binary log,
/// and nothing in it waits for ever.
struct ServerSession: Sendable {
    let server: ServerID
    let connection: MySQLConnection

    var version: ServerVersion { connection.serverVersion }
    var dialect: Dialect { Dialect(version: version) }

    static func open(_ configuration: Configuration, _ server: ServerID) async throws(MySQLError) -> ServerSession {
        let deadline = Deadline.after(.seconds(8))
        let connection = try await MySQLConnection.connect(
            configuration.connectionOptions(configuration.servers[server]), deadline: deadline)
        do {
            _ = try await connection.query(
                """
                SET SESSION wait_timeout = \(LedgerSession.waitTimeout), sql_log_bin = 0, lock_wait_timeout = 5,
                    innodb_lock_wait_timeout = 5
                """, purpose: "prepare a session", deadline: deadline)
        } catch {
            connection.abort()
            throw error
        }
        return ServerSession(server: server, connection: connection)
    }

    @discardableResult
    func run(
        _ sql: String, _ purpose: String, within limit: Duration = .seconds(8)
    ) async throws(MySQLError) -> ResultSet {
        try await connection.query(sql, purpose: purpose, deadline: .after(limit))
    }

    func close() async { await connection.close() }

    /// Takes the operation lock on this server too, and ends what an earlier operation master may still have running
    /// here. From now on the server itself keeps a frozen one from going on: its session ends after
    /// `LedgerSession.waitTimeout` seconds of silence, and with it the lock.
    func takeOver(cluster: String, logger: Logger) async throws(MySQLError) {
        let name = LedgerSchema.operationLock(cluster)
        let wait = LedgerSession.waitTimeout + 2
        let taken = try await AgentLock.take(name, wait: wait, logger: logger) { sql, what async throws(MySQLError) in
            try await run(sql, what, within: .seconds(wait + 4))
        }
        guard taken else {
            throw MySQLError(
                .timeout, phase: .reply, server: connection.address.description,
                purpose: "take the operation lock here too", message: "another operation master holds \(name)")
        }
        let left = try await run(
            """
            SELECT processlist_id AS id FROM performance_schema.session_connect_attrs
            WHERE attr_name = 'program_name' AND attr_value = \(SQLText.literal(Self.copyProgram))
            """, "look for an unfinished copy's sessions")
        for row in left.rows {
            guard let id = row.int("id") else { continue }
            do {
                try await run("KILL \(id)", "end an unfinished copy")
            } catch {
                if error.number != 1094 { throw error }
            }
        }
    }

    /// The connection attribute by which the sessions of a copy are known.
    static let copyProgram = "repl-watchdog copy"

    /// Closes the server to ordinary clients, also after a restart where the version can.
    var persistReadOnly: String {
        version.isMySQL(atLeast: 8, 0, 11) ? "SET PERSIST read_only = ON" : "SET GLOBAL read_only = ON"
    }

    /// Lets clients write again.
    func open() async throws(MySQLError) {
        try await run("SET GLOBAL super_read_only = OFF", "open the server")
        try await run("SET GLOBAL read_only = OFF", "open the server")
    }

    /// Takes back what `persistReadOnly` wrote for the time after a restart; the server stays closed until `open`.
    func forgetPersisted() async throws(MySQLError) {
        guard version.isMySQL(atLeast: 8, 0, 11) else { return }
        try await run("RESET PERSIST IF EXISTS read_only", "take back a persisted read_only")
    }

    func facts(cluster: String) async throws(MySQLError) -> ServerFacts {
        try await ServerProbe(cluster: cluster).facts(connection, deadline: .after(.seconds(8)))
    }

    /// Removes what an earlier operation has left in the ledger here; needs super_read_only to be off.
    func clearLedger() async throws(MySQLError) {
        do {
            try await run(LedgerSchema.clear, "clear a stale ledger")
        } catch {
            guard let number = error.number, LedgerSchema.absent.contains(number) else { throw error }
        }
    }

    /// Ends the sessions of everybody but the servers' own threads and the named accounts: what they had open could
    /// hold locks for ever, and through them an application would go on writing to a deposed primary.
    func endClients(except users: [String]) async throws(MySQLError) -> Int {
        // A thread of replication goes by the name of whoever started it: ended, it would leave an error behind that only
        // a rebuild mends.
        let spared = (users + ["system user", "event_scheduler"]).map(SQLText.literal).joined(separator: ", ")
        let found = try await run(
            """
            SELECT processlist_id AS id FROM performance_schema.threads
            WHERE type = 'FOREGROUND' AND processlist_id <> CONNECTION_ID()
                AND processlist_user IS NOT NULL AND processlist_user NOT IN (\(spared))
                AND name NOT LIKE 'thread/sql/replica%' AND name NOT LIKE 'thread/sql/slave%'
            """, "list the sessions of clients")
        for row in found.rows {
            guard let id = row.int("id") else { continue }
            do {
                try await run("KILL \(id)", "end a client's session")
            } catch {
                // Gone by itself; or an account above ours, whose session the server will not let us end.
                guard let number = error.number, [1094, 1095, 1227].contains(number) else { throw error }
            }
        }
        return found.rows.count
    }
}
