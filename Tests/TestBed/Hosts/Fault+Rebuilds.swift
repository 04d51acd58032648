import Foundation
import MySQLWire

/// A replica that is no copy any more, and what can happen while it is made one again.
extension Fault {
    static let rebuilds: [Fault] = [
        Fault("S26", "the replica's applier stops at a conflict, the primary is well", .stays) { context in
            let before = Set(context.lists(of: context.replica).keys)
            let pid = context.primary.pid
            context.begin()
            try await context.conflict()
            try await eventually("the replica is whole again", within: .seconds(60)) {
                try await context.cluster.whole().name == context.primary.name
            }
            let lists = context.lists(of: context.replica).filter { !before.contains($0.key) }
            if lists.isEmpty { context.violation("\(context.replica.name) was rebuilt and its data not saved") }
            if context.primary.pid != pid { context.violation("\(context.primary.name) was restarted") }
        },
        Fault("S33", "the primary has purged the binary logs that its replica needs", .stays) { context in
            func rebuilds() -> Int {
                context.cluster.backends.reduce(0) {
                    $0 + $1.agentLog.components(separatedBy: " event=rebuild ").count - 1
                }
            }
            let before = rebuilds()
            context.begin()
            await context.replica.kill()
            let killed = ContinuousClock.now
            try await eventually("writes go on without the replica", within: .seconds(40)) {
                context.trial.writers.log.acknowledged(since: killed + .seconds(2)).count > 50
            }
            try await context.primary.sql("FLUSH BINARY LOGS")
            let logs = try await context.primary.sql("SHOW BINARY LOGS")
            try await context.primary.sql("PURGE BINARY LOGS TO '\(logs.last?.first ?? "")'")
            try await context.replica.start()
            try await context.cluster.settled(context.trial.writers)
            let done = rebuilds() - before
            context.note("\(done) rebuilds")
            if done != 1 { context.violation("\(done) rebuilds for one purge") }
        },
        Fault("S49", "kill -9 of the operation master while it rebuilds the replica", .stays) { context in
            try await context.heavy {
                context.begin()
                try await context.halfCopied()
                let master = try await context.masterAtWork(on: context.primary)
                await master.killAgent()
                context.note("\(master.name) killed")
                if try await !context.isHalfACopy() { throw TestBedError("the rebuild was over already") }
                let others = context.cluster.backends.filter { $0.name != master.name }
                let before = others.map(\.copies)
                try await context.cluster.settled(context.trial.writers)
                if others.map(\.copies) == before { context.violation("no other agent has made the copy") }
                try master.startAgent()
            }
        },
        Fault("S65", "kill -9 of the replica while it is rebuilt", .stays) { context in
            try await context.heavy {
                context.begin()
                try await context.halfCopied()
                await context.replica.kill()
                await context.wait(context.between(.zero, .seconds(5)))
                try await context.replica.start()
                let state = try await context.replica.ask(
                    "SELECT @@GLOBAL.read_only, COUNT(*) FROM ongoing_rebuild.marker")
                if state != [["1", "1"]] { context.violation("closed and marked after its restart: \(state)") }
                let (status, _) = try await context.anyBackend().command(["explain"])
                if status == 0, try await context.isHalfACopy() {
                    context.violation("explain ended with 0 beside a half-made copy")
                }
            }
        },
        Fault("S73", "kill -9 of the primary while the replica is rebuilt from it", .stays) { context in
            try await context.heavy {
                try await context.halfCopied()
                context.begin()
                await context.primary.kill()
                if try await !context.isHalfACopy() { throw TestBedError("the rebuild was over already") }
                let host = context.anyBackend()
                async let said = context.explained(["no   copy: ", "is a half-made copy"], on: host)
                await context.closed(context.replica, for: .seconds(9))
                if try await said == 0 { context.violation("explain ended with 0") }
                try await context.refused(["failover", "--timeout", "3s"], on: host)
                try await context.primary.start()
            }
        },
        Fault("S90", "an operator replaces the replica's data by hand, as Reasons.md has it", .stays) { context in
            let (primary, replica, host) = (context.primary, context.replica, context.anyBackend())
            context.begin()
            try await context.command(host, ["pause"])
            try await replica.sql("STOP REPLICA; RESET REPLICA ALL; SET GLOBAL super_read_only = OFF")
            try await context.command(
                host,
                [
                    "copy", primary.hostAndPort, replica.hostAndPort, "--yes", "--replace-cluster-server",
                    replica.hostAndPort,
                ])
            if try await replica.ask("SELECT @@GLOBAL.read_only") != [["1"]] {
                context.violation("the replica took writes meanwhile")
            }
            try await context.command(host, ["resume"])
            try await eventually("the replica is closed and replicates", within: .seconds(30)) {
                try await replica.ask(
                    """
                    SELECT @@GLOBAL.super_read_only, service_state
                    FROM performance_schema.replication_connection_status
                    """) == [["1", "ON"]]
            }
        },
    ]
}

