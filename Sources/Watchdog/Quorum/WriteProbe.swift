import MySQLWire
import Synchronization

/// Whether the primary still takes writes: one row of this agent's own, every two seconds, without a trace in the binary
/// log; and whether others' commits hang, which a full disk under the binary log does to them alone. A disk that hangs
/// lets reads through for hours. A global read lock hangs writes as well: what follows from it is the operator's choice
/// (`safety.stalled_after`).
final class WriteProbe: Sendable {
    private let configuration: Configuration
    private let state = Mutex(State())

    private struct State {
        var server: ServerID?
        var since: ContinuousClock.Instant?
    }

    private static let rhythm = Duration.seconds(2)
    private static let patience = Duration.seconds(4)

    init(_ configuration: Configuration) { self.configuration = configuration }

    /// The open primary, or nil while there is none.
    func aim(at server: ServerID?) {
        state.withLock {
            guard $0.server != server else { return }
            $0 = State(server: server)
        }
    }

    /// Where writes hang, and since when; nil while they do not.
    var hanging: (server: ServerID, since: ContinuousClock.Instant)? {
        state.withLock { state in
            guard let server = state.server, let since = state.since else { return nil }
            return (server, since)
        }
    }

    func watch() async {
        var connection: (server: ServerID, MySQLConnection)?
        var stuck = StuckCommits()
        var looked = false
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.rhythm)
            guard let server = state.withLock({ $0.server }) else { continue }
            if let open = connection, open.server != server || !open.1.isOpen {
                open.1.abort()
                connection = nil
            }
            let began = ContinuousClock.now
            do {
                let session: MySQLConnection
                if let open = connection {
                    session = open.1
                } else {
                    session = try await open(server)
                    connection = (server, session)
                    (stuck, looked) = (StuckCommits(), false)
                }
                try await write(session)
                // Every second round will do for a healthy server; a wait that was seen is looked at again at once.
                if looked, stuck.waits.isEmpty {
                    looked = false
                    note(server, nil)
                    continue
                }
                let now = try await StuckCommits.find(session, deadline: .after(Self.patience))
                note(server, now.hang(since: stuck) ? began : nil)
                (stuck, looked) = (now, true)
            } catch {
                // Only a statement that was sent and not answered says that writes hang.
                let hung = error.code == .timeout && (error.phase == .command || error.phase == .reply)
                note(server, hung ? began : nil)
                connection?.1.abort()
                connection = nil
            }
        }
        connection?.1.abort()
    }

    private func note(_ server: ServerID, _ since: ContinuousClock.Instant?) {
        state.withLock {
            guard $0.server == server else { return }
            $0.since = since == nil ? nil : $0.since ?? since
        }
    }

    private func open(_ server: ServerID) async throws(MySQLError) -> MySQLConnection {
        let deadline = Deadline.after(Self.patience)
        let session = try await MySQLConnection.connect(
            configuration.connectionOptions(configuration.servers[server]), deadline: deadline)
        _ = try await session.query(
            "SET SESSION sql_log_bin = 0, lock_wait_timeout = 60, wait_timeout = 20",
            purpose: "prepare the write probe", deadline: deadline)
        return session
    }

    private func write(_ session: MySQLConnection) async throws(MySQLError) {
        let sql = """
            REPLACE INTO repl_watchdog.pulse (agent, at)
            VALUES (\(SQLText.literal(configuration.agent.name)), CURRENT_TIMESTAMP(6))
            """
        do {
            _ = try await session.query(sql, purpose: "see that writes go through", deadline: .after(Self.patience))
        } catch {
            guard let number = error.number, [1049, 1146].contains(number) else { throw error }
            for statement in LedgerSchema.createPulse {
                _ = try await session.query(
                    statement, purpose: "prepare the write probe", deadline: .after(Self.patience))
            }
        }
    }
}
