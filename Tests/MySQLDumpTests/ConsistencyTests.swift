import Foundation
import MySQLWire
import TestBed
import Testing

@testable import MySQLDump

extension RealServerTests {
    /// A dump is of one moment, also on a busy server: what it cannot hold against its server, it says.
    @Suite struct ConsistencyTests {
        private let limit = Deadline.after(.seconds(120))

        /// In a moment that comes by itself, and in one under the lock of all tables.
        @Test(.timeLimit(.minutes(6)), arguments: [2, 0]) func theDumpHoldsExactlyItsGTIDSet(
            _ quietSeconds: Int
        ) async throws {
            var chosen = DumpOptions()
            chosen.quietTime = .seconds(quietSeconds)
            let dumpOptions = chosen
            try await withServer(name: "busy") { server in
                try await server.sql(
                    """
                    CREATE DATABASE shop; CREATE TABLE shop.counter (id int PRIMARY KEY, n bigint);
                    INSERT INTO shop.counter VALUES (0, 0), (1, 0), (2, 0);
                    SET GLOBAL sync_binlog = 0, innodb_flush_log_at_trx_commit = 0;
                    DELIMITER $$
                    CREATE PROCEDURE shop.bump(IN which int)
                    BEGIN
                      DECLARE i int DEFAULT 0;
                      WHILE i < 100 DO
                        UPDATE shop.counter SET n = n + 1 WHERE id = which;
                        SET i = i + 1;
                      END WHILE;
                    END$$
                    """)
                let base = try transactions(try await server.gtidExecuted())
                let began = ContinuousClock.now
                let options = server.connectionOptions(.agent)
                let updates = try await withThrowingTaskGroup(of: Int.self) { group in
                    let (stop, limit) = (Flag(), limit)
                    for writer in 0..<3 {
                        group.addTask {
                            let session = try await MySQLConnection.connect(options, deadline: limit)
                            var count = 0
                            while !stop.isSet {
                                _ = try await session.query("CALL shop.bump(\(writer))", deadline: limit)
                                count += 100
                            }
                            await session.close()
                            return count
                        }
                    }
                    let result: Result<Void, any Error>
                    do {
                        for round in 0..<20 {
                            try await withFolder { folder in
                                let report = try await MySQLDump.dump(
                                    from: options, to: folder + "/d.sql.gz", options: dumpOptions, deadline: limit)
                                let counter = try await self.counter(in: folder + "/d.sql.gz")
                                let delta = try transactions(report.gtidExecuted) - base
                                #expect(counter == delta, "round \(round)")
                            }
                        }
                        result = .success(())
                    } catch {
                        result = .failure(error)
                    }
                    stop.set()
                    var updates = 0
                    for try await count in group { updates += count }
                    try result.get()
                    return updates
                }
                // A dump must have had something to be wrong about: at least 400 updates a second.
                let seconds = (ContinuousClock.now - began) / .seconds(1)
                #expect(Double(updates) / seconds > 400, "\(updates) updates in \(seconds) s")
            }
        }

        /// How many transactions a set `uuid:1-n` of one server holds.
        private func transactions(_ gtid: String) throws -> Int {
            try #require(Int(gtid.split(whereSeparator: { ":-".contains($0) }).last ?? ""))
        }

        private func counter(in path: String) async throws -> Int {
            let reader = DumpFileReader(path: path)
            try await reader.open()
            var found: Int?
            while let items = try await reader.next() {
                for case .statement(let sql, _) in items {
                    let text = String(decoding: sql, as: UTF8.self)
                    guard text.hasPrefix("INSERT INTO `counter`") else { continue }
                    // (0,n),(1,n),(2,n)
                    let numbers = text.split { !$0.isNumber }.compactMap { Int($0) }
                    found = numbers.indices.filter { $0 % 2 == 1 }.reduce(0) { $0 + numbers[$1] }
                }
            }
            await reader.close()
            return try #require(found)
        }

