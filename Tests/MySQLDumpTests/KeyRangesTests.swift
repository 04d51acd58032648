import MySQLWire
import TestBed
import Testing

@testable import MySQLDump

@Suite struct EvenRangesTests {
    @Test func numbersAreCutWithoutOverflow() throws {
        let low = Int128(Int64.min)
        let high = Int128(UInt64.max)
        #expect(KeyRanges.even(low: low, high: low + 99, rows: 100, pieces: 4)?.count == 3)
        #expect(KeyRanges.even(low: high - 99, high: high, rows: 100, pieces: 2) == ["\(high - 49)"])
        // Too sparse for arithmetic, too few numbers, one piece.
        #expect(KeyRanges.even(low: low, high: high, rows: 1000, pieces: 4) == nil)
        #expect(KeyRanges.even(low: 1, high: 2, rows: 100, pieces: 4) == nil)
        #expect(KeyRanges.even(low: 1, high: 100, rows: 100, pieces: 1) == nil)
    }
}

extension RealServerTests {
    /// Tables that are read in pieces: no row is missed, none is read twice.
    @Suite struct KeyRangesTests {
        private let limit = Deadline.after(.seconds(120))

        /// Each with some hundred rows, and what it is about in its name.
        private let tables = """
            SET SESSION cte_max_recursion_depth = 100000;
            CREATE DATABASE k; USE k;
            CREATE TABLE n (i int PRIMARY KEY);
            INSERT INTO n WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 999) SELECT i FROM n;
            CREATE TABLE dense (id int PRIMARY KEY AUTO_INCREMENT, f varchar(200));
            INSERT INTO dense SELECT i + 1, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE negative (id bigint PRIMARY KEY, f varchar(200));
            INSERT INTO negative SELECT i - 500, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE big (id bigint unsigned PRIMARY KEY, f varchar(200));
            INSERT INTO big SELECT 18446744073709551615 - i * 3, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE gaps (id bigint PRIMARY KEY, f varchar(200));
            INSERT INTO gaps SELECT IF(i < 500, i, 4000000000000 + i * i), RPAD(i, 150, 'x') FROM n;
            CREATE TABLE twofold (tenant int, who varchar(40) COLLATE utf8mb4_0900_ai_ci, f varchar(200), PRIMARY KEY (tenant, who));
            INSERT INTO twofold SELECT IF(i < 900, 7, i), CONCAT(ELT(1 + i % 4, 'Ä', 'a', 'Z', 'ß'), i), RPAD(i, 150, 'x') FROM n;
            CREATE TABLE collated (who varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, f varchar(200));
            INSERT INTO collated SELECT CONCAT(ELT(1 + i % 5, 'Ä', 'b', 'Z''\\\\', '中', 'ß'), i), RPAD(i, 150, 'x') FROM n;
            CREATE TABLE japanese (who varchar(40) CHARACTER SET sjis PRIMARY KEY, f varchar(200));
            INSERT INTO japanese SELECT CONCAT(IF(i % 2, _sjis 0x835C, _sjis 0x8140), i), RPAD(i, 150, 'x') FROM n;
            CREATE TABLE bytes (b varbinary(20) PRIMARY KEY, f varchar(200));
            INSERT INTO bytes SELECT UNHEX(LEFT(SHA2(i, 256), 20)), RPAD(i, 150, 'x') FROM n;
            CREATE TABLE exact (d decimal(20,6) PRIMARY KEY, f varchar(200));
            INSERT INTO exact SELECT (i - 300) / 7, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE days (d datetime(3), x int, f varchar(200), PRIMARY KEY (d, x));
            INSERT INTO days SELECT '2024-10-27 00:00:00.5' + INTERVAL (i DIV 100) HOUR, i, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE downwards (id int, f varchar(200), PRIMARY KEY (id DESC));
            INSERT INTO downwards SELECT i * i * i, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE uniqueonly (id bigint NOT NULL, n int, f varchar(200), UNIQUE KEY (n), UNIQUE KEY u (id));
            INSERT INTO uniqueonly SELECT i * i * i, NULL, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE nokey (id int, f varchar(200));
            INSERT INTO nokey SELECT i % 10, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE approximate (id float PRIMARY KEY, f varchar(200));
            INSERT INTO approximate SELECT i + 0.1, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE choice (e enum('b', 'a'), id int, f varchar(200), PRIMARY KEY (e, id));
            INSERT INTO choice SELECT 1 + i % 2, i, RPAD(i, 150, 'x') FROM n;
            CREATE TABLE one (id int PRIMARY KEY, f varchar(200));
            INSERT INTO one VALUES (1, 'x');
            CREATE TABLE none (id int PRIMARY KEY, f varchar(200));
            ANALYZE TABLE dense, negative, big, gaps, twofold, collated, japanese, bytes, exact, days, downwards, uniqueonly, nokey, approximate, choice;
            """

