import Foundation
import MySQLDump
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// Broken replication, and what is saved before it is repaired.
@Suite(.serialized) struct RecoverTests {
    @Test func aBrokenReplicaIsSavedAndRebuilt() async throws {
        try await withBackends(2) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql(
                "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO shop.t VALUES (1, 'one')")
            try await b.catchUp(with: a)
            try await b.sql("INSERT INTO shop.t VALUES (2, 'only on b')")
            try await a.sql("INSERT INTO shop.t VALUES (2, 'on a'), (3, 'three')")
            try await eventually("the applier stops at the conflict") {
                try await b.sql("SELECT service_state FROM performance_schema.replication_applier_status") == [["OFF"]]
            }
            let before = try await a.gtidExecuted()
            let reports = await backends.passes()
            for report in reports {
                let report = try report.get()
                #expect(report.state == .ok && report.exitStatus == 0, "\(report)")
            }
            #expect(try await backends.isWhole(primary: a, replica: b))
            #expect(
                try await b.sql("SELECT id, v FROM shop.t ORDER BY id") == [
                    ["1", "one"], ["2", "on a"], ["3", "three"],
                ])
            #expect(try await a.sql("CHECKSUM TABLE shop.t") == b.sql("CHECKSUM TABLE shop.t"))
            #expect(try await a.gtidExecuted() == before, "a transaction was made on the primary")
            #expect(try await b.gtidExecuted() == before, "the replica has transactions of its own")

            // The replica's own row is in the saved dump, and its transaction is listed.
            let saved = try #require(backends.journal.all.first { $0.message == "saved" })
            let path = try #require(saved.metadata["file"])
            let dump = try await Shell.run("zcat", path)
            #expect(dump.contains("only on b"))
            #expect(saved.metadata["only_here"]?.contains(try await b.serverUUID()) == true)
            #expect(try String(contentsOfFile: path + ".txt", encoding: .utf8).contains(try await b.serverUUID()))
            #expect(backends.journal.signals.filter { $0.hasPrefix("OPER") } == ["OPER repl"])
            #expect(backends.journal.count("saved") == 1, "saved more than once")

