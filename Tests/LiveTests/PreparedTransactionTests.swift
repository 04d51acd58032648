import Foundation
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// XA transactions between XA PREPARE and their end, on real servers.
@Suite(.serialized) struct PreparedTransactionTests {
    private static let limit = Duration.seconds(30)

    private func prepare(_ xid: String, _ row: Int) -> String {
        "XA START \(xid); INSERT INTO shop.t VALUES (\(row)); XA END \(xid); XA PREPARE \(xid)"
    }

    /// DROP waits for the locks of what is prepared, whoever owns it: it is listed with what is saved, and ended before.
    @Test(arguments: [false, true]) func aRebuildListsAndRollsBackWhatIsPrepared(_ isOwned: Bool) async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await b.catchUp(with: a)
            try await b.sql("STOP REPLICA")
            var client: MySQLConnection?
            if isOwned {
                try await b.sql("SET GLOBAL xa_detach_on_prepare = OFF")
                let owner = try await MySQLConnection.connect(
                    b.connectionOptions(.application), deadline: .after(Self.limit))
                for statement in prepare("X'00C3','b1',7", 1).split(separator: ";") {
                    _ = try await owner.query(String(statement), deadline: .after(Self.limit))
                }
                client = owner
            } else {
                try await b.sql(prepare("X'00C3','b1',7", 1))
            }
            let master = try await backends.operationMaster(on: a)
            let step = Step.rebuild(.b, from: .a, why: .errant(GTIDSet(), primary: .a))
            try await backends.carryOut(step, .quorum, over: master)
            await master.close()
            client?.abort()
            #expect(try await b.gtidExecuted() == a.gtidExecuted())
            #expect(try await b.sql("XA RECOVER").isEmpty)
            #expect(try await b.sql("SELECT COUNT(*) FROM shop.t") == [["0"]])
            let saved = try #require(backends.journal.all.first { $0.message == "saved" })
            let list = try String(contentsOfFile: #require(saved.metadata["file"]) + ".txt", encoding: .utf8)
            #expect(list.contains("rolled back before the data goes: X'00C3','b1',7\n"), "\(list)")
            let told = try #require(backends.journal.all.first { $0.metadata["event"] == "prepared-rolled-back" })
            #expect(told.metadata["xids"] == "X'00C3','b1',7")
        }
    }

    /// No copy can hold its rows, and the copy itself would refuse only once the replica is marked.
    @Test func aReplicaIsLeftAsItIsWhileOneStaysPreparedOnItsSource() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await b.catchUp(with: a)
            try await b.sql("STOP REPLICA; INSERT INTO shop.t VALUES (7)")
            try await a.sql(prepare("'forgotten'", 1))
            let master = try await backends.operationMaster(on: a)
            let step = Step.rebuild(.b, from: .a, why: .errant(GTIDSet(), primary: .a))
            let error = await #expect(throws: AgentError.self) {
                try await backends.carryOut(step, .quorum, over: master)
            }
            let text = error.map { "\($0)" } ?? ""
            #expect(text.contains("'forgotten','',1") && text.contains("nothing was touched"), "\(text)")
            #expect(try await b.sql("SELECT id FROM shop.t") == [["7"]])
            #expect(try await b.sql("SHOW DATABASES LIKE 'ongoing_rebuild'").isEmpty)
            await master.close()
            // One that ends meanwhile is waited for.
            let next = try await backends.operationMaster(on: a)
            let rebuild = Task { try await backends.carryOut(step, .quorum, over: next) }
            try await eventually("the agent looks what is prepared") {
                try await a.sql(
                    """
                    SELECT COUNT(*) FROM performance_schema.events_statements_current
                    WHERE SQL_TEXT LIKE 'XA RECOVER CONVERT%'
                    """) != [["0"]]
            }
            try await a.sql("XA COMMIT 'forgotten'")
            try await rebuild.value
            await next.close()
            try await b.catchUp(with: a)
            #expect(try await b.sql("SELECT id FROM shop.t") == [["1"]])
        }
    }

    /// The replica has it by replication, and keeps its locks as a primary.
    @Test(.timeLimit(.minutes(5))) func whatIsPreparedOnANewPrimaryIsNamedUntilItIsEnded() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await a.sql(prepare("'order-4711','b',9", 1))
            try await b.catchUp(with: a)
            try await backends.watching {
                try await eventually("the agent sees ok") {
                    backends.journal.count("state", "state", containing: "ok") == 1
                }
                await a.kill()
                try await eventually("the router leads to b") { try await backends.leads(to: b) }
                try await a.start()
                try await eventually("a replicates from b", within: .seconds(60)) {
                    try await backends.isWhole(primary: b, replica: a)
                }
                try await eventually("the log names it") {
                    backends.journal.all.contains {
                        $0.metadata["event"] == "prepared-transactions" && $0.metadata["xids"] == "'order-4711','b',9"
                    }
                }
                var status = await backends.agent(0).status()
                try await eventually("status names it", within: .seconds(100), every: .seconds(1)) {
                    status = await backends.agent(0).status()
                    return status.text().contains("'order-4711','b',9")
                }
                #expect(status.state == .ok && status.exitStatus == 1, "\(status.text())")
                #expect(status.text().contains("OK (prepared-transactions)"), "\(status.text())")
                #expect(status.json().contains(#""xids":["'order-4711','b',9"]"#), "\(status.json())")
                var quorum = backends.configuration(0)
                (quorum.mode, quorum.agents) = (.quorum, ["web1"])
                let explained = await Agent(configuration: quorum, logger: backends.journal.logger("web1")).explain()
                #expect(explained.status.text().contains("'order-4711','b',9"), "\(explained.status.text())")
                let checked = await Agent(configuration: quorum, logger: backends.journal.logger("web1")).check()
                let named = checked.findings.filter { $0.text.contains("'order-4711','b',9") }
                #expect(named.contains { $0.level == .warning && $0.subject.contains("server b") }, "\(checked.text())")
                try await b.sql("XA COMMIT 'order-4711','b',9")
                #expect(try await b.sql("SELECT id FROM shop.t") == [["1"]])
                status = await backends.agent(0).status()
                #expect(status.exitStatus == 0, "\(status.text())")
            }
        }
    }

    /// Who waits for such locks later is to know that nobody has looked.
    @Test func whatCannotBeListedAtAnOpeningIsSaid() async throws {
        try await withBackends(1) { backends in
            let a = backends.cluster.a
            try await a.sql("REVOKE XA_RECOVER_ADMIN ON *.* FROM \(TestAccount.agent.user)@'%'")
            let master = try await backends.operationMaster(on: a)
            backends.runner(.quorum, over: master).namePrepared(.a)
            try await eventually("the log says so") {
                backends.journal.all.contains {
                    $0.metadata["event"] == "prepared-not-listed"
                        && $0.metadata["error"]?.contains("list prepared XA transactions") == true
                }
            }
            await master.close()
        }
    }

    /// A client that is at work on its own is nobody's business, and without XA_RECOVER_ADMIN there are numbers still.
    @Test func onlyWhatNoSessionOwnsIsAbandoned() async throws {
        try await withServer(name: "xa") { server in
            try await server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            let owner = try await MySQLConnection.connect(server.rootOptions, deadline: .after(Self.limit))
            func owns(_ sql: String) async throws {
                _ = try await owner.query(sql, deadline: .after(Self.limit))
            }
            func find() async throws -> AbandonedTransactions? {
                let reader = try await MySQLConnection.connect(
                    server.connectionOptions(.agent), deadline: .after(Self.limit))
                defer { reader.abort() }
                return try await AbandonedTransactions.find(reader, olderThan: -1, deadline: .after(Self.limit))
            }
            try await owns("SET SESSION xa_detach_on_prepare = OFF")
            for statement in prepare("'mine'", 1).split(separator: ";") { try await owns(String(statement)) }
            #expect(try await find() == nil)
            // Another time zone of the session does not make it older.
            try await server.sql("SET GLOBAL time_zone = '-11:00'")
            try await server.sql(prepare("'nobodys'", 2))
            // InnoDB gives the same answer for 100 ms.
            var seen: AbandonedTransactions?
            try await eventually("it is seen") {
                seen = try await find()
                return seen != nil
            }
            let found = try #require(seen)
            #expect(found.count == 1 && found.prepared?.count == 2 && found.age < 60, "\(found)")
            #expect(
                found.text(on: .b).contains("(among these 2): 'mine','',1; 'nobodys','',1"), "\(found.text(on: .b))")
            try await server.sql("REVOKE XA_RECOVER_ADMIN ON *.* FROM \(TestAccount.agent.user)@'%'")
            let blind = try #require(try await find())
            #expect(blind.prepared == nil && blind.count == 1)
            #expect(blind.text(on: .b).contains("grant XA_RECOVER_ADMIN"))
            await owner.close()
        }
    }
}
