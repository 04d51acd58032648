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
                    backends.journal.count("signal", "event", containing: "FOLO") == 2
                }
                // Its socket closes without a word, as it does when the process is killed.
                dying.connection.abort()
                try await eventually("a replicates from b", within: .seconds(60)) {
                    try await backends.isWhole(primary: b, replica: a)
                }
            }
            let masters = backends.journal.all.filter { $0.metadata["event"]?.hasPrefix("MAST") == true }
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
                let facts = try await ServerProbe.facts(watcher, cluster: "shop", deadline: .after(.seconds(10)))
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
            let configuration = backends.configuration(0)
            let act = Act(
                configuration: configuration, router: RouterControl(configuration: configuration),
                logger: backends.journal.logger("web1"))
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
                try await act.seize(.b, reason: "test", acceptLoss: false, epoch: 1, heard: decided, ledger: master)
            }
            #expect("\(try #require(refused))".contains("web2 has followed meanwhile"))
            #expect(try await b.sql("SHOW DATABASES LIKE 'repl_watchdog'").isEmpty)
            try await act.seize(
                .b, reason: "test", acceptLoss: false, epoch: 1, heard: try await newest(), ledger: master)
            #expect(
                try await b.sql("SELECT epoch, primary_uuid, reason FROM repl_watchdog.history") == [
                    ["1", try await b.serverUUID(), "test"]
                ])
            await follower.close()
            await master.close()
        }
    }

    private func crash(_ backends: Backends) async throws {
        let (a, b) = (backends.cluster.a, backends.cluster.b)
        await a.kill()
        try await eventually("every router leads to b") { try await backends.leads(to: b) }
        try await a.start()
    }
}
