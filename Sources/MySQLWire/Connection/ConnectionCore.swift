import Synchronization

/// What a connection and its row stream share: the session, and the lease that lets one call at a time use it.
final class ConnectionCore: Sendable {
    private enum State {
        case idle
        case busy
        case closed
    }

    let address: ServerAddress
    private let session: Session
    private let state = Mutex(State.idle)
    private let statements = Mutex(StatementNumbers())

    init(address: ServerAddress, session: Session) {
        self.address = address
        self.session = session
    }

    deinit { quit() }

    var isOpen: Bool {
        if session.transport.channel.isClosed { return false }
        return state.withLock { state in
            if case .closed = state { false } else { true }
        }
    }

    /// Whether it is open and no call is under way.
    var isIdle: Bool {
        state.withLock { state in
            if case .idle = state { true } else { false }
        }
    }

    /// Whether it is idle and, once reset, what a fresh connection with the same options would be.
    var isReusable: Bool {
        guard isOpen, let session = try? begin() else { return false }
        defer { end() }
        return !session.isForeign
    }

    /// Takes the lease.
    func begin() throws(Failure) -> Session {
        let failure: Failure? = state.withLock { state in
            switch state {
            case .idle:
                state = .busy
                return nil
            case .busy: return .busy
            case .closed: return .closedHere
            }
        }
        if let failure { throw failure }
        return session
    }

    /// Gives the lease back after a reply was read to its end.
    func end() {
        state.withLock { state in
            if case .busy = state { state = .idle }
        }
    }

    /// Counts how often the server forgot all prepared statements.
    var statementGeneration: UInt64 { statements.withLock { $0.generation } }

    /// After a reset or a change of the user: numbers of statements mean nothing any more, or something else.
    func forgetStatements() { statements.withLock { $0.forgetAll() } }

    /// Remembers a statement that nobody uses any more, to be closed before the next one is prepared.
    func discard(statement: UInt32, generation: UInt64) {
        statements.withLock { $0.discard(statement, generation) }
    }

    /// The statements to close.
    func takeDiscarded() -> [UInt32] { statements.withLock { $0.takeDiscarded() } }

    /// Gives the connection up: nobody knows any more what its next bytes would mean.
    func abandon() {
        state.withLock { $0 = .closed }
        session.transport.close()
    }

    /// Says goodbye if no call is under way, and closes.
    func quit() {
        let wasIdle = state.withLock { state in
            defer { state = .closed }
            if case .idle = state { return true }
            return false
        }
        if wasIdle, !session.transport.channel.isClosed {
            var sequence: UInt8 = 0
            session.transport.sayGoodbye(
                PacketWriter.frame([Session.Command.quit.rawValue], [], sequence: &sequence))
        }
        session.transport.close()
    }

    /// Ends a call that failed: keeps the connection only if it stands at a command boundary.
    func finish(_ failure: Failure) {
        if failure.keepsConnection { end() } else { abandon() }
    }

    func error(_ failure: Failure, _ phase: MySQLError.Phase, _ purpose: String) -> MySQLError {
        // Only the call that held the lease sees a violation, and the connection is closed by then.
        session.located(failure).error(phase: phase, server: address.description, purpose: purpose)
    }
}

/// What is known about the numbers of prepared statements in a session.
private struct StatementNumbers {
    var generation: UInt64 = 0
    private var discarded: [UInt32] = []

    mutating func forgetAll() {
        generation += 1
        discarded = []
    }

    mutating func discard(_ statement: UInt32, _ generation: UInt64) {
        if generation == self.generation { discarded.append(statement) }
    }

    mutating func takeDiscarded() -> [UInt32] {
        defer { discarded = [] }
        return discarded
    }
}
