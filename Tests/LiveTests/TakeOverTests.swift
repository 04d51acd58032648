import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// An operation whose master dies is finished by another agent.
@Suite(.serialized) struct TakeOverTests {
    @Test(arguments: ["MAST", "TARG"]) func anotherAgentFinishesAfterTheMasterDied(_ after: String) async throws {
        try await withBackends(2) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await crash(backends)
            // A third agent, which becomes operation master and dies after it has written one more signal.
            let dying = try #require(
                try await LedgerSession.open(
                    b.connectionOptions(.agent), server: .b, agent: "web9", cluster: "shop",
                    deadline: .after(.seconds(10))))
            let uuid = try await b.serverUUID()
            try await dying.scan(seen: uuid)
            #expect(try await dying.takeOperationLock())
            try await dying.master(epoch: 1, seen: uuid)
            if after == "TARG" {
                try await dying.write(.oper(.failover), epoch: 1, seen: uuid)
                try await dying.write(.targ(socket: b.hostAndPort), epoch: 1, seen: uuid)
            }
            try await backends.watching {
                try await eventually("both agents follow") {
                    backends.journal.count("signal", "signal", containing: "FOLO") == 2
                }
                // Its socket closes without a word, as it does when the process is killed.
                dying.connection.abort()
                try await eventually("a replicates from b", within: .seconds(60)) {
                    try await backends.isWhole(primary: b, replica: a)
                }
            }
            let masters = backends.journal.all.filter { $0.metadata["signal"]?.hasPrefix("MAST") == true }
            #expect(masters.count == 1 && masters[0].metadata["epoch"] == "2")
            #expect(try await backends.leads(to: b))
        }
    }

    /// The server takes the locks of an agent that says nothing for `LedgerSession.waitTimeout`.
    @Test func aFrozenMasterLosesItsLock() async throws {
        try await withServer { server in
            let options = server.connectionOptions(.agent)
            let frozen = try #require(
                try await LedgerSession.open(
                    options, server: .b, agent: "web1", cluster: "shop", deadline: .after(.seconds(10))))
            try await frozen.scan(seen: "")
            #expect(try await frozen.takeOperationLock())
            try await frozen.master(epoch: 1, seen: "")
            let watcher = try await MySQLConnection.connect(options, deadline: .after(.seconds(10)))
            func alive() async throws -> Bool {
                let facts = try await ServerProbe(cluster: "shop").facts(watcher, deadline: .after(.seconds(10)))
                return Ledger(server: .b, rows: facts.ledger ?? []).master?.alive ?? false
            }
            #expect(try await alive())
            let limit = Duration.seconds(LedgerSession.waitTimeout + 5)
            try await eventually("the frozen master counts as dead", within: limit) { try await !alive() }
            await #expect(throws: MySQLError.self) { try await frozen.run("SELECT 1", "go on after the freeze") }
            watcher.abort()
        }
    }

    /// What a follower knows to be lost is weighed before the promotion is on record, also if it came after the decision.
    @Test func aFollowerAfterTheDecisionHoldsThePromotionBack() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            await a.kill()
            func session(_ agent: String) async throws -> LedgerSession {
                try #require(
                    try await LedgerSession.open(
                        b.connectionOptions(.agent), server: .b, agent: agent, cluster: "shop",
                        deadline: .after(.seconds(10))))
            }
            let (master, follower) = (try await session("web1"), try await session("web2"))
            try await master.scan(seen: "")
            #expect(try await master.takeOperationLock())
            try await master.master(epoch: 1, seen: "")
            func newest() async throws -> UInt64 {
                try #require(UInt64(try await b.sql("SELECT MAX(id) FROM ongoing_failover.status")[0][0]))
            }
            let decided = try await newest()
            try await follower.write(.folo(host: "web2"), epoch: 1, seen: "")
            let refused = await #expect(throws: AgentError.self) {
                try await backends.carryOut(
                    .promoteWithoutSource(.b, reason: .onRecord), .routerLed, over: master, heard: decided)
            }
            #expect("\(try #require(refused))".contains("web2 has followed meanwhile"))
            #expect(try await b.sql("SHOW DATABASES LIKE 'repl_watchdog'").isEmpty)
            try await backends.carryOut(
                .promoteWithoutSource(.b, reason: .onRecord), .routerLed, over: master, heard: try await newest())
            #expect(
                try await b.sql("SELECT epoch, primary_uuid, reason FROM repl_watchdog.history") == [
                    ["1", try await b.serverUUID(), "on-record: the promotion is on record"]
                ])
            await follower.close()
            await master.close()
        }
    }

    /// A server that was deposed with a ledger on it and with commits that wait for its replica: `read_only` would wait
    /// for them, so it is fenced before that ledger goes, and those who wait are not told that their rows are there.
    @Test func theEndOfAnOperationFencesADeposedServerWhoseCommitsHang() async throws {
        try await withBackends(1, options: HostCluster.semiSyncOptions) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            func session(_ server: MySQLServer, _ id: ServerID) async throws -> LedgerSession {
                try #require(
                    try await LedgerSession.open(
                        server.connectionOptions(.agent), server: id, agent: "web1", cluster: "shop",
                        deadline: .after(.seconds(10))))
            }
            func facts(_ server: MySQLServer) async throws -> ServerFacts {
                let probe = try await MySQLConnection.connect(
                    server.connectionOptions(.agent), deadline: .after(.seconds(10)))
                defer { probe.abort() }
                return try await ServerProbe(cluster: "shop").facts(probe, deadline: .after(.seconds(10)))
            }
            let left = try await session(a, .a)
            try await left.scan(seen: "")
            await left.close()
            try await b.sql("STOP REPLICA; RESET REPLICA ALL")
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY); SET GLOBAL rpl_semi_sync_source_enabled = ON")
            let client = Task { try await a.ask("INSERT INTO shop.t VALUES (1)", within: .seconds(60)) }
            try await eventually("a commit hangs") {
                try await a.ask("SHOW STATUS LIKE 'Rpl_semi_sync_source_wait_sessions'").first?.last == "1"
            }

            let master = try await session(b, .b)
            try await master.scan(seen: "")
            #expect(try await master.takeOperationLock())
            let seen = Observation(a: .up(try await facts(a)), b: .up(try await facts(b)), router: .noAnswer(""))
            #expect(seen.facts(.a)?.ledger != nil)
            try await backends.carryOut(
                .terminate(missing: [], keepClosed: true), .quorum, over: master, seen: seen, primary: .b)
            await master.close()

            #expect(try await a.sql("SELECT COUNT(*) FROM ongoing_failover.status") == [["0"]])
            #expect(try await b.sql("SHOW DATABASES LIKE 'ongoing_failover'").isEmpty)
            #expect(try await a.sql("SELECT @@GLOBAL.super_read_only") == [["1"]])
            #expect(try await b.sql("SELECT @@GLOBAL.read_only") == [["0"]])
            await #expect(throws: (any Error).self, "the client was told that its row is there") {
                try await client.value
            }
        }
    }

    private func crash(_ backends: Backends) async throws {
        let (a, b) = (backends.cluster.a, backends.cluster.b)
        await a.kill()
        try await eventually("every router leads to b") { try await backends.leads(to: b) }
        try await a.start()
    }
}