extension Fault.Context {
    /// The replica stops at a row that it has already.
    func conflict() async throws {
        let row = "99, \(Int(between(.zero, .seconds(1_000_000)) / .milliseconds(1)))"
        try await untraced(replica, "INSERT INTO shop.written (writer, n, item) VALUES (\(row), 'conflict')")
        try await primary.sql("INSERT INTO shop.written (writer, n, item) VALUES (\(row), 'conflict')")
    }

    /// Does something while there is a table that takes a rebuild a while; afterwards it must be the same on both servers.
    fileprivate func heavy(_ body: () async throws -> Void) async throws {
        try await primary.sql(
            """
            CREATE TABLE shop.ballast (n INT NOT NULL PRIMARY KEY, item VARCHAR(2000) NOT NULL, KEY (item(20)));
            SET SESSION cte_max_recursion_depth = 100000;
            INSERT INTO shop.ballast WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
              SELECT n, REPEAT(SHA2(n, 512), 8) FROM number;
            """)
        try await replica.catchUp(with: primary)
        try await cluster.settled(trial.writers, hold: .milliseconds(500))
        try await body()
        try await cluster.settled(trial.writers)
        var sums: [[[String]]] = []
        for server in [primary, replica] { sums.append(try await server.sql("CHECKSUM TABLE shop.ballast")) }
        if sums[0] != sums[1] { violation("checksums differ: \(sums)") }
        try await primary.sql("DROP TABLE shop.ballast")
    }

    /// Breaks the replica, and waits until rows of the copy are on their way.
    fileprivate func halfCopied() async throws {
        try await conflict()
        try await eventually("\(replica.name) is half a copy", within: .seconds(30), every: .milliseconds(5)) {
            // The table is there again, and not yet filled.
            guard try await isHalfACopy() else { return false }
            return try await replica.ask("SELECT COUNT(*) < 15000 FROM shop.ballast") == [["1"]]
        }
        await wait(between(.zero, .milliseconds(100)))
    }

    fileprivate func isHalfACopy() async throws -> Bool {
        do {
            return try await replica.ask("SELECT COUNT(*) FROM ongoing_rebuild.marker") == [["1"]]
        } catch let error as MySQLError where error.number == 1049 || error.number == 1146 {
            return false
        }
    }

    /// Watches that a server takes no client's writes; half a copy, or one that has a ledger, is no more than `read_only`.
    func closed(_ server: MySQLServer, for duration: Duration) async {
        let end = ContinuousClock.now + duration
        while .now < end {
            let state = try? await server.ask("SELECT @@GLOBAL.read_only")
            if state == [["0"]] { return violation("\(server.name) was opened") }
            await wait(.milliseconds(100))
        }
    }
}

extension Backend {
    /// How many copies its agents have finished.
    fileprivate var copies: Int { agentLog.components(separatedBy: " copied ").count }
}
