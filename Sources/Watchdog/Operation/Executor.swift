import Logging
import MySQLDump
import MySQLWire

/// What commands are made of: sessions, and statements that belong together.
struct Executor: Sendable {
    let configuration: Configuration
    let router: LocalRouter
    let logger: Logger

    var workingDirectory: WorkingDirectory { WorkingDirectory(path: configuration.workingDirectory) }

    func name(_ id: ServerID) -> String { "\(id) (\(configuration.servers[id]))" }

    /// Runs something that fails with `MySQLError` and says what it was for.
    @discardableResult
    func onServer<Value>(
        _ what: String, _ body: () async throws(MySQLError) -> Value
    ) async throws(AgentError) -> Value {
        do {
            return try await body()
        } catch {
            throw AgentError(.server(error), what)
        }
    }

    /// Opens a session on a server, runs the body, and closes the session whatever happens.
    func withSession<Value>(
        _ id: ServerID, _ what: String, _ body: (ServerSession) async throws(AgentError) -> Value
    ) async throws(AgentError) -> Value {
        let session = try await onServer(what) { () async throws(MySQLError) in
            try await ServerSession.open(configuration, id)
        }
        do {
            let value = try await body(session)
            await session.close()
            return value
        } catch {
            session.connection.abort()
            throw error
        }
    }

    /// Runs something long while sessions that hold locks are kept awake. When one of them is lost, so is its lock:
    /// the body is cancelled, for another agent may already be at work.
    func keeping<Value: Sendable>(
        _ connections: [MySQLConnection], _ body: @escaping @Sendable () async throws(AgentError) -> Value
    ) async throws(AgentError) -> Value {
        let outcome = await withTaskGroup(of: Result<Value, AgentError>?.self) { group in
            group.addTask {
                do throws(AgentError) { return .success(try await body()) } catch { return .failure(error) }
            }
            group.addTask { await Self.keepAwake(connections).map { .failure($0) } }
            var first: Result<Value, AgentError>?
            while let result = await group.next() {
                if first == nil, let result {
                    first = result
                    group.cancelAll()
                }
            }
            return first ?? .failure(AgentError(.timeout, "cancelled"))
        }
        return try outcome.get()
    }

    /// Pings until it is cancelled or a ping fails.
    private static func keepAwake(_ connections: [MySQLConnection]) async -> AgentError? {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(2))
            if Task.isCancelled { return nil }
            for connection in connections {
                // A task of its own: cancelling a ping that is under way would close the very session it keeps.
                let ping = Task { () async -> MySQLError? in
                    do throws(MySQLError) {
                        try await connection.ping(deadline: .after(.seconds(4)))
                        return nil
                    } catch {
                        return error
                    }
                }
                // Whoever uses it at this moment keeps it awake as well.
                if let error = await ping.value, error.code != .busy {
                    return AgentError(
                        .server(error), "a session that holds the operation lock is lost, work was stopped")
                }
            }
        }
        return nil
    }
}
