import Synchronization

/// Some connections to one server, lent one at a time. Connections are opened when they are needed and looked at
/// before they are lent again; nothing runs in the background, and nothing is sent twice.
public final class MySQLPool: Sendable {
    public struct Limits: Sendable {
        /// Most connections at once, at least 1.
        public var connections = 8
        /// Most calls that wait for one; one more fails at once with `limit`.
        public var waiting = 1024
        /// Longest that the look at an idle connection may take, before it is given up for a new one.
        public var healthCheck = Duration.seconds(1)

        public init() {}
    }

    public let options: ConnectionOptions
    private let limits: Limits

    private struct State: ~Copyable {
        var pool: PoolState<MySQLConnection>
        /// Where those who wait sleep; a signal that comes before the sleep is kept.
        var slots: [UInt64: WaitSlot] = [:]
    }
    private let state: Mutex<State>

    public init(_ options: ConnectionOptions, limits: Limits = Limits()) {
        self.options = options
        self.limits = limits
        state = Mutex(
            State(pool: PoolState(capacity: max(1, limits.connections), maximumWaiting: max(0, limits.waiting))))
    }

    deinit { close() }

    /// Lends a connection to `body`, in the state of a fresh session: what an earlier user left behind in it was
    /// reset. Takes it back when `body` ends, unless it was closed, is in the middle of a reply, or has been given another
    /// user or default database, which no reset undoes.
    /// - Parameter deadline: for getting the connection; what `body` does has its own.
    /// - Throws: `timeout` if none came free, `limit` if too many wait, `closed` after `close`, and what opening a
    ///   connection throws.
    public func withConnection<Value>(
        deadline: Deadline, _ body: (MySQLConnection) async throws -> Value
    ) async throws -> Value {
        let connection = try await checkOut(deadline)
        do {
            let value = try await body(connection)
            checkIn(connection)
            return value
        } catch {
            checkIn(connection)
            throw error
        }
    }

    /// Closes all connections: idle ones now, those that are lent when they come back.
    public func close() { run { $0.close() } }

    /// Connections that are lent or being opened, and calls that wait for one.
    public var load: (inUse: Int, idle: Int, waiting: Int) {
        state.withLock { ($0.pool.inUse, $0.pool.idle.count, $0.pool.waiting) }
    }

    private func checkOut(_ deadline: Deadline) async throws(MySQLError) -> MySQLConnection {
        if Task.isCancelled { throw error(.cancelled) }
        if deadline.hasPassed { throw error(.timeout) }
        let reactor: Reactor
        do throws(Failure) {
            reactor = try Reactor.shared.get()
        } catch {
            throw self.error(error)
        }
        let slot = WaitSlot(reactor: reactor)
        // The slot is known before anybody can be told to wake it.
        let answer = state.withLock { state in
            let answer = state.pool.request()
            if case .wait(let ticket) = answer { state.slots[ticket] = slot }
            return answer
        }
        switch answer {
        case .use(let connection): return try await renewed(connection, deadline)
        case .open: return try await open(deadline)
        case .tooManyWait: throw error(Failure(.limit, "\(limits.waiting) calls wait for a connection already"))
        case .closed: throw error(.closedHere)
        case .wait(let ticket):
            let outcome = await slot.wait(for: .readable, until: deadline)
            let grant = state.withLock { state in
                state.slots[ticket] = nil
                return outcome == .ready ? state.pool.take(ticket) : nil
            }
            switch grant {
            case .use(let connection): return try await renewed(connection, deadline)
            case .open: return try await open(deadline)
            case .closed: throw error(.closedHere)
            case nil:
                run { $0.giveUp(ticket) }
                throw error(outcome == .cancelled ? .cancelled : Failure(.timeout, "no connection came free"))
            }
        }
    }

    /// The connection as a fresh session, or another one in its place.
    private func renewed(_ connection: MySQLConnection, _ deadline: Deadline) async throws(MySQLError)
        -> MySQLConnection
    {
        if connection.isOpen {
            do throws(MySQLError) {
                try await connection.resetSession(deadline: min(deadline, .after(limits.healthCheck)))
                return connection
            } catch {
                connection.abort()
            }
        }
        return try await open(deadline)
    }

    private func open(_ deadline: Deadline) async throws(MySQLError) -> MySQLConnection {
        do throws(MySQLError) {
            return try await MySQLConnection.connect(options, deadline: deadline)
        } catch {
            run { $0.giveBack(nil) }
            throw error
        }
    }

    private func checkIn(_ connection: MySQLConnection) {
        let isReusable = connection.core.isReusable
        if !isReusable { connection.abort() }
        run { $0.giveBack(isReusable ? connection : nil) }
    }

    private func run(_ step: (inout PoolState<MySQLConnection>) -> [PoolState<MySQLConnection>.Effect]) {
        let (closing, waking): ([MySQLConnection], [WaitSlot]) = state.withLock { state in
            var closing: [MySQLConnection] = []
            var waking: [WaitSlot] = []
            for effect in step(&state.pool) {
                switch effect {
                case .close(let connection): closing.append(connection)
                case .wake(let ticket): if let slot = state.slots[ticket] { waking.append(slot) }
                }
            }
            return (closing, waking)
        }
        for slot in waking { slot.signal(.readable) }
        for connection in closing { connection.core.quit() }
    }

    private func error(_ failure: Failure) -> MySQLError {
        failure.error(phase: .idle, server: options.address.description, purpose: "get a connection from the pool")
    }
}
