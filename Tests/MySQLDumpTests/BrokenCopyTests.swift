import Foundation
import MySQLWire
import TestBed
import Testing

@testable import MySQLDump

extension RealServerTests {
    /// Copies in whose middle a server or a session dies.
    @Suite struct BrokenCopyTests {
        private let limit = Deadline.after(.seconds(300))

        @Test(.timeLimit(.minutes(6))) func aSourceThatDiesLeavesATargetThatClaimsNothing() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "target")]) { servers in
                let (source, target) = (servers[0], servers[1])
                try await source.sql("CREATE DATABASE shop; \(bigTable)")
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

        @Test(.timeLimit(.minutes(6))) func oneLoaderThatDiesEndsTheCopy() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "target")]) { servers in
                let (source, target) = (servers[0], servers[1])
                try await source.sql("CREATE DATABASE shop; \(bigTable)")
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

        @Test(.timeLimit(.minutes(6))) func longRowsPassAndACancelledCopyEndsAtOnce() async throws {
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

                try await source.sql("DROP TABLE shop.t; \(bigTable)")
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

        /// RESET BINARY LOGS AND GTIDS waits for every statement that has a table open, and holds up whoever opens one
        /// meanwhile: each wait is short, and there is another.
        @Test(.timeLimit(.minutes(6))) func aStatementOnTheTargetIsWaitedForInShortTries() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "target")]) { servers in
                let (source, target, limit) = (servers[0], servers[1], limit)
                try await source.sql(
                    "CREATE DATABASE shop; CREATE TABLE shop.t (a int); INSERT INTO shop.t VALUES (1);")
                async let reader = target.sql("SELECT SLEEP(12) FROM mysql.user LIMIT 1")
                try await eventually("the reader reads") {
                    try await target.sql("SHOW PROCESSLIST").contains { $0.contains("User sleep") }
                }
                _ = try await MySQLDump.copy(
                    from: source.connectionOptions(.agent), to: target.connectionOptions(.agent),
                    options: DumpOptions(), deadline: limit)
                _ = try await reader
                let failed = try await target.sql(
                    """
                    SELECT SUM_ERRORS > 0 FROM performance_schema.events_statements_summary_global_by_event_name
                    WHERE EVENT_NAME = 'statement/sql/reset'
                    """)
                #expect(failed == [["1"]])
                #expect(try await target.sql("SELECT a FROM shop.t") == [["1"]])
            }
        }
    }
}
