import Synchronization

/// A statement that the server has parsed, to be executed with values that never become part of its text.
///
/// Belongs to its connection and ends with it, and with `resetSession` and `changeUser`. A statement that is dropped
/// without `close` is closed before the next one is prepared.
public final class PreparedStatement: Sendable {
    public let parameterCount: Int
    private let core: ConnectionCore
    private let number: UInt32
    private let generation: UInt64
    private let isClosed = Mutex(false)

    init(core: ConnectionCore, prepared: PrepareOK, generation: UInt64) {
        self.core = core
        number = prepared.statement
        parameterCount = Int(prepared.parameters)
        self.generation = generation
    }

    deinit {
        if !isClosed.withLock({ $0 }) { core.discard(statement: number, generation: generation) }
    }

    /// Executes it and reads the whole answer, of several result sets the first.
    /// - Parameter values: one for each parameter.
    /// - Throws: `conversion` if their number is another, `limit` as `query`.
    public func execute(_ values: [SQLValue] = [], purpose: String = "", deadline: Deadline) async throws(MySQLError)
        -> TypedResultSet
    {
        let session: Session
        do throws(Failure) {
            session = try core.begin()
        } catch {
            throw core.error(error, .idle, purpose)
        }
        var phase = MySQLError.Phase.idle
        do throws(Failure) {
            if let refusal = refusal(of: values) { throw refusal.keepingConnection() }
            let request = ExecuteRequest.encode(statement: number, values)
            guard request.count < 1 << 30 else {
                throw Failure(.limit, "values of more than 1 GiB").keepingConnection()
            }
            try session.readyForCommand(deadline)
            phase = .command
            try await session.send(.execute, request, deadline)
            phase = .reply
            var reply = TypedReply(session: session)
            let result = try await reply.read(deadline)
            core.end()
            return result
        } catch {
            core.finish(error)
            throw core.error(error, phase, purpose)
        }
    }

    private func refusal(of values: [SQLValue]) -> Failure? {
        if isClosed.withLock({ $0 }) || core.statementGeneration != generation {
            return Failure(.configuration, "the prepared statement was closed, or ended with the session's state")
        }
        if values.count != parameterCount {
            return Failure(
                .conversion, "the statement has \(parameterCount) parameters, \(values.count) values were given")
        }
        return nil
    }

    /// COM_STMT_CLOSE, which the server does not answer. Where another call is under way, it is closed later.
    public func close(deadline: Deadline) async throws(MySQLError) {
        let wasClosed = isClosed.withLock { closed in
            defer { closed = true }
            return closed
        }
        if wasClosed { return }
        core.discard(statement: number, generation: generation)
        guard let session = try? core.begin() else { return }
        do throws(Failure) {
            try session.readyForCommand(deadline)
            try await session.closeStatements(core.takeDiscarded(), deadline)
            core.end()
        } catch {
            core.finish(error)
            throw core.error(error, .command, "close a prepared statement")
        }
    }
}

extension MySQLConnection {
    /// COM_STMT_PREPARE.
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
    /// - Parameter sql: one statement with `?` in the place of each value.
    public func prepare(_ sql: String, purpose: String = "", deadline: Deadline) async throws(MySQLError)
        -> PreparedStatement
    {
        let session = try begin(purpose)
        var phase = MySQLError.Phase.idle
        do throws(Failure) {
            try session.readyForCommand(deadline)
            phase = .command
            try await session.closeStatements(core.takeDiscarded(), deadline)
            try await session.send(.prepare, Array(sql.utf8), deadline)
            phase = .reply
            var machine = PrepareMachine(deprecateEOF: session.capabilities.contains(.deprecateEOF))
            while true {
                let range = try await session.read(deadline)
                switch try machine.receive(session.packet(range)) {
                case .read: continue
                case .prepared(let prepared):
                    let statement = PreparedStatement(
                        core: core, prepared: prepared, generation: core.statementGeneration)
                    core.end()
                    return statement
                case .failed(let error):
                    throw Failure(error, keepsConnection: !session.framer.sawUnsolicitedError)
                }
            }
        } catch {
            core.finish(error)
            throw core.error(error, phase, purpose)
        }
    }
}

extension Session {
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_close.html
    func closeStatements(_ numbers: [UInt32], _ deadline: Deadline) async throws(Failure) {
        for number in numbers {
            var writer = ByteWriter()
            writer.uint32(number)
            try await send(.closeStatement, writer.bytes, deadline)
        }
    }
}
