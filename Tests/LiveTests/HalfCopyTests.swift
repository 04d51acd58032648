import Foundation
import MySQLDump
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// Servers that are half a copy: what is written to them is saved, and they are never opened.
@Suite(.serialized) struct HalfCopyTests {
    /// Somebody opens half a copy, writes, and closes it again. What was saved when it was marked lacks that.
    @Test(arguments: [true, false]) func halfACopyThatTookWritesIsSavedAgain(_ isWritten: Bool) async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))")
            try await b.catchUp(with: a)
            let master = try await backends.operationMaster(on: a)
            try await b.sql("STOP REPLICA; INSERT INTO shop.t VALUES (1, 'saved before')")
            let saved = try #require(GTIDSet(try await b.gtidExecuted()))
            try await b.sql("SET SESSION sql_log_bin = 0; \(LedgerSchema.createMarker.joined(separator: ";"))")
            try await b.sql(
                """
                SET SESSION sql_log_bin = 0; INSERT INTO ongoing_rebuild.marker VALUES (@@server_uuid, 1, 'web1:/saved');
                \(LedgerSchema.writeSaved(saved))
                """)
            if isWritten { try await b.sql("INSERT INTO shop.t VALUES (2, 'written since')") }
            try await b.sql("SET GLOBAL super_read_only = ON")
            try await backends.carryOut(.rebuild(.b, from: .a, why: .unfinishedCopy(source: "")), .quorum, over: master)
            await master.close()
            #expect(try await b.gtidExecuted() == a.gtidExecuted())
            #expect(try await b.sql("SELECT COUNT(*) FROM shop.t") == [["0"]])
            let dumps = backends.journal.all.filter { $0.message == "saved" }.compactMap { $0.metadata["file"] }
            #expect(dumps.count == (isWritten ? 1 : 0))
            for dump in dumps { #expect(try await Shell.run("zcat", dump).contains("written since")) }
        }
    }

    /// A server that was wiped numbers its transactions from 1 again, as those of before: whoever writes there meanwhile must
    /// not lose the row by its number.
    @Test func aRowWrittenToAWipedHalfCopyIsSaved() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            // b was primary once: its own first transactions are part of what a has.
            try await b.sql("STOP REPLICA; CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))")
            let set = try await b.gtidExecuted()
            try await a.sql("SET sql_log_bin = 0; CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))")
            let own = try await b.serverUUID()
            let first = try #require(GTIDSet(set)?.from(uuid: own).description.split(separator: ":").last)
            try await a.sql("SET GTID_NEXT = '\(own):\(first)'; COMMIT; SET GTID_NEXT = 'AUTOMATIC'")
            let master = try await backends.operationMaster(on: a)
            // Marked, saved and wiped; the copy ended there.
            try await b.sql("SET SESSION sql_log_bin = 0; \(LedgerSchema.createMarker.joined(separator: ";"))")
            try await b.sql(
                """
                SET SESSION sql_log_bin = 0;
                INSERT INTO ongoing_rebuild.marker VALUES ('\(try await a.serverUUID())', 1, 'web1:/saved');
                \(LedgerSchema.writeSaved(try #require(GTIDSet(set)))); \(LedgerSchema.forgetSaved)
                """)
            let version = ServerVersion(try await b.sql("SELECT VERSION()")[0][0])
            try await b.sql(
                "RESET REPLICA ALL; "
                    + (version.isMySQL(atLeast: 8, 2) ? "RESET BINARY LOGS AND GTIDS" : "RESET MASTER"))
            try await b.sql("INSERT INTO shop.t VALUES (1, 'written since')")
            #expect(try await GTIDSet(b.gtidExecuted())?.isSubset(of: #require(GTIDSet(a.gtidExecuted()))) == true)
            try await b.sql("SET GLOBAL super_read_only = ON")
            try await backends.carryOut(.rebuild(.b, from: .a, why: .unfinishedCopy(source: "")), .quorum, over: master)
            await master.close()
            #expect(try await b.gtidExecuted() == a.gtidExecuted())
            #expect(try await b.sql("SELECT COUNT(*) FROM shop.t") == [["0"]])
            let saved = try #require(backends.journal.all.first { $0.message == "saved" })
            #expect(try await Shell.run("zcat", #require(saved.metadata["file"])).contains("written since"))
            let list = try String(contentsOfFile: #require(saved.metadata["file"]) + ".txt", encoding: .utf8)
            #expect(list.contains("numbers that the primary may have for others: \(own):1\n"))
        }
    }

    /// An account above read_only writes while the copy is being prepared, behind the dump of what was there.
    @Test func aServerThatExecutedMoreSinceItWasSavedIsNotWiped() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))")
            try await b.catchUp(with: a)
            let master = try await backends.operationMaster(on: a)
            let runner = backends.runner(.quorum, over: master)
            try await runner.run(
                OperationPlan([
                    .lockServer(.b), .fenceWrites(.b), .stopReplication(.b), .requireRebuildable(.b, from: .a),
                    .saveData(.b, from: .a, epoch: 1), .markForRebuild(.b, epoch: 1), .resetChannel(.b),
                ]))
            try await b.sql("INSERT INTO shop.t VALUES (1, 'late')")
            let error = await #expect(throws: AgentError.self) {
                try await runner.run(OperationPlan([.lockServer(.b), .copyData(.b, from: .a, epoch: 1)]))
            }
            #expect(error.map { "\($0)" }?.contains("was executed since its data was saved") == true, "\(error as Any)")
            #expect(try await b.sql("SELECT v FROM shop.t") == [["late"]])
            // The next try saves it.
            try await b.sql("SET GLOBAL super_read_only = ON")
            try await backends.carryOut(.rebuild(.b, from: .a, why: .unfinishedCopy(source: "")), .quorum, over: master)
            await master.close()
            #expect(try await b.gtidExecuted() == a.gtidExecuted())
            let saved = backends.journal.all.filter { $0.message == "saved" }.compactMap { $0.metadata["file"] }
            #expect(saved.count == 2)
            #expect(try await Shell.run("zcat", #require(saved.last)).contains("late"))
        }
    }

    /// A clone takes the marker away with everything else: no marker is no proof that nothing was done.
    @Test(arguments: [true, false]) func onlyAServerToWhichNothingWasDoneIsOpenedAgain(_ isMarked: Bool) async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await b.catchUp(with: a)
            let master = try await backends.operationMaster(on: a)
            let mark: [Command] = [
                .requireRebuildable(.b, from: .a), .saveData(.b, from: .a, epoch: 1), .markForRebuild(.b, epoch: 1),
                .removeMarker(.b, from: .a),
            ]
            // Fails: a is not fenced.
            let plan = OperationPlan(
                [.lockServer(.b), .fenceWrites(.b), .stopReplication(.b)] + (isMarked ? mark : []) + [
                    .requireFenced(.a)
                ],
                onFailure: [.reopenUnmarked(.b)])
            await #expect(throws: AgentError.self) { try await backends.runner(.routerLed, over: master).run(plan) }
            await master.close()
            #expect(try await b.sql("SELECT @@GLOBAL.read_only") == [[isMarked ? "1" : "0"]])
        }
    }

    /// What keeps a session awake during a long plan uses it for a moment.
    @Test func aPingThatIsUnderWayFailsNoCommand() async throws {
        try await withBackends(1) { backends in
            let master = try await backends.operationMaster(on: backends.cluster.a)
            let connection = master.connection
            let ping = Task {
                try await connection.query("SELECT SLEEP(1)", purpose: "a ping", deadline: .after(.seconds(30)))
            }
            try await eventually("the session is in use") {
                try await backends.cluster.a.sql(
                    "SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_id = \(master.id) "
                        + "AND processlist_state = 'User sleep'") == [["1"]]
            }
            try await backends.runner(.quorum, over: master).run(OperationPlan([.requireOperationLock]))
            _ = try await ping.value
            await master.close()
        }
    }

    /// `max_rebuilds_per_day` counts rebuilds, not operations; and each once, whatever reply was lost.
    @Test func everyRebuildCountsOnce() async throws {
        try await withBackends(1) { backends in
            let a = backends.cluster.a
            try await a.sql(LedgerSchema.createControl.joined(separator: ";"))
            let master = try await backends.operationMaster(on: a)
            for _ in 0..<2 {
                let note = Command.noteRebuild(.b, on: .a, epoch: 1, cause: "b.purged-transactions.7")
                try await backends.runner(.quorum, over: master).run(OperationPlan([note, note]))
            }
            await master.close()
            #expect(
                try await a.sql("SELECT COUNT(*) FROM repl_watchdog.control WHERE name LIKE 'rebuilt:1:%'") == [["2"]])
        }
    }

    /// A copy that fails counts as one that ended: the count is on record before anything is wiped.
    @Test func aCopyThatFailsCountsToo() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql(LedgerSchema.createControl.joined(separator: ";"))
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await b.catchUp(with: a)
            try await b.sql("STOP REPLICA; SET GLOBAL super_read_only = ON")
            let master = try await backends.operationMaster(on: a)
            let runner = backends.runner(.quorum, over: master)
            let plan = await OperationPlan.rebuild(.b, from: .a, why: .unfinishedCopy(source: ""), runner.context)
            let commands = plan.commands.filter { $0.name != .disableSemiSyncWhenAgreed }.map { command in
                // Nothing is copied from a server that is the target itself.
                if case .copyData(let id, _, let epoch) = command {
                    Command.copyData(id, from: id, epoch: epoch)
                } else {
                    command
                }
            }
            await #expect(throws: AgentError.self) { try await runner.run(OperationPlan(commands)) }
            await master.close()
            #expect(
                try await a.sql("SELECT value FROM repl_watchdog.control WHERE name LIKE 'rebuilt:%'")
                    == [["b.unfinished-copy"]])
        }
    }
}
