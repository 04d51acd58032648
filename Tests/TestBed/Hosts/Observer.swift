import MySQLWire
import Synchronization

/// Looks at both servers five times a second, past routers and network, for what only shows while it happens: two open
/// servers at once, and transactions on the replica that no primary has.
public final class Observer: Sendable {
    private struct Seen {
        /// The server that was the clean replica when the cluster was last whole, by uuid; nil once it was open.
        var cleanReplica: String?
        var bothOpen = Duration.zero
        var errant: [String] = []
        /// Since when the clean replica has had transactions of its own. A promotion is on record on a server a moment
        /// before that server is open: only what stays on a server that stays closed is errant.
        var suspectSince: ContinuousClock.Instant?
        var samples = 0
        /// What a fault gave the replica on purpose.
        var excused = ""
    }
    private struct Sample {
        var open: Bool
        var executed: String
    }

    private let cluster: HostCluster
    private let seen = Mutex(Seen())
    private let task = Mutex<Task<Void, Never>?>(nil)

    public init(_ cluster: HostCluster) { self.cluster = cluster }

    /// For how long both servers would have taken a client's write at once. That alone is no fault: a server that was
    /// frozen comes back as it was, and nobody's router leads there.
    public var bothOpen: Duration { seen.withLock { $0.bothOpen } }
    /// Transactions that a replica had and its primary had not.
    public var errant: [String] { seen.withLock { $0.errant } }
    public var samples: Int { seen.withLock { $0.samples } }

    /// These transactions on a replica are a fault's own doing.
    func excuse(_ gtids: String) { seen.withLock { $0.excused += ($0.excused.isEmpty ? "" : ",") + gtids } }

    /// The cluster is whole, and this is its replica.
    func noteReplica(_ server: MySQLServer) {
        seen.withLock { seen in
            seen.cleanReplica = server.savedUUID
            seen.suspectSince = nil
        }
    }

    public func start() {
        task.withLock { task in
            guard task == nil else { return }
            task = Task { await watch() }
        }
    }

    public func stop() async {
        let running = task.withLock { task in
            defer { task = nil }
            return task
        }
        running?.cancel()
        await running?.value
    }

    private func watch() async {
        var connections: [String: MySQLConnection] = [:]
        defer { for connection in connections.values { connection.abort() } }
        var last = ContinuousClock.now
        var bothOpenBefore = false
        while !Task.isCancelled {
            var samples: [String: Sample] = [:]
            for server in cluster.servers {
                samples[server.name] = await sample(server, &connections)
            }
            let now = ContinuousClock.now
            let open = cluster.servers.filter { samples[$0.name]?.open == true }
            let bothOpen = open.count == 2
            seen.withLock { seen in
                seen.samples += samples.count
                if bothOpen, bothOpenBefore { seen.bothOpen += last.duration(to: now) }
                if open.contains(where: { $0.savedUUID == seen.cleanReplica }) { seen.cleanReplica = nil }
            }
            (last, bothOpenBefore) = (now, bothOpen)
            if open.count == 1 { await lookForErrant(open[0], samples, connections) }
            await pause(.milliseconds(200))
        }
    }

    private func sample(_ server: MySQLServer, _ connections: inout [String: MySQLConnection]) async -> Sample? {
        guard server.pid != nil else { return nil }
        do throws(MySQLError) {
            let connection: MySQLConnection
            if let kept = connections[server.name], kept.isOpen {
                connection = kept
            } else {
                connection = try await MySQLConnection.connect(server.rootOptions, deadline: .after(.seconds(1)))
                connections[server.name] = connection
            }
            let answer = try await connection.query(
                "SELECT @@GLOBAL.super_read_only, @@GLOBAL.read_only, REPLACE(@@GLOBAL.gtid_executed, '\\n', '')",
                deadline: .after(.seconds(1)))
            guard let row = answer.rows.first else { return nil }
            return Sample(open: row.string(0) == "0" && row.string(1) == "0", executed: row.string(2) ?? "")
        } catch {
            connections[server.name]?.abort()
            connections[server.name] = nil
            return nil
        }
    }

    /// The replica was asked before, the primary is asked now: whatever of its own the replica has, the primary must
    /// have. (What the primary itself has begun is there earlier on a semi-synchronous replica: the primary counts it as
    /// executed when the replica has acknowledged.)
    private func lookForErrant(
        _ primary: MySQLServer, _ samples: [String: Sample], _ connections: [String: MySQLConnection]
    ) async {
        let replica = cluster.other(than: primary)
        guard let sample = samples[replica.name], let connection = connections[primary.name],
            seen.withLock({ $0.cleanReplica }) == replica.savedUUID
        else { return }
        let answer = try? await connection.query(
            """
            SELECT GTID_SUBTRACT(GTID_SUBTRACT('\(sample.executed)', @@GLOBAL.gtid_executed),
                '\(seen.withLock { $0.excused })')
            """, deadline: .after(.seconds(1)))
        let extra = (answer?.rows.first?.string(0) ?? "").split(separator: ",").filter {
            $0.hasPrefix(replica.savedUUID)
        }.joined(separator: ",")
        seen.withLock { seen in
            guard seen.cleanReplica == replica.savedUUID, !extra.isEmpty else {
                seen.suspectSince = nil
                return
            }
            let since = seen.suspectSince ?? .now
            seen.suspectSince = since
            let text = "\(replica.name) has \(extra), its primary has not"
            if since.duration(to: .now) > .seconds(3), !seen.errant.contains(text) { seen.errant.append(text) }
        }
    }
}
