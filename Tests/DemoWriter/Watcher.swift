import Glibc
import MySQLWire
import Synchronization

/// Looks at servers, routers and the agents' logs, and writes a line with the time whenever something has changed.
final class Watcher: Sendable {
    private let begin: Int
    /// The timeline is written to standard output and to this file.
    private let copy: LineFile
    private let servers: [(name: String, address: ServerAddress)]
    private let routers: [(name: String, address: ServerAddress)]
    private let logs: [(name: String, path: String)]
    /// server_uuid to the server's name.
    private let names = Mutex<[String: String]>([:])
    /// `SERVER SIGNAL` for each that was seen in a ledger and has not been matched with an agent's log yet.
    private let signals = Mutex<[String]>([])

    init(_ arguments: inout Arguments) throws {
        begin = try arguments.number("--begin")
        copy = try LineFile(arguments.text("--copy"))
        func addresses(_ option: String) throws -> [(name: String, address: ServerAddress)] {
            try arguments.named(option).map { pair in
                guard let address = ServerAddress(pair.value) else { throw UsageError("\(pair.value) is no address") }
                return (pair.name, address)
            }
        }
        servers = try addresses("--server")
        routers = try addresses("--router")
        logs = try arguments.named("--log").map { ($0.name, $0.value) }
    }

    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { await self.watchServer(server.name, server.address) } }
            for router in routers { group.addTask { await self.watchRouter(router.name, router.address) } }
            for log in logs { group.addTask { await self.watchLog(log.name, log.path) } }
        }
    }

    // MARK: Servers and the ledger

    private func watchServer(_ name: String, _ address: ServerAddress) async {
        let options = ConnectionOptions(address: address, user: "watchdog", password: Secret("watchdog-secret"))
        var reachable: Bool?
        var replication = ""
        var ledger = LedgerView()
        while !mustEnd {
            do throws(MySQLError) {
                let connection = try await MySQLConnection.connect(options, deadline: .after(.seconds(1)))
                defer { connection.abort() }
                let facts = try await connection.query("SELECT @@server_uuid", deadline: .after(.seconds(1)))
                if let uuid = facts.rows.first?.string(0) { names.withLock { $0[uuid] = name } }
                if reachable != true { say("server \(name)", "answers") }
                reachable = true
                var round = 0
                while !mustEnd {
                    try await ledger.look(connection) { event, isSignal in
                        if isSignal { self.signals.withLock { $0.append("\(name) \(event)") } }
                        self.say("ledger on \(name)", event)
                    }
                    if round % 15 == 0 { try await lookAtReplication(connection, name, &replication) }
                    round += 1
                    try? await Task.sleep(for: .milliseconds(10))
                }
            } catch {
                if reachable != false, !mustEnd { say("server \(name)", "does not answer") }
                reachable = false
                replication = ""
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func lookAtReplication(
        _ connection: MySQLConnection, _ name: String, _ last: inout String
    ) async throws(MySQLError) {
        let status = try await connection.query("SHOW REPLICA STATUS", deadline: .after(.seconds(2)))
        var now = "replicates from nobody"
        if let row = status.rows.first {
            let receiver = row.string("Replica_IO_Running") ?? ""
            let applier = row.string("Replica_SQL_Running") ?? ""
            let error = row.string("Last_SQL_Errno") ?? "0"
            switch (receiver, applier) {
            case ("Yes", "Yes"): now = "is a replica, replication runs"
            case (_, "No") where error != "0": now = "is a replica, its applier has stopped: error \(error)"
            case ("Connecting", _): now = "is a replica, cannot reach its source"
            default: now = "is a replica, receiver \(receiver), applier \(applier)"
            }
        }
        if now != last { say("server \(name)", now) }
        last = now
    }

    // MARK: Routers

    private func watchRouter(_ name: String, _ address: ServerAddress) async {
        let options = ConnectionOptions(address: address, user: "app", password: Secret("app-secret"))
        var last = ""
        while !mustEnd {
            var now = "leads nowhere"
            do throws(MySQLError) {
                let connection = try await MySQLConnection.connect(options, deadline: .after(.milliseconds(1500)))
                defer { connection.abort() }
                let answer = try await connection.query("SELECT @@server_uuid", deadline: .after(.seconds(1)))
                let uuid = answer.rows.first?.string(0) ?? ""
                guard let server = names.withLock({ $0[uuid] }) else { continue }
                now = "leads to \(server)"
            } catch {}
            if now != last, !mustEnd { say("router \(name)", now) }
            last = now
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: The agents' logs

    private func watchLog(_ name: String, _ path: String) async {
        var log = LogTail(path)
        var unseen: [(signal: String, server: String, since: ContinuousClock.Instant)] = []
        while !mustEnd {
            for line in log.newLines() {
                switch AgentEvent(line) {
                case .remark(let text): say("agent \(name)", readable(text))
                case .signal(let text, let server): unseen.append((text, server.uppercased(), .now))
                case nil: break
                }
            }
            // The operation master drops the ledger as soon as its work is done: its last signal may be there for a
            // few milliseconds only, less than the look at the ledger is apart.
            while let first = unseen.first, first.since.duration(to: .now) > .milliseconds(500) {
                unseen.removeFirst()
                let shown = signals.withLock { signals in
                    guard let index = signals.firstIndex(of: "\(first.server) \(first.signal)") else { return false }
                    signals.remove(at: index)
                    return true
                }
                if !shown {
                    say("ledger on \(first.server)", "\(first.signal)   (says the agent; gone before the next look)")
                }
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// With the names of the servers instead of their addresses, and not longer than a line or two.
    private func readable(_ text: String) -> String {
        var text = text.replacing("127.0.0.1:", with: "")
        for server in servers {
            guard case .tcp(_, let port) = server.address else { continue }
            text = text.replacing("\(server.name.lowercased()) (\(port))", with: server.name)
                .replacing("\(port)", with: server.name)
        }
        return text.count > 160 ? text.prefix(157) + "..." : text
    }

    private func say(_ who: String, _ what: String) {
        let tenths = max(0, wallClockMilliseconds() - begin + 50) / 100
        let time = "\(tenths / 10).\(tenths % 10)"
        let line =
            String(repeating: " ", count: max(0, 6 - time.count)) + time + " s  "
            + who + String(repeating: " ", count: max(1, 13 - who.count)) + what
        try? copy.append(line)
        let bytes = Array((line + "\n").utf8)
        _ = write(1, bytes, bytes.count)
    }
}

/// What was seen of `ongoing_failover.status` on one server.
private struct LedgerView {
    private var last: Int64 = 0
    private var present = false

    mutating func look(_ connection: MySQLConnection, say: (String, Bool) -> Void) async throws(MySQLError) {
        do {
            let answer = try await connection.query(
                "SELECT id, event FROM ongoing_failover.status WHERE id > \(last) ORDER BY id",
                deadline: .after(.seconds(2)))
            present = true
            for row in answer.rows {
                last = row.int("id") ?? last
                say(row.string("event") ?? "", true)
            }
        } catch {
            // No such database, no such table.
            guard error.number == 1049 || error.number == 1146 else { throw error }
            if present, last > 0 { say("(dropped: the operation is over)", false) }
            present = false
            last = 0
        }
    }
}
