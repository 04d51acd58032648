import Foundation
import MySQLWire
import Synchronization
import TestBed
import Testing

@testable import MySQLDump

private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    /// - Returns: whether this call was the one that set it.
    @discardableResult
    func set() -> Bool { !value.exchange(true, ordering: .acquiringAndReleasing) }
}

extension RealServerTests {
    /// What must hold when servers are busy, die, or may not be used so.
    @Suite struct ConsistencyTests {
        private let limit = Deadline.after(.seconds(120))

        /// A table of about 20 MB.
        private let big = """
            SET SESSION cte_max_recursion_depth = 100000;
            CREATE TABLE shop.big (id int PRIMARY KEY AUTO_INCREMENT, filler varchar(1000));
            INSERT INTO shop.big (filler) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
              SELECT RPAD(i, 1000, SHA2(i, 256)) FROM n;
            """

        @Test(.timeLimit(.minutes(2))) func theDumpHoldsExactlyItsGTIDSet() async throws {
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
                                    from: options, to: folder + "/d.sql.gz", options: DumpOptions(), deadline: limit)
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
                for case .statement(let sql) in items {
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

        @Test(.timeLimit(.minutes(2))) func whatIsNotWholeTouchesNoServer() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "target")]) { servers in
                let (source, target) = (servers[0], servers[1])
                try await source.sql(
                    "CREATE DATABASE shop; CREATE TABLE shop.t (a int); INSERT INTO shop.t VALUES (1);")
                try await target.sql(
                    "CREATE DATABASE kept; CREATE TABLE kept.t (a int); INSERT INTO kept.t VALUES (2);")
                let before = try await fingerprint(target.rootOptions)
                let history = try await target.gtidExecuted()
                try await withFolder { folder in
                    let path = folder + "/d.sql.gz"
                    _ = try await MySQLDump.dump(
                        from: source.connectionOptions(.agent), to: path, options: DumpOptions(), deadline: limit)
                    let whole = try Data(contentsOf: URL(filePath: path))
                    var altered = whole
                    altered[whole.count / 2] ^= 1
                    // By its manifest, and where that is gone by itself.
                    for hasManifest in [true, false] {
                        if !hasManifest { try FileManager.default.removeItem(atPath: path + ".json") }
                        for bad in [whole.dropLast(1), whole.prefix(whole.count / 2), altered, Data()] {
                            try bad.write(to: URL(filePath: path))
                            let error = await #expect(throws: DumpError.self) {
                                try await MySQLDump.importFile(
                                    path, into: target.connectionOptions(.agent), options: DumpOptions(),
                                    deadline: limit)
                            }
                            guard case .incomplete? = error?.cause else {
                                Issue.record("\(String(describing: error))")
                                continue
                            }
                        }
                    }
                    // Servers that may not be a target, or no source.
                    try whole.write(to: URL(filePath: path))
                    try await target.sql("SET GLOBAL super_read_only = ON")
                    for attempt in 0..<2 {
                        let error = await #expect(throws: DumpError.self) {
                            if attempt == 0 {
                                try await MySQLDump.importFile(
                                    path, into: target.connectionOptions(.agent), options: DumpOptions(),
                                    deadline: limit)
                            } else {
                                try await MySQLDump.copy(
                                    from: source.connectionOptions(.agent), to: target.connectionOptions(.agent),
                                    options: DumpOptions(), deadline: limit)
                            }
                        }
                        #expect(error?.message.contains("super_read_only is ON") == true)
                    }
                    try await target.sql("SET GLOBAL super_read_only = OFF, read_only = OFF")
                }
                let same = await #expect(throws: DumpError.self) {
                    try await MySQLDump.copy(
                        from: target.connectionOptions(.agent), to: target.connectionOptions(.agent),
                        options: DumpOptions(), deadline: limit)
                }
                #expect(same?.message.contains("is the source itself") == true)
                try await target.sql(
                    "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = \(source.port), SOURCE_AUTO_POSITION = 1; START REPLICA SQL_THREAD;"
                )
                let replicating = await #expect(throws: DumpError.self) {
                    try await MySQLDump.copy(
                        from: source.connectionOptions(.agent), to: target.connectionOptions(.agent),
                        options: DumpOptions(), deadline: limit)
                }
                #expect(replicating?.message.contains("replication runs") == true)
                // An account that may not take the lock is told what it lacks.
                let unprivileged = await #expect(throws: DumpError.self) {
                    try await MySQLDump.dump(
                        from: source.connectionOptions(.replication), to: target.folder.path + "/d.sql.gz",
                        options: DumpOptions(), deadline: limit)
                }
                #expect(unprivileged?.message.contains("RELOAD") == true, "\(String(describing: unprivileged))")
                // Without a privilege the server lists fewer objects and refuses nothing.
                try await source.sql("GRANT SELECT, EVENT, SHOW VIEW, TRIGGER ON *.* TO repl")
                let lockless = await #expect(throws: DumpError.self) {
                    try await MySQLDump.dump(
                        from: source.connectionOptions(.replication), to: target.folder.path + "/d.sql.gz",
                        options: DumpOptions(), deadline: limit)
                }
                #expect(
                    lockless?.message.contains("LOCK TABLES and BACKUP_ADMIN") == true,
                    "\(String(describing: lockless))")
                // The next best lock.
                try await source.sql("GRANT LOCK TABLES, BACKUP_ADMIN ON *.* TO repl")
                var options = DumpOptions()
                options.accounts = false
                let named = try await MySQLDump.dump(
                    from: source.connectionOptions(.replication), to: target.folder.path + "/named.sql.gz",
                    options: options, deadline: limit)
                #expect(named.warnings.contains { $0.contains("every table was locked by name") })
                #expect(try await source.gtidExecuted() == named.gtidExecuted)
                try await source.sql(
                    "REVOKE LOCK TABLES, BACKUP_ADMIN, TRIGGER ON *.* FROM repl; GRANT RELOAD ON *.* TO repl")
                let blind = await #expect(throws: DumpError.self) {
                    try await MySQLDump.dump(
                        from: source.connectionOptions(.replication), to: target.folder.path + "/d.sql.gz",
                        options: DumpOptions(), deadline: limit)
                }
                #expect(blind?.message.contains("grant TRIGGER on *.*") == true, "\(String(describing: blind))")
                try await source.sql(
                    "CREATE ROLE watcher; GRANT TRIGGER ON *.* TO watcher; GRANT watcher TO repl; SET DEFAULT ROLE ALL TO repl"
                )
                let sighted = try await MySQLDump.dump(
                    from: source.connectionOptions(.replication), to: target.folder.path + "/seen.sql.gz",
                    options: DumpOptions(), deadline: limit)
                #expect(sighted.warnings.contains { $0.contains("BACKUP_ADMIN") })
                #expect(!FileManager.default.fileExists(atPath: target.folder.path + "/d.sql.gz.partial"))

                #expect(try await target.gtidExecuted() == history)
                #expect(differences(before, try await fingerprint(target.rootOptions)) == [])
            }
        }

        @Test(.timeLimit(.minutes(2))) func aSourceThatDiesLeavesATargetThatClaimsNothing() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "target")]) { servers in
                let (source, target) = (servers[0], servers[1])
                try await source.sql("CREATE DATABASE shop; \(big)")
                try await target.sql("CREATE DATABASE old; CREATE DATABASE ledger; CREATE TABLE ledger.t (a int);")
                var options = DumpOptions()
                options.excludedSchemas = ["ledger"]
                let frozen = Flag()
                var watched = options
                watched.progress = { progress in
                    // Stopped in the middle of a table, so that what is killed has not sent everything.
                    if progress.rows > 0, progress.rows < 20000, frozen.set() { source.freeze() }
                }
                async let killed: Void = {
                    try await eventually("the source is in the middle of its table") { frozen.isSet }
                    await source.kill()
                }()
                let error = await #expect(throws: DumpError.self) {
                    try await MySQLDump.copy(
                        from: source.connectionOptions(.agent), to: target.connectionOptions(.agent), options: watched,
                        deadline: limit)
                }
                try await killed
                #expect(error?.message.contains("claims no GTID set") == true, "\(String(describing: error))")
                #expect(try await target.gtidExecuted() == "")

                // A second copy repairs what the first one left, and keeps what it was told to keep.
                try await source.start()
                let report = try await MySQLDump.copy(
                    from: source.connectionOptions(.agent), to: target.connectionOptions(.agent), options: options,
                    deadline: limit)
                #expect(report.rows == 20000)
                #expect(try await target.gtidExecuted() == source.gtidExecuted())
                #expect(try await target.sql("SHOW DATABASES LIKE 'old'").isEmpty)
                #expect(try await target.sql("SHOW TABLES FROM ledger") == [["t"]])
                #expect(try await target.sql("CHECKSUM TABLE shop.big") == source.sql("CHECKSUM TABLE shop.big"))

                // And replication takes over from there.
                try await target.replicate(from: source)
                try await source.sql("INSERT INTO shop.big (filler) VALUES ('after')")
                try await target.catchUp(with: source)
                #expect(try await target.sql("SELECT COUNT(*) FROM shop.big") == [["20001"]])
                #expect(try await target.gtidExecuted() == source.gtidExecuted())
            }
        }

        @Test(.timeLimit(.minutes(2))) func oneLoaderThatDiesEndsTheCopy() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "target")]) { servers in
                let (source, target) = (servers[0], servers[1])
                try await source.sql("CREATE DATABASE shop; \(big)")
                let (limit, options) = (limit, DumpOptions())
                let copy = Task {
                    try await MySQLDump.copy(
                        from: source.connectionOptions(.agent), to: target.connectionOptions(.agent),
                        options: options, deadline: limit)
                }
                try await eventually("one of several loaders inserts rows") {
                    let inserting = try await target.sql(
                        """
                        SELECT ID, (SELECT COUNT(*) FROM performance_schema.processlist WHERE USER <> 'root') FROM \
                        performance_schema.processlist WHERE INFO LIKE 'INSERT INTO `big`%' LIMIT 1
                        """)
                    guard let id = inserting.first?.first else { return false }
                    #expect(Int(inserting[0][1]) ?? 0 >= options.loaders + 1)
                    // It may have ended its statement meanwhile: its session is still what is ended.
                    try await target.sql("KILL \(id)")
                    return true
                }
                let error = await #expect(throws: DumpError.self) { try await copy.value }
                #expect(error?.message.contains("claims no GTID set") == true, "\(String(describing: error))")
                #expect(try await target.gtidExecuted() == "")
                try await eventually("no session of the copy is left") {
                    try await target.sql(
                        "SELECT ID, USER, COMMAND, STATE, INFO FROM performance_schema.processlist WHERE USER = '\(TestAccount.agent.user)'"
                    ).isEmpty
                }

                let report = try await MySQLDump.copy(
                    from: source.connectionOptions(.agent), to: target.connectionOptions(.agent), options: options,
                    deadline: limit)
                #expect(report.rows == 20000)
                #expect(try await target.gtidExecuted() == source.gtidExecuted())
            }
        }

        @Test(.timeLimit(.minutes(2))) func longRowsPassAndACancelledCopyEndsAtOnce() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "target")]) { servers in
                let (source, target) = (servers[0], servers[1])
                try await source.sql(
                    """
                    CREATE DATABASE shop; CREATE TABLE shop.t (a int PRIMARY KEY, b longblob);
                    INSERT INTO shop.t VALUES (1, 'x'), (2, REPEAT(0x00FF275C, 4700000)), (3, 'y');
                    """)
                let report = try await MySQLDump.copy(
                    from: source.connectionOptions(.agent), to: target.connectionOptions(.agent),
                    options: DumpOptions(),
                    deadline: limit)
                #expect(report.rows == 3)
                #expect(try await target.sql("CHECKSUM TABLE shop.t") == source.sql("CHECKSUM TABLE shop.t"))

                try await source.sql("DROP TABLE shop.t; \(big)")
                let (reached, limit) = (Flag(), limit)
                var options = DumpOptions()
                options.progress = { progress in
                    if progress.rows > 0, reached.set() { source.freeze() }
                }
                let watched = options
                let copy = Task {
                    try await MySQLDump.copy(
                        from: source.connectionOptions(.agent), to: target.connectionOptions(.agent), options: watched,
                        deadline: limit)
                }
                try await eventually("the copy is in the middle of its table") { reached.isSet }
                let start = ContinuousClock.now
                copy.cancel()
                let error = await #expect(throws: DumpError.self) { try await copy.value }
                #expect(ContinuousClock.now - start < .seconds(2))
                guard case .cancelled? = error?.cause else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                // Untouched, or marked as half a copy.
                let marked = try await target.sql("SHOW DATABASES LIKE 'ongoing_rebuild'") == [["ongoing_rebuild"]]
                let old =
                    try await target.sql("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'")
                    == [["t"]]
                let gtid = try await target.gtidExecuted()
                #expect(marked || old && gtid == report.gtidExecuted)
                // The source is not left locked.
                source.thaw()
                try await source.sql("CREATE TABLE shop.after (a int); INSERT INTO shop.after VALUES (1);")
            }
        }

        @Test(.timeLimit(.minutes(1))) func theWaitForTheLockIsBounded() async throws {
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
                #expect(error?.message.contains("lock timeout") == true, "\(String(describing: error))")
                // Tried again, it gets through when what it waits for is over.
                let patient = Task {
                    try await MySQLDump.dump(
                        from: server.connectionOptions(.agent), to: path, options: options, deadline: deadline)
                }
                try await eventually("the dump waits for the lock") {
                    try await server.sql(
                        "SELECT 1 FROM performance_schema.processlist WHERE STATE LIKE 'Waiting for%' AND USER = '\(TestAccount.agent.user)'"
                    ) == [["1"]]
                }
                let before = try await unlocks(server)
                try await eventually("it has given up once, and let go") { try await unlocks(server) > before }
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
        @Test(.timeLimit(.minutes(2)), arguments: [true, false]) func ddlDuringADumpNeverGoesUnnoticed(
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
        @Test(.timeLimit(.minutes(2))) func aSnapshotThatEndedIsNoticed() async throws {
            try await withServer(name: "ended") { server in
                try await server.sql(
                    """
                    CREATE DATABASE shop; \(big)
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
                guard case .statement(let sql) = item, sql.starts(with: "INSERT".utf8) else { return }
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

        /// How often a lock on definitions was given back.
        private func unlocks(_ server: MySQLServer) async throws -> Int {
            let count = try await server.sql("SHOW GLOBAL STATUS LIKE 'Com_unlock_instance'").first?.last
            return try #require(count.flatMap { Int($0) })
        }

        @Test(.timeLimit(.minutes(1))) func aMariaDBServerIsRefusedClearly() async throws {
            try await withServer(.mariadb, name: "maria") { server in
                let path = server.folder.path + "/d.sql.gz"
                let error = await #expect(throws: DumpError.self) {
                    try await MySQLDump.dump(
                        from: server.connectionOptions(.agent), to: path, options: DumpOptions(), deadline: limit)
                }
                guard case .unsupported? = error?.cause else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(error?.message.contains("MariaDB") == true)
            }
        }
    }
}
