/// Commands that are answered by OK or ERR alone.
extension MySQLConnection {
    /// COM_PING. Answered by the server's connection thread alone: storage may hang all the same.
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_ping.html
    public func ping(deadline: Deadline) async throws(MySQLError) {
        // An ERR packet here is the server's farewell: COM_PING itself cannot fail.
        _ = try await run(.ping, [], keepsConnection: false, purpose: "ping", deadline)
    }

    /// COM_INIT_DB: makes a database the session's default, as USE does.
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_init_db.html
    /// - Throws: `server` with number 1049 if there is no such database; the connection stays usable.
    public func useDatabase(_ name: String, deadline: Deadline) async throws(MySQLError) {
        _ = try await run(
            .initDatabase, Array(name.utf8), keepsConnection: true, purpose: "use database \(name)", deadline)
    }

    /// COM_RESET_CONNECTION: rolls back, drops temporary tables, locks, variables and prepared statements, and gives
    /// the session the server's defaults again, except for the character set and the sql_mode that every session of
    /// this driver has. Two round trips. Keeps the user and the default database.
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_reset_connection.html
    public func resetSession(deadline: Deadline) async throws(MySQLError) {
        _ = try await run(.resetConnection, [], keepsConnection: false, purpose: "reset the session", deadline)
        core.forgetStatements()
        // The reset takes the character set of the handshake back too: MariaDB would go on in latin1.
        try await prepareSession(deadline)
    }

    /// What `SQLText.literal` rests on: utf8mb4, and backslashes that escape. The handshake's character set is not enough:
    /// init_connect runs after the login, unseen, and may have set either to something in which a quoted text ends early.
    func prepareSession(_ deadline: Deadline) async throws(MySQLError) {
        let base = "SET NAMES utf8mb4, SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_BACKSLASH_ESCAPES', '')"
        func set(_ sql: String) async throws(MySQLError) {
            _ = try await query(sql, purpose: "set the session's character set and sql_mode", deadline: deadline)
        }
        do throws(MySQLError) {
            try await set(base + settings.map { ", SESSION \($0)" }.joined())
        } catch {
            guard error.number == Self.unknownVariable, !settings.isEmpty else { throw error }
            // Of another version: nobody can have set it on this server either. The others are set all the same.
            try await set(base)
            for setting in settings {
                do throws(MySQLError) {
                    try await set("SET SESSION \(setting)")
                } catch {
                    guard error.number == Self.unknownVariable else { throw error }
                }
            }
        }
    }

    /// ER_UNKNOWN_SYSTEM_VARIABLE.
    private static let unknownVariable: UInt16 = 1193

    /// - Parameter keepsConnection: whether the session goes on after an ERR packet.
    func run(
        _ command: Session.Command, _ argument: [UInt8], keepsConnection: Bool, purpose: String, _ deadline: Deadline
    ) async throws(MySQLError) -> OKPacket {
        let session = try begin(purpose)
        var phase = MySQLError.Phase.idle
        do throws(Failure) {
            try session.readyForCommand(deadline)
            phase = .command
            try await session.send(command, argument, deadline)
            phase = .reply
            let range = try await session.read(deadline)
            switch session.firstByte(range) {
            case 0x00:
                let ok = try OKPacket.decode(session.packet(range))
                if command == .initDatabase { session.isForeign = true }
                core.end()
                return ok
            case 0xFF:
                throw Failure(
                    try ServerError.decode(session.packet(range)),
                    keepsConnection: keepsConnection && !session.framer.sawUnsolicitedError)
            default: throw .violation("a command was answered with neither OK nor ERR")
            }
        } catch {
            core.finish(error)
            throw core.error(error, phase, purpose)
        }
    }
}

extension Session {
    /// What precedes every command. A call that is over before it began leaves the connection as it was.
    func readyForCommand(_ deadline: Deadline) throws(Failure) {
        if Task.isCancelled { throw Failure.cancelled.keepingConnection() }
        if deadline.hasPassed { throw Failure.timeout.keepingConnection() }
        try checkIdle()
    }
}
