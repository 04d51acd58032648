/// A statement that does not outlive its call on the server.
extension MySQLConnection {
    /// Like `query`, but when the deadline passes or the task is cancelled while the server works, the statement is
    /// stopped there too: closing a connection does not do that. A second connection looks whether the session still
    /// runs this very statement and sends KILL QUERY.
    ///
    /// It cannot hit another statement of ours, because this connection is closed before anything is killed, and
    /// nothing is sent on it any more. The look at the statement's text before it keeps it from hitting a stranger
    /// where the second connection leads to another server or a proxy has numbers of its own.
    ///
    /// - Parameters:
    ///   - options: how to reach the same server as a user who may see and kill the session: its own, or one with
    ///     PROCESS and CONNECTION_ADMIN.
    ///   - grace: how long after the deadline or the cancellation the call may take for this.
    /// - Throws: the error of the call. Its message says whether the statement was stopped; where it does not, it may
    ///   still run, and what it changes may still be committed.
    public func query(
        _ sql: String, stoppingWith options: ConnectionOptions, grace: Duration = .seconds(1), purpose: String = "",
        deadline: Deadline
    ) async throws(MySQLError) -> ResultSet {
        do throws(MySQLError) {
            return try await query(sql, purpose: purpose, deadline: deadline)
        } catch {
            guard [.timeout, .cancelled].contains(error.code), error.phase == .reply, !isOpen else { throw error }
            let id = connectionID
            // A task of its own: the caller's may be cancelled, which must not keep this from being done.
            let verdict = await Task {
                await Self.stop(sql, of: id, with: options, deadline: .after(grace))
            }.value
            var told = error
            told.message += "; " + verdict
            throw told
        }
    }

    private static func stop(_ sql: String, of id: UInt32, with options: ConnectionOptions, deadline: Deadline) async
        -> String
    {
        do throws(MySQLError) {
            let killer = try await connect(options, deadline: deadline)
            defer { killer.abort() }
            // The server may not have come to read the statement yet: only a session that is gone will not run it.
            while true {
                let sessions = try await killer.query(
                    "SELECT COALESCE(CAST(INFO AS BINARY) = CAST(\(SQLText.literal(trimmed(sql))) AS BINARY), 0) AS runs "
                        + "FROM information_schema.processlist WHERE ID = \(id)",
                    purpose: "look for the statement", deadline: deadline)
                guard let session = sessions.rows.first else { return over }
                if session.int("runs") == 1 { break }
                try? await Task.sleep(for: .milliseconds(20))
            }
            _ = try await killer.query("KILL QUERY \(id)", purpose: "stop the statement", deadline: deadline)
            return "the statement was stopped on the server"
        } catch {
            // It ended between the look and the KILL.
            if error.number == 1094 { return over }
            return "the statement may still run on the server: \(error)"
        }
    }

    private static let over = "the server does not run the statement any more"

    /// The statement as the server shows it: without white space around it and without a semicolon behind it.
    private static func trimmed(_ sql: String) -> String {
        let space: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        let bytes = Array(sql.utf8.drop(while: space))
        let end = bytes.lastIndex { !space($0) && $0 != UInt8(ascii: ";") }
        return String(decoding: bytes[..<(end.map { $0 + 1 } ?? 0)], as: UTF8.self)
    }
}
