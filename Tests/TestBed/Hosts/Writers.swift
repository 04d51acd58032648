import MySQLWire
import Synchronization

/// Applications that write through the routers: on each host some sessions, each inserting one row after the other with
/// a deadline, and opening a new session when the old one is of no use. No row is ever sent twice.
public final class Writers: Sendable {
    public let log = WriteLog()
    private let addresses: [ServerAddress]
    private let sessionsPerHost: Int
    private let pace: Duration
    private let ended = Atomic<Bool>(false)
    private let tasks = Mutex<[Task<Void, Never>]>([])

    /// - Parameter perSecond: rows of all writers together.
    public init(_ cluster: HostCluster, perSecond: Int = 100, sessionsPerHost: Int = 2) {
        addresses = cluster.backends.map(\.router.outerAddress)
        self.sessionsPerHost = sessionsPerHost
        pace = .seconds(addresses.count * sessionsPerHost) / max(1, perSecond)
    }

    /// The host of a writer, from 1.
    public func host(of writer: Int) -> Int { (writer - 1) / sessionsPerHost + 1 }

    public func start() {
        for (index, address) in addresses.enumerated() {
            for session in 0..<sessionsPerHost {
                let writer = index * sessionsPerHost + session + 1
                tasks.withLock { $0.append(Task { await write(writer, to: address) }) }
            }
        }
    }

    /// Ends the writers; returns when none has a row under way.
    public func stop() async {
        ended.store(true, ordering: .relaxed)
        let all = tasks.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in all { await task.value }
    }

    private func write(_ writer: Int, to address: ServerAddress) async {
        var options = ConnectionOptions(
            address: address, user: TestAccount.application.user, password: Secret(TestAccount.application.password),
            database: "shop")
        options.programName = "writer"
        options.publicKeyRetrieval = .allowed
        var session: (connection: MySQLConnection, server: String)?
        var n = 0
        var next = ContinuousClock.now
        while !ended.load(ordering: .relaxed) {
            if next > .now { await pause(ContinuousClock.now.duration(to: next)) }
            // What was missed is not made up for.
            next = max(next.advanced(by: pace), .now)
            guard let open = session else {
                session = await connect(options)
                if session == nil { await pause(.milliseconds(20)) }
                next = .now
                continue
            }
            n += 1
            let sent = ContinuousClock.now
            var outcome = Write.Outcome.acknowledged
            do throws(MySQLError) {
                _ = try await open.connection.query(
                    "INSERT INTO written (writer, n, item) VALUES (\(writer), \(n), 'row \(n) of writer \(writer)')",
                    purpose: "insert a row", deadline: .after(.seconds(2)))
            } catch {
                outcome = Self.outcome(error)
                open.connection.abort()
                session = nil
            }
            log.add(
                Write(
                    row: RowID(writer: writer, n: n), server: open.server, sent: sent, answered: .now, outcome: outcome)
            )
        }
        await session?.connection.close()
    }

    /// An ERR packet says that the row was not written, unless the server broke the statement off.
    private static func outcome(_ error: MySQLError) -> Write.Outcome {
        let brokenOff: Set<UInt16> = [1053, 1317, 3024, 3100]
        guard error.code == .server, let number = error.number, !brokenOff.contains(number) else { return .unknown }
        return .refused(number)
    }

    private func connect(_ options: ConnectionOptions) async -> (MySQLConnection, String)? {
        do throws(MySQLError) {
            let connection = try await MySQLConnection.connect(options, deadline: .after(.seconds(1)))
            let answer = try await connection.query("SELECT @@server_uuid", deadline: .after(.seconds(1)))
            guard let uuid = answer.rows.first?.string(0) else {
                connection.abort()
                return nil
            }
            return (connection, uuid)
        } catch {
            return nil
        }
    }
}
