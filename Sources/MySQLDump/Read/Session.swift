import MySQLWire

/// A session with one server whose failures name what they were for. It never reconnects: a snapshot, a lock or
/// `sql_log_bin=0` dies with its connection.
struct Session: Sendable {
    let connection: MySQLConnection
    let deadline: Deadline

    var version: ServerVersion { connection.serverVersion }
    var server: String { "\(connection.address)" }

    static func open(_ options: ConnectionOptions, deadline: Deadline) async throws(DumpError) -> Session {
        do {
            let connection = try await MySQLConnection.connect(options, deadline: deadline)
            let session = Session(connection: connection, deadline: deadline)
            guard connection.serverVersion.isMySQL(atLeast: 8, 0) else {
                await connection.close()
                throw DumpError(
                    .unsupported,
                    "\(connection.address) is \(connection.serverVersion.text): dumps and copies need MySQL 8.0 or newer"
                )
            }
            return session
        } catch let error as MySQLError {
            throw DumpError(error, "cannot open a session")
        } catch {
            throw error as? DumpError ?? DumpError(.unsupported, "\(error)")
        }
    }

    @discardableResult
    func run(_ sql: String, _ purpose: String) async throws(DumpError) -> ResultSet {
        try await run(Array(sql.utf8), purpose)
    }

    @discardableResult
    func run(_ sql: [UInt8], _ purpose: String) async throws(DumpError) -> ResultSet {
        do {
            return try await connection.query(sql, purpose: purpose, deadline: deadline)
        } catch {
            throw DumpError(error, purpose)
        }
    }

    /// Runs a statement that the server may refuse; the refusal is returned, everything else thrown.
    func attempt(_ sql: String, _ purpose: String) async throws(DumpError) -> ServerError? {
        do {
            _ = try await connection.query(sql, purpose: purpose, deadline: deadline)
            return nil
        } catch {
            guard let refusal = error.serverError, connection.isOpen else { throw DumpError(error, purpose) }
            return refusal
        }
    }

    /// The first column of the first row; nil where there is no row or it is NULL.
    func value(_ sql: String, _ purpose: String) async throws(DumpError) -> String? {
        try await run(sql, purpose).rows.first?.string(0)
    }

    /// gtid_executed without the line breaks that servers print into it.
    func gtidExecuted() async throws(DumpError) -> String {
        let text = try await value("SELECT @@GLOBAL.gtid_executed", "read gtid_executed") ?? ""
        return text.filter { !$0.isWhitespace }
    }

    func close() async { await connection.close() }
}

extension DumpError {
    /// - Parameter purpose: what failed, in words.
    init(_ error: MySQLError, _ purpose: String) {
        self.init(error.code == .cancelled ? .cancelled : .server(error), purpose)
    }
}
