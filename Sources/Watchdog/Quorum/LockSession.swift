import Logging
import MySQLWire
import Synchronization

/// An agent's standing session on one server: it holds the agent's locks there and shows by its pings, many a second,
/// that the server lives. The server ends it after `QuorumRules.sessionTimeout` of silence, and the locks with it; it is
/// never reconnected, a new one begins with no locks.
actor LockSession {
    /// What is held from the beginning.
    enum Part: Sendable, Hashable {
        /// The agent's place: its name, which no other session has.
        case present
        /// The word that there are two of its name. It has no other locks.
        case double
    }

    let server: ServerID
    let part: Part
    private let connection: MySQLConnection
    private let locks: QuorumLocks
    private let agent: String
    private let logger: Logger?
    private(set) var held: Set<QuorumLocks.Kind> = []
    /// The last call: calls of a connection go one after the other.
    private var last: Task<Void, Never>?
    private let state: Mutex<State>

    private struct State {
        var pong: ContinuousClock.Instant
        var lost = false
    }

    /// Longest wait for one answer: a server that does not answer a ping for so long has lost this session.
    private static let patience = Duration.milliseconds(1_500)
    private static let rhythm = Duration.milliseconds(200)

    private init(
        server: ServerID, part: Part, connection: MySQLConnection, locks: QuorumLocks, agent: String, logger: Logger?
    ) {
        self.logger = logger
        self.server = server
        self.part = part
        self.connection = connection
        self.locks = locks
        self.agent = agent
        state = Mutex(State(pong: .now))
    }

    /// Opens the session and shows this agent's presence, or that there are two of its name.
    /// - Returns: nil if another session does that already: another agent's, or one of this one's former life, for as long
    ///   as the server keeps it.
    static func open(
        _ configuration: Configuration, _ server: ServerID, as part: Part = .present, logger: Logger? = nil,
        deadline: Deadline
    ) async throws(MySQLError) -> LockSession? {
        let connection = try await MySQLConnection.connect(
            configuration.connectionOptions(configuration.servers[server]), deadline: deadline)
        let locks = QuorumLocks(configuration)
        let agent = configuration.agent.name
        do {
            for name in part == .double ? [locks.double(agent)] : [locks.presence(agent), locks.name(.here, agent)] {
                let taken = try await AgentLock.take(name, logger: logger) { sql, what async throws(MySQLError) in
                    try await connection.query(sql, purpose: what, deadline: deadline)
                }
                guard taken else {
                    await connection.close()
                    return nil
                }
            }
            let timeout = QuorumRules(agents: [agent], own: 0).sessionTimeout / 1_000
            _ = try await connection.query(
                "SET SESSION wait_timeout = \(timeout), sql_log_bin = 0, lock_wait_timeout = 2",
                purpose: "prepare the standing session", deadline: deadline)
        } catch {
            connection.abort()
            throw error
        }
        return LockSession(
            server: server, part: part, connection: connection, locks: locks, agent: agent, logger: logger)
    }

    /// When the server last answered; nil once the session is lost.
    nonisolated var pong: ContinuousClock.Instant? { state.withLock { $0.lost ? nil : $0.pong } }

    /// Pings until the session is lost or the task is cancelled.
    func ping() async {
        while !Task.isCancelled, pong != nil {
            try? await Task.sleep(for: Self.rhythm)
            if Task.isCancelled { return }
            _ = try? await call { connection, deadline async throws(MySQLError) in
                try await connection.ping(deadline: deadline)
            }
        }
    }

    /// Takes or gives back one of this agent's locks.
    func hold(_ kind: QuorumLocks.Kind, _ wanted: Bool) async throws(MySQLError) {
        guard held.contains(kind) != wanted else { return }
        let name = locks.name(kind, agent)
        if wanted {
            let taken = try await AgentLock.take(name, logger: logger) { sql, what async throws(MySQLError) in
                try await run(sql, what, refusable: true)
            }
            if taken { held.insert(kind) }
        } else {
            let answer = try await run(
                "SELECT RELEASE_LOCK(\(SQLText.literal(name))) AS released", "give back the lock '\(kind.rawValue)'")
            if answer.rows.first?.int("released") == 1 { held.remove(kind) }
        }
    }

    @discardableResult
    /// - Parameter refusable: the server may say no, and the session goes on.
    func run(_ sql: String, _ purpose: String, refusable: Bool = false) async throws(MySQLError) -> ResultSet {
        try await call(refusable: refusable) { connection, deadline async throws(MySQLError) in
            try await connection.query(sql, purpose: purpose, deadline: deadline)
        }
    }

    nonisolated func close() {
        state.withLock { $0.lost = true }
        connection.abort()
    }

    /// One call after the other; the session is over with the first that fails.
    private func call<Value: Sendable>(
        refusable: Bool = false,
        _ body: @escaping @Sendable (MySQLConnection, Deadline) async throws(MySQLError) -> Value
    ) async throws(MySQLError) -> Value {
        let before = last
        let connection = connection
        let work = Task { () async -> Result<Value, MySQLError> in
            await before?.value
            do throws(MySQLError) {
                return .success(try await body(connection, .after(Self.patience)))
            } catch {
                return .failure(error)
            }
        }
        last = Task { _ = await work.value }
        let result = await work.value
        switch result {
        case .success:
            state.withLock { $0.pong = .now }
        case .failure(let error):
            if refusable, error.code == .server { break }
            close()
        }
        return try result.get()
    }
}