            // What decided for and against each method is on record, and the primary's data lies beside the copy.
            let methods = backends.journal.all.filter { $0.message == "rebuild method" }.map {
                "\($0.metadata["method"] ?? "") \($0.metadata["used"] ?? "")"
            }
            #expect(methods.count == 3 && methods[0].hasPrefix("gtid no: "), "\(methods)")
            #expect(methods.dropFirst() == ["clone no: not allowed: rebuild.clone is false", "dump yes: what is left"])
            let kept = try #require(backends.journal.all.first { $0.message == "copied" }?.metadata["file"])
            let report = try await MySQLDump.verify(kept)
            #expect(report.warnings.isEmpty && report.gtidExecuted == before, "\(report)")
        }
    }

    @Test func stoppedReplicationIsStartedWithoutARebuild() async throws {
        try await withBackends(1) { backends in
            try await backends.cluster.b.sql("STOP REPLICA")
            try await backends.cluster.a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            let report = try #require(await backends.passes().first).get()
            #expect(report.state == .ok)
            #expect(backends.journal.count("saved") == 0)
            try await backends.cluster.b.catchUp(with: backends.cluster.a)
        }
    }

    /// The old primary has a transaction that the new one cannot apply: it is saved, listed, and then replaced.
    @Test func whatCannotBeFetchedIsSavedAndListed() async throws {
        try await withBackends(2) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))")
            try await b.catchUp(with: a)
            try await b.sql("STOP REPLICA IO_THREAD")
            try await a.sql("INSERT INTO shop.t VALUES (1, 'never received')")
            await a.kill()
            try await eventually("every router leads to b") { try await backends.leads(to: b) }
            try await backends.routers[0].sql("INSERT INTO shop.t VALUES (1, 'on the new one')")
            try await a.start()
            try await b.sql("START REPLICA")
            for report in await backends.passes() { #expect(try report.get().state == .ok) }
            #expect(try await backends.isWhole(primary: b, replica: a))
            #expect(try await a.sql("SELECT v FROM shop.t") == [["on the new one"]])
            let saved = try #require(backends.journal.all.first { $0.message == "saved" })
            let path = try #require(saved.metadata["file"])
            #expect(try await Shell.run("zcat", path).contains("never received"))
            let list = try String(contentsOfFile: path + ".txt", encoding: .utf8)
            #expect(list.contains("Transactions by table: \n  shop.t: 1\n"), "\(list)")
            #expect(saved.metadata["only_here"]?.contains(try await a.serverUUID()) == true)
        }
    }

    /// The ledger session of an agent that holds the operation lock on server a.

    /// An operation master that waited for the lock on the other server while others promoted that one.
    @Test func aServerThatWasPromotedMeanwhileIsNotRebuilt() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            let master = try await backends.operationMaster(on: a)
            try await b.sql("STOP REPLICA; RESET REPLICA ALL; CREATE TABLE shop.t (id INT PRIMARY KEY)")
            for statement in LedgerSchema.createHistory { try await b.sql(statement) }
            try await b.sql(
                """
                INSERT INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed)
                VALUES (7, @@server_uuid, '', 'web2', '', '')
                """)
            let before = try await b.gtidExecuted()
            let refused = await #expect(throws: AgentError.self) {
                try await backends.carryOut(
                    .rebuild(.b, from: .a, why: .unfinishedCopy(source: "")), .quorum, over: master)
            }
            #expect("\(try #require(refused))".contains("it was promoted in epoch 7"))
            #expect(try await b.gtidExecuted() == before)
            #expect(try await b.sql("SHOW DATABASES LIKE 'ongoing%'").isEmpty)
            #expect(try await b.sql("SHOW TABLES FROM shop") == [["t"]])
            await master.close()
        }
    }

    /// Between the look that chose it and the lock a commit that hung there may have gone through.
    @Test func replicationDoesNotBeginOverWhatThePrimaryLacks() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            let master = try await backends.operationMaster(on: a)
            try await b.sql("STOP REPLICA; CREATE TABLE shop.own (id INT PRIMARY KEY)")
            for (closed, why) in [(false, "it is not closed any more"), (true, "which a (")] {
                if closed { try await b.sql("SET GLOBAL super_read_only = ON") }
                let refused = await #expect(throws: AgentError.self) {
                    try await backends.carryOut(.resume(.b, from: .a), .quorum, over: master)
                }
                #expect("\(try #require(refused))".contains(why))
                #expect(
                    try await b.sql("SELECT service_state FROM performance_schema.replication_connection_status")
                        == [["OFF"]])
            }
            await master.close()
        }
    }

    @Test func noRoomForTwoDumpsStopsBeforeAnythingIsTouched() async throws {
        try await withBackends(1) { backends in
            let (a, b) = (backends.cluster.a, backends.cluster.b)
            try await a.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            try await b.catchUp(with: a)
            try await b.sql("INSERT INTO shop.t VALUES (1)")
            try await a.sql("INSERT INTO shop.t VALUES (1)")
            try await eventually("the applier stops") {
                try await b.sql("SELECT service_state FROM performance_schema.replication_applier_status") == [["OFF"]]
            }
            let before = try await b.gtidExecuted()
            // A file system of its own, so small that not even the estimate of an empty table fits twice.
            let folder = backends.folders[0].path
            _ = try await Shell.run("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder)
            let outcome = await backends.passes()[0]
            _ = try await Shell.run("umount", folder)
            let error = #expect(throws: AgentError.self) { try outcome.get() }
            #expect(error?.exitStatus == 3)
            #expect(error.map { "\($0)" }?.contains("room for two dumps") == true, "\(error.map { "\($0)" } ?? "")")
            #expect(try await b.gtidExecuted() == before)
            #expect(try await b.sql("SELECT @@global.read_only, COUNT(*) FROM shop.t") == [["0", "1"]])
        }
    }
}

enum Shell {
    /// Standard output of a program; fails the test if it does not end with 0.
    static func run(_ program: String, _ arguments: String...) async throws -> String {
        let (status, data) = try captured("/usr/bin/env", [program] + arguments)
        #expect(status == 0, "\(program) \(arguments)")
        return String(decoding: data, as: UTF8.self)
    }
}