        @Test(.timeLimit(.minutes(6))) func thereIsNeitherGapNorOverlap() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "target")]) { servers in
                let (source, target) = (servers[0], servers[1])
                try await source.sql(tables)
                let session = try await SourceSnapshot.openReader(source.rootOptions, deadline: limit)
                let whole = ["nokey", "approximate", "choice", "one", "none"]
                for table in try await Catalog.tables(session, schema: "k") where table.name != "n" {
                    var conditions: [String] = []
                    if let ranges = try await KeyRanges.plan(table, size: 4096, session: session) {
                        var start: [String]?
                        repeat {
                            let end = try await ranges.next(after: start, number: conditions.count, session)
                            conditions.append(ranges.condition(from: start, to: end))
                            start = end
                        } while start != nil
                    }
                    #expect((conditions.count > 5) != whole.contains(table.name), "\(table.name): \(conditions)")
                    guard !conditions.isEmpty else { continue }
                    // Every row satisfies exactly one of them.
                    let sum = conditions.map { "IF(\($0.isEmpty ? "TRUE" : $0), 1, 0)" }.joined(separator: " + ")
                    let counts = try await session.run(
                        "SELECT \(sum) AS ranges, COUNT(*) FROM \(table.quoted) GROUP BY ranges", "count")
                    #expect(counts.rows.map { $0.string(0) } == ["1"], "\(table.name): \(conditions)")
                    #expect(counts.rows.first?.string(1) == "1000", "\(table.name)")
                }
                await session.close()

                // The same by several readers, while rows at the boundaries go and come.
                var options = DumpOptions()
                options.rangeSize = 4096
                options.readers = 3
                let (wide, limit) = (options, limit)
                let churn = Task {
                    let session = try await MySQLConnection.connect(source.rootOptions, deadline: limit)
                    var round = 0
                    while !Task.isCancelled {
                        for table in ["dense", "negative", "gaps"] {
                            _ = try await session.query(
                                "UPDATE k.\(table) SET id = -100000 - id WHERE id % 7 = \(round % 7)", deadline: limit)
                            _ = try await session.query(
                                "UPDATE k.\(table) SET id = -100000 - id WHERE id < -90000", deadline: limit)
                        }
                        round += 1
                    }
                    await session.close()
                }
                let report: DumpReport
                do {
                    report = try await MySQLDump.copy(
                        from: source.connectionOptions(.agent), to: target.connectionOptions(.agent), options: wide,
                        deadline: limit)
                } catch {
                    churn.cancel()
                    _ = await churn.result
                    throw error
                }
                churn.cancel()
                _ = await churn.result
                #expect(report.tables.count == 18)
                #expect(report.tables.allSatisfy { $0.rows == ["one": 1, "none": 0][$0.name] ?? 1000 })
                for table in ["twofold", "collated", "japanese", "bytes", "exact", "days", "big", "choice"] {
                    #expect(
                        try await target.sql("CHECKSUM TABLE k.\(table)") == source.sql("CHECKSUM TABLE k.\(table)"))
                }
            }
        }
    }
}