        @Test(.timeLimit(.minutes(6))) func theWaitForTheLockIsBounded() async throws {
            try await withServer(name: "locked") { server in
                try await server.sql(
                    "CREATE DATABASE shop; CREATE TABLE shop.t (a int); INSERT INTO shop.t VALUES (1);")
                let blocker = try await MySQLConnection.connect(server.rootOptions, deadline: limit)
                _ = try await blocker.query("LOCK TABLES shop.t WRITE", deadline: limit)
                let deadline = limit
                let options = shortOfPatience()
                let start = ContinuousClock.now
                let path = server.folder.path + "/d.sql.gz"
                let error = await #expect(throws: DumpError.self) {
                    try await MySQLDump.dump(
                        from: server.connectionOptions(.agent), to: path, options: options, deadline: limit)
                }
                #expect(ContinuousClock.now - start < .seconds(10))
                #expect(error?.message.contains("`shop`.`t`") == true, "\(String(describing: error))")
                // With more patience it gets through when what it waits for is over.
                let patient = Task {
                    try await MySQLDump.dump(
                        from: server.connectionOptions(.agent), to: path, options: DumpOptions(), deadline: deadline)
                }
                try await eventually("the dump waits for the lock") {
                    try await server.sql(
                        "SELECT 1 FROM performance_schema.processlist WHERE STATE LIKE 'Waiting for%' AND USER = '\(TestAccount.agent.user)'"
                    ) == [["1"]]
                }
                await blocker.close()
                #expect(try await patient.value.rows == 1)
                // Nothing was left locked behind.
                #expect(try await server.sql("INSERT INTO shop.t VALUES (2); SELECT COUNT(*) FROM shop.t") == [["2"]])
                #expect(
                    try await MySQLDump.estimateSize(
                        of: server.connectionOptions(.agent), options: options, deadline: limit) >= 16384)
            }
        }

        /// DDL in the middle of a dump: it waits where definitions can be locked, and ends the dump where they cannot.
        /// A table that is renamed between being listed and being read would otherwise be missed without a word.
        @Test(.timeLimit(.minutes(6)), arguments: [true, false]) func ddlDuringADumpNeverGoesUnnoticed(
            _ mayLock: Bool
        ) async throws {
            try await withServer(name: "ddl") { server in
                let tables = (10..<60).map {
                    "CREATE TABLE shop.t\($0) (a int PRIMARY KEY); INSERT INTO shop.t\($0) VALUES (1);"
                }
                try await server.sql(
                    """
                    CREATE DATABASE shop; \(tables.joined())
                    GRANT SELECT, EVENT, SHOW VIEW, TRIGGER, RELOAD\(mayLock ? ", BACKUP_ADMIN" : "") ON *.* TO repl;
                    """)
                let client = try ServerFiles.located().bin + "/mysql"
                let (socket, began, renamed) = (server.socketPath, Flag(), Flag())
                var options = DumpOptions()
                options.progress = { progress in
                    guard progress.rows > 0, began.set() else { return }
                    let result = try? captured(
                        client,
                        [
                            "--no-defaults", "-uroot", "-S", socket, "--init-command=SET lock_wait_timeout = 1", "-e",
                            "RENAME TABLE shop.t59 TO shop.a00",
                        ])
                    if result?.status == 0 { renamed.set() }
                }
                let path = server.folder.path + "/d.sql.gz"
                let watched = options
                if mayLock {
                    let report = try await MySQLDump.dump(
                        from: server.connectionOptions(.replication), to: path, options: watched, deadline: limit)
                    #expect(began.isSet && !renamed.isSet)
                    #expect(report.rows == 50)
                } else {
                    let error = await #expect(throws: DumpError.self) {
                        try await MySQLDump.dump(
                            from: server.connectionOptions(.replication), to: path, options: watched, deadline: limit)
                    }
                    #expect(renamed.isSet)
                    #expect(error != nil, "a renamed table went unnoticed")
                    #expect(!FileManager.default.fileExists(atPath: path))
                }
            }
        }

        /// What ends a snapshot without a word is seen before a dump is called whole; and a taker that is slower than the
        /// server's patience loses nothing.
        @Test(.timeLimit(.minutes(6))) func aSnapshotThatEndedIsNoticed() async throws {
            try await withServer(name: "ended") { server in
                try await server.sql(
                    """
                    CREATE DATABASE shop; \(bigTable)
                    SET GLOBAL net_write_timeout = 1, wait_timeout = 2, partial_revokes = ON;
                    """)
                let options = DumpOptions()
                for breach in ["COMMIT", "KILL CONNECTION_ID()"] {
                    let reader = try await SourceReader.open(
                        server.connectionOptions(.agent), options: options, deadline: limit)
                    _ = try? await reader.snapshot.readers[0].run(breach, "break the snapshot")
                    await #expect(throws: DumpError.self, "\(breach)") {
                        try await reader.snapshot.assertUnbroken(reader.side, options: options)
                    }
                    reader.abort()
                }
                let reader = try await SourceReader.open(
                    server.connectionOptions(.agent), options: options, deadline: limit)
                let slow = SlowSink()
                let report = try await reader.dump(to: slow)
                await reader.close()
                #expect(report.rows == 20000)
                #expect(report.warnings.contains { $0.contains("partial_revokes") })
                #expect(await slow.pauses == 1)
            }
        }

        /// Takes nothing for a while, in the middle of a table.
        private actor SlowSink: ItemSink {
            private(set) var pauses = 0
            private var inserts = 0
            func send(_ item: StreamItem) async {
                guard case .statement(_, .rows) = item else { return }
                inserts += 1
                guard inserts == 2 else { return }
                pauses += 1
                try? await Task.sleep(for: .seconds(4))
            }
        }

        private func shortOfPatience() -> DumpOptions {
            var options = DumpOptions()
            options.lockTimeout = .seconds(1)
            return options
        }
    }
}
