import Logging
import MySQLWire

/// The session by which an agent takes part in an operation. It holds the agent's lock, which makes its rows count as
/// alive, and the operation lock if the agent leads. Every mutating statement on the server that is or will be the
/// primary goes over it. It is never reconnected: when it ends, so does the agent's part, and the server itself has
/// already given the locks to the next one.
final class LedgerSession: Sendable {
    let server: ServerID
    let agent: String
    let cluster: String
    /// The ledger's table stays when an operation ends: no rows mean no operation.
    let keepsTables: Bool
    let connection: MySQLConnection
    private let logger: Logger?
    /// How long the server keeps a silent session: after that a frozen agent has lost its locks.
    static let waitTimeout = 10

    var id: UInt64 { UInt64(connection.connectionID) }
    var isOpen: Bool { connection.isOpen }
    var version: ServerVersion { connection.serverVersion }
    private var patience: Deadline { .after(.seconds(8)) }

    private init(
        server: ServerID, agent: String, cluster: String, keepsTables: Bool, connection: MySQLConnection,
        logger: Logger?
    ) {
        self.server = server
        self.agent = agent
        self.cluster = cluster
        self.keepsTables = keepsTables
        self.connection = connection
        self.logger = logger
    }

    /// Opens the session and takes the agent's lock.
    /// - Returns: nil if another agent of this name holds it.
    static func open(
        _ options: ConnectionOptions, server: ServerID, agent: String, cluster: String, keepsTables: Bool = false,
        logger: Logger? = nil, deadline: Deadline
    ) async throws(MySQLError) -> LedgerSession? {
        let connection = try await MySQLConnection.connect(options, deadline: deadline)
        let session = LedgerSession(
            server: server, agent: agent, cluster: cluster, keepsTables: keepsTables, connection: connection,
            logger: logger)
        do {
            try await session.run(
                """
                SET SESSION wait_timeout = \(waitTimeout), lock_wait_timeout = 5, innodb_lock_wait_timeout = 5,
                    sql_log_bin = 0
                """, "prepare the ledger session")
            guard try await session.lock(LedgerSchema.agentLock(cluster, agent), wait: 0) else {
                await connection.close()
                return nil
            }
            return session
        } catch {
            connection.abort()
            throw error
        }
    }

    @discardableResult
    func run(_ sql: String, _ purpose: String, deadline: Deadline? = nil) async throws(MySQLError) -> ResultSet {
        try await connection.query(sql, purpose: purpose, deadline: deadline ?? patience)
    }

    /// Closing gives every lock back.
    func close() async { await connection.close() }

    // MARK: Locks

    private func lock(_ name: String, wait seconds: Int) async throws(MySQLError) -> Bool {
        try await AgentLock.take(name, wait: seconds, logger: logger) { sql, what async throws(MySQLError) in
            try await run(sql, what)
        }
    }

    func takeOperationLock() async throws(MySQLError) -> Bool {
        if try await holdsOperationLock() { return true }
        return try await lock(LedgerSchema.operationLock(cluster), wait: 0)
    }

    func holdsOperationLock() async throws(MySQLError) -> Bool {
        try await run(
            "SELECT IS_USED_LOCK(\(SQLText.literal(LedgerSchema.operationLock(cluster)))) = CONNECTION_ID() AS held",
            "see that the operation lock is held"
        ).rows.first?.int("held") == 1
    }

    func giveBackOperationLock() async throws(MySQLError) {
        try await run(
            "SELECT RELEASE_LOCK(\(SQLText.literal(LedgerSchema.operationLock(cluster))))",
            "give the operation lock back")
    }

    /// Sees to it that `repl_watchdog` has its tables. To make them once more would wait for whoever holds the server for
    /// a backup, although it changes nothing.
    func prepareRecord() async throws(MySQLError) {
        let tables = [
            (LedgerSchema.createHistory, "history", "epoch, primary_uuid, old_uuid, agent, reason, executed, at"),
            (LedgerSchema.createControl, "control", "name, value, until, at"),
        ]
        for (creation, name, columns) in tables {
            let isUsable = try await OwnTable.isUsable(
                "repl_watchdog.\(name)", columns: columns, connection: connection
            ) { sql, what async throws(MySQLError) in try await run(sql, what) }
            if isUsable { continue }
            for statement in creation { try await run(statement, "make the record of promotions") }
        }
    }

    // MARK: Signals

    /// One announces itself at a time, so that the order of ids is the order in which rows become visible: otherwise two
    /// agents could each see itself first.
    func takeScanLock() async throws(MySQLError) {
        let name = LedgerSchema.scanLock(cluster)
        guard try await lock(name, wait: 5) else {
            throw MySQLError(
                .timeout, phase: .reply, server: connection.address.description, purpose: "announce this agent",
                message: "another agent holds \(name) for more than 5 s")
        }
    }

