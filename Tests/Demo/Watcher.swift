import MySQLWire
import Synchronization
import TestBed

/// Looks at servers, routers and the agents' logs, and writes a line of the timeline whenever something has changed.
final class Watcher: Sendable {
    private let cluster: HostCluster
    private let timeline: Timeline
    private let seen = Mutex(Seen())
    private let task = Mutex<Task<Void, Never>?>(nil)

    private struct Seen {
        /// Each signal of a ledger: the server's name and the signal.
        var signals: [(server: String, text: String)] = []
        /// Those that were seen in a ledger and have not been matched with an agent's log yet.
        var unmatched: [(server: String, text: String)] = []
        /// The last state that each agent has reported.
        var states: [String: String] = [:]
    }

    init(_ cluster: HostCluster, _ timeline: Timeline) {
        self.cluster = cluster
        self.timeline = timeline
    }

    /// Whether a signal that begins so was seen in the ledger on this server.
    func saw(_ beginning: String, on server: MySQLServer) -> Bool {
        seen.withLock { $0.signals.contains { $0.server == server.name && $0.text.hasPrefix(beginning) } }
    }

    /// Waits until every agent has reported one of these states last.
    func everyAgentSees(_ states: Set<String>) async throws {
        let wanted = states.sorted().joined(separator: " or ")
        try await eventually("the agents of all hosts see the state \(wanted)", within: .seconds(30)) {
            seen.withLock { seen in
                cluster.backends.allSatisfy { seen.states[$0.name].map(states.contains) ?? false }
            }
        }
    }

    func start() {
        task.withLock { task in
            task = Task {
                await withTaskGroup(of: Void.self) { group in
                    for server in cluster.servers { group.addTask { await self.watch(server) } }
                    for backend in cluster.backends {
                        group.addTask { await self.watchRouter(of: backend) }
                        group.addTask { await self.watchLog(of: backend) }
                    }
                }
            }
        }
    }

    func stop() async {
        let running = task.withLock { task in
            defer { task = nil }
            return task
        }
        running?.cancel()
        await running?.value
    }

    private func say(_ who: String, _ what: String) { if !Task.isCancelled { timeline.say(who, what) } }

    // MARK: Servers and the ledger

    private func watch(_ server: MySQLServer) async {
        var reachable: Bool?
        var replication = ""
        var ledger = LedgerView()
        while !Task.isCancelled {
            guard let connection = await Self.connect(server) else {
                if reachable != false { say("server \(server.name)", "does not answer") }
                reachable = false
                replication = ""
                try? await Task.sleep(for: .milliseconds(100))
                continue
            }
            if reachable != true { say("server \(server.name)", "answers") }
            reachable = true
            // Until the session ends. Agents end sessions as well: whether the server answers, the next one tells.
            try? await follow(server, connection, &ledger, &replication)
            connection.abort()
        }
    }

    private static func connect(_ server: MySQLServer) async -> MySQLConnection? {
        guard server.pid != nil else { return nil }
        return try? await MySQLConnection.connect(server.rootOptions, deadline: .after(.seconds(1)))
    }

    private func follow(
        _ server: MySQLServer, _ connection: MySQLConnection, _ ledger: inout LedgerView, _ replication: inout String
    ) async throws(MySQLError) {
        var round = 0
        while !Task.isCancelled {
            let (signals, isOver) = try await ledger.look(connection)
            for signal in signals {
                seen.withLock { seen in
                    seen.signals.append((server.name, signal))
                    seen.unmatched.append((server.name, signal))
                }
                say("ledger on \(server.name)", signal)
            }
            if isOver { say("ledger on \(server.name)", "(empty: the operation is over)") }
            if round % 15 == 0 {
                let now = try await Self.replication(connection)
                if now != replication { say("server \(server.name)", now) }
                replication = now
            }
            round += 1
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    private static func replication(_ connection: MySQLConnection) async throws(MySQLError) -> String {
        let status = try await connection.query("SHOW REPLICA STATUS", deadline: .after(.seconds(1)))
        guard let row = status.rows.first else { return "replicates from nobody" }
        let receiver = row.string("Replica_IO_Running") ?? ""
        let applier = row.string("Replica_SQL_Running") ?? ""
        let error = row.string("Last_SQL_Errno") ?? "0"
        return switch (receiver, applier) {
        case ("Yes", "Yes"): "is a replica, replication runs"
        case (_, "No") where error != "0": "is a replica, its applier has stopped: error \(error)"
        case ("Connecting", _): "is a replica, cannot reach its source"
        default: "is a replica, receiver \(receiver), applier \(applier)"
        }
    }

    // MARK: Routers

    private func watchRouter(of backend: Backend) async {
        var last = ""
        while !Task.isCancelled {
            let uuid = try? await backend.serverBehindRouter()
            let server = cluster.servers.first { $0.savedUUID == uuid }
            let now = server.map { "leads to \($0.name)" } ?? "leads nowhere"
            if now != last { say("router \(backend.name)", now) }
            last = now
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: The agents' logs

    private func watchLog(of backend: Backend) async {
        var log = LogTail(backend.folder.path + "/agent.log")
        var unseen: [(server: String, text: String, since: ContinuousClock.Instant)] = []
        while !Task.isCancelled {
            for line in log.newLines() {
                switch AgentEvent(line) {
                case .remark(let text):
                    say("agent \(backend.name)", readable(text))
                case .state(let state, let why):
                    seen.withLock { $0.states[backend.name] = state }
                    say("agent \(backend.name)", readable("state \(state): \(why)"))
                case .signal(let text, let server):
                    unseen.append((server, text, .now))
                case nil:
                    break
                }
            }
            // The operation master ends the operation as soon as its work is done: its last signal may be there for a
            // few milliseconds only, less than the look at the ledger is apart.
            while let first = unseen.first, first.since.duration(to: .now) > .milliseconds(500) {
                unseen.removeFirst()
                report(first.server, first.text)
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// A signal that an agent says it has written.
    private func report(_ server: String, _ text: String) {
        let isShown = seen.withLock { seen in
            if let index = seen.unmatched.firstIndex(where: { $0 == (server, text) }) {
                seen.unmatched.remove(at: index)
                return true
            }
            seen.signals.append((server, text))
            return false
        }
        if !isShown {
            say("ledger on \(server)", "\(text)   (says the agent; gone before the next look)")
        }
    }

    /// With the names of the servers instead of their addresses, and not longer than a line or two.
    private func readable(_ text: String) -> String {
        var text = text
        for server in cluster.servers {
            text = text.replacing("\(server.name) (\(server.hostAndPort))", with: server.name)
                .replacing(server.hostAndPort, with: server.name)
        }
        return text.count > 160 ? text.prefix(157) + "..." : text
    }
}
