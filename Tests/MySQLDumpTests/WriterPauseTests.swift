import Foundation
import MySQLWire
import TestBed
import Testing

@testable import MySQLDump

extension RealServerTests {
    /// Whoever writes to a server does not notice that a dump of it begins.
    @Suite struct WriterPauseTests {
        private let limit = Deadline.after(.seconds(120))

        /// A SELECT that runs for long, a transaction that stays open, a row that is written all the time: with FLUSH
        /// TABLES WITH READ LOCK the writers stood behind the SELECT, and later readers of its table too.
        @Test(.timeLimit(.minutes(6))) func writersDoNotWaitForWhatADumpWaitsFor() async throws {
            try await withServer(name: "pause") { server in
                try await server.sql(
                    """
                    CREATE DATABASE shop; CREATE TABLE shop.counter (id int PRIMARY KEY, n bigint);
                    INSERT INTO shop.counter VALUES (0, 0); CREATE TABLE shop.t (a int); INSERT INTO shop.t VALUES (1);
                    CREATE TABLE shop.held (a int); INSERT INTO shop.held VALUES (1);
                    """)
                let flushes = try await server.sql("SHOW GLOBAL STATUS LIKE 'Com_flush'")
                let options = server.connectionOptions(.agent)
                let slow = try await MySQLConnection.connect(server.rootOptions, deadline: limit)
                let open = try await MySQLConnection.connect(server.rootOptions, deadline: limit)
                _ = try await open.query("START TRANSACTION", deadline: limit)
                _ = try await open.query("UPDATE shop.held SET a = 2", deadline: limit)
                let deadline = limit
                let long = Task { try await slow.query("SELECT SLEEP(100) FROM shop.t", deadline: deadline) }
                try await eventually("the SELECT runs") {
                    try await server.sql(
                        "SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE = 'User sleep'")
                        == [["1"]]
                }
                let stop = Flag()
                let writer = Task {
                    let session = try await MySQLConnection.connect(options, deadline: deadline)
                    var longest = Duration.zero
                    while !stop.isSet {
                        let start = ContinuousClock.now
                        _ = try await session.query("UPDATE shop.counter SET n = n + 1", deadline: deadline)
                        longest = max(longest, ContinuousClock.now - start)
                        try await Task.sleep(for: .milliseconds(2))
                    }
                    await session.close()
                    return longest
                }
                try await withFolder { folder in
                    let report = try await MySQLDump.dump(
                        from: options, to: folder + "/d.sql.gz", options: DumpOptions(), deadline: limit)
                    #expect(report.rows == 3)
                }
                stop.set()
                // 200 ms is the bound; the rest is for a machine that is busy with something else.
                let longest = try await writer.value
                print("longest update beside the beginning of a dump: \(longest)")
                #expect(longest < .milliseconds(600))
                // Nobody is kept waiting afterwards either.
                #expect(try await server.sql("SELECT a FROM shop.t") == [["1"]])
                #expect(try await server.sql("SHOW GLOBAL STATUS LIKE 'Com_flush'") == flushes)
                slow.abort()
                _ = try? await long.value
                await open.close()
            }
        }

        /// The lock of all tables: not even tried behind a transaction that stays open, ended behind a lock.
        @Test(.timeLimit(.minutes(6))) func theLockOfAllTablesIsGivenUpInTime() async throws {
            try await withServer(name: "blink") { server in
                try await server.sql(
                    """
                    CREATE DATABASE shop; CREATE TABLE shop.t (a int); INSERT INTO shop.t VALUES (1);
                    CREATE TABLE shop.u (a int); INSERT INTO shop.u VALUES (1);
                    """)
                let side = try await Session.open(server.connectionOptions(.agent), deadline: limit)
                let killer = try await Session.open(server.connectionOptions(.agent), deadline: limit)
                let locks = TableLocks(side: side, killer: killer, pause: .milliseconds(150))
                func hold() async throws -> String {
                    switch try await locks.hold(excluded: [], { () throws(DumpError) in "held" }) {
                    case .held(let value): return value
                    case .busy(let why): return why
                    }
                }
                #expect(try await hold() == "held")
                let blocker = try await MySQLConnection.connect(server.rootOptions, deadline: limit)
                _ = try await blocker.query("START TRANSACTION", deadline: limit)
                _ = try await blocker.query("UPDATE shop.t SET a = 2", deadline: limit)
                // The server's list of transactions may be a moment old.
                try await eventually("the open transaction is seen") {
                    try await hold().contains("thread \(blocker.connectionID)")
                }
                _ = try await blocker.query("ROLLBACK", deadline: limit)
                _ = try await blocker.query("LOCK TABLES shop.t WRITE", deadline: limit)
                let start = ContinuousClock.now
                #expect(try await hold().contains("2 tables could not be locked"))
                #expect(ContinuousClock.now - start < .seconds(2))
                // Both sessions are as they were, and nothing is locked.
                #expect(try await server.sql("UPDATE shop.u SET a = 3; SELECT a FROM shop.u") == [["3"]])
                _ = try await blocker.query("UNLOCK TABLES", deadline: limit)
                #expect(try await hold() == "held")
                #expect(try await side.value("SELECT @@SESSION.wait_timeout", "see") == "86400")
                for session in [side, killer] { await session.close() }
                await blocker.close()
            }
        }

        /// The GTID of XA PREPARE is in gtid_executed, its rows are in no snapshot: a copy would lack them for good.
        @Test(.timeLimit(.minutes(6))) func aPreparedTransactionIsWaitedForAndThenRefused() async throws {
            try await withServer(name: "xa") { server in
                try await server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a int PRIMARY KEY);")
                let manager = try await MySQLConnection.connect(server.rootOptions, deadline: limit)
                func prepare(_ name: String, _ row: Int) async throws {
                    _ = try await manager.query("XA START '\(name)'", deadline: limit)
                    _ = try await manager.query("INSERT INTO shop.t VALUES (\(row))", deadline: limit)
                    _ = try await manager.query("XA END '\(name)'", deadline: limit)
                    _ = try await manager.query("XA PREPARE '\(name)'", deadline: limit)
                }
                let options = server.connectionOptions(.agent)
                let deadline = limit
                try await withFolder { folder in
                    try await prepare("forgotten", 1)
                    var short = DumpOptions()
                    short.lockTimeout = .seconds(2)
                    let error = await #expect(throws: DumpError.self) {
                        try await MySQLDump.dump(
                            from: options, to: folder + "/a.sql.gz", options: short, deadline: deadline)
                    }
                    guard case .busy? = error?.cause else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                    #expect(error?.message.contains("forgotten") == true)
                    // What nobody replicates from may be saved all the same.
                    short.leavesPrepared = true
                    let saved = try await MySQLDump.dump(
                        from: options, to: folder + "/saved.sql.gz", options: short, deadline: deadline)
                    #expect(saved.rows == 0 && saved.warnings.contains { $0.contains("forgotten") })
                    // One that ends soon is waited for.
                    let dump = Task {
                        try await MySQLDump.dump(
                            from: options, to: folder + "/b.sql.gz", options: DumpOptions(), deadline: deadline)
                    }
                    try await eventually("the dump looks for its moment") {
                        try await server.sql(
                            "SELECT COUNT(*) > 1 FROM performance_schema.processlist WHERE USER = '\(TestAccount.agent.user)'"
                        ) == [["1"]]
                    }
                    _ = try await manager.query("XA COMMIT 'forgotten'", deadline: limit)
                    #expect(try await dump.value.rows == 1)
                }
                await manager.close()
            }
        }
    }
}