    /// Makes the ledger if need be, announces this agent, and gives the scan lock back.
    func announce(_ entry: LedgerEntry) async throws(MySQLError) {
        try await writeOrCreate(entry)
        try await run(
            "SELECT RELEASE_LOCK(\(SQLText.literal(LedgerSchema.scanLock(cluster))))", "give the scan lock back")
    }

    /// A table that is kept is written to as it is. Where there is none yet it is made, as for router-led mode,
    /// and one that is not the agents' own is put aside before.
    private func writeOrCreate(_ entry: LedgerEntry) async throws(MySQLError) {
        if keepsTables {
            do throws(MySQLError) {
                return try await write(entry)
            } catch {
                guard let number = error.number else { throw error }
                if LedgerSchema.otherShape.contains(number) {
                    try await OwnTable.putAside("ongoing_failover.status", connection) {
                        sql, what async throws(MySQLError) in try await run(sql, what)
                    }
                } else if !LedgerSchema.absent.contains(number) {
                    throw error
                }
            }
        }
        for statement in LedgerSchema.create { try await run(statement, "make the ledger") }
        try await write(entry)
    }

    /// - Parameter master: the row is MAST: the unique key on the epoch refuses a second one.
    func write(_ entry: LedgerEntry, master: Bool = false) async throws(MySQLError) {
        let (signal, epoch, witness) = (entry.signal, entry.epoch, entry.witness)
        let condition = keepsTables ? Self.condition(signal, epoch) : nil
        let written = try await run(
            """
            INSERT INTO ongoing_failover.status (event, agent, epoch, seen, session, agent_lock, master_epoch, at,
                witnessed, sync)
            SELECT \(SQLText.literal(signal.description)), \(SQLText.literal(agent)), \(epoch),
                \(SQLText.literal(entry.routed)), CONNECTION_ID(),
                \(SQLText.literal(LedgerSchema.agentLock(cluster, agent))), \(master ? "\(epoch)" : "NULL"), UTC_TIMESTAMP(6),
                \(SQLText.literal(witness.executed.description)), \(witness.sync ? 1 : 0)
            \(condition.map { "FROM DUAL WHERE EXISTS (\($0))" } ?? "")
            """, "write \(signal)")
        guard condition == nil || written.affectedRows == 1 else {
            throw MySQLError(
                .closed, phase: .reply, server: connection.address.description, purpose: "write \(signal)",
                message: "the operation is over")
        }
    }

    /// What must stand in a ledger that is kept for a row to belong to the operation that it was decided for: a table
    /// that is dropped at the end refuses late rows by itself.
    private static func condition(_ signal: Signal, _ epoch: UInt64) -> String? {
        switch signal {
        case .scan: nil
        case .mast: "SELECT 1 FROM ongoing_failover.status WHERE session = CONNECTION_ID()"
        default: "SELECT 1 FROM ongoing_failover.status WHERE master_epoch = \(epoch)"
        }
    }

    /// A server that is super_read_only takes not even the ledger. read_only keeps ordinary clients out all the same.
    /// - Returns: whether it was switched off.
    func allowWriting() async throws(MySQLError) -> Bool {
        let state = try await run(
            "SELECT @@global.super_read_only AS super_read_only", "see whether the ledger can be written")
        guard state.rows.first?.int("super_read_only") == 1 else { return false }
        try await run("SET GLOBAL super_read_only = OFF", "let the ledger be written (read_only stays ON)")
        return true
    }

    /// Puts super_read_only back where nothing came of the announcement. It belongs to the operation as soon as any row
    /// stands in the ledger; while the scan lock is held none can be added.
    func forbidWriting() async {
        for condition in ["NOT EXISTS (SELECT 1 FROM ongoing_failover.status)", "1"] {
            do {
                try await run(
                    """
                    SET GLOBAL super_read_only =
                        IF(@@global.read_only AND \(condition), 1, @@global.super_read_only)
                    """, "close the server again")
                return
            } catch {
                guard let number = error.number, LedgerSchema.absent.contains(number) else { return }
            }
        }
    }

    /// Ends the operation: no row, or in router-led mode no ledger, is left.
    func dropLedger() async throws(MySQLError) {
        guard keepsTables else {
            try await run(LedgerSchema.drop, "drop the ledger")
            return
        }
        do {
            try await run(LedgerSchema.clear, "clear the ledger")
        } catch {
            guard let number = error.number, LedgerSchema.absent.contains(number) else { throw error }
        }
    }
}
