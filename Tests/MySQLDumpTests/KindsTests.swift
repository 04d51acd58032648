import Foundation
import MySQLWire
import TestBed
import Testing

@testable import MySQLDump

extension RealServerTests {
    /// Small inputs of kinds that dumps have lost or changed: what is asked of the source and of its copy must be the same.
    @Suite struct KindsTests {
        private let limit = Deadline.after(.seconds(120))

        struct Kind: Sendable, CustomTestStringConvertible {
            var name: String
            var sql: String
            /// What both servers must answer alike.
            var probes: [String]
            var testDescription: String { name }
        }

        /// Copies, and imports the file that was kept beside.
        private func carry(_ kinds: [Kind], _ check: (DumpReport) -> Void = { _ in }) async throws {
            try await withServers([(.mysql, "source"), (.mysql, "copy"), (.mysql, "import")]) { servers in
                for kind in kinds {
                    try await servers[0].sql("SET NAMES utf8mb4;\n" + kind.sql)
                }
                try await withFolder { folder in
                    let path = folder + "/d.sql.gz"
                    let report = try await MySQLDump.copy(
                        from: servers[0].connectionOptions(.agent), to: servers[1].connectionOptions(.agent),
                        keeping: path, options: DumpOptions(), deadline: limit)
                    check(report)
                    _ = try await MySQLDump.importFile(
                        path, into: servers[2].connectionOptions(.agent), options: DumpOptions(), deadline: limit)
                }
                for kind in kinds {
                    for probe in kind.probes {
                        let wanted = try await servers[0].sql("SET NAMES utf8mb4; " + probe)
                        #expect(!wanted.isEmpty, "\(kind.name): \(probe)")
                        #expect(
                            try await servers[1].sql("SET NAMES utf8mb4; " + probe) == wanted, "\(kind.name): \(probe)")
                        #expect(
                            try await servers[2].sql("SET NAMES utf8mb4; " + probe) == wanted, "\(kind.name): \(probe)")
                    }
                }
            }
        }

        @Test(.timeLimit(.minutes(2))) func tablesAreTheSame() async throws {
            try await carry([
                // The column behind the key is nullable only where it was made in strict mode.
                Kind(
                    name: "keys over expressions",
                    sql: """
                        CREATE DATABASE fx; USE fx; CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(100) NOT NULL,
                          UNIQUE KEY ((LOWER(email))), KEY ((CONCAT(email, ', '))), KEY ((IFNULL(email, 'x'))));
                        INSERT INTO users VALUES (1, 'A@b.c');
                        SET sql_mode = ''; CREATE TABLE loose LIKE users; CREATE TABLE lax (e VARCHAR(9) NOT NULL,
                          KEY ((UPPER(e)))); INSERT INTO lax VALUES ('a');
                        CREATE TABLE `mix!ed` (e VARCHAR(9) NOT NULL, KEY `k!1` ((UPPER(e)))); INSERT INTO `mix!ed` VALUES ('a');
                        SET sql_mode = 'STRICT_ALL_TABLES'; ALTER TABLE `mix!ed` ADD KEY ((LOWER(e)));
                        """,
                    probes: [
                        "CHECKSUM TABLE fx.users, fx.lax", "SHOW CREATE TABLE fx.users",
                        "SHOW CREATE TABLE fx.`mix!ed`",
                        "SHOW EXTENDED COLUMNS FROM fx.users", "SHOW EXTENDED COLUMNS FROM fx.lax",
                    ]),
                Kind(
                    name: "generated columns of another time zone",
                    sql: """
                        CREATE DATABASE z; SET time_zone = '+02:00';
                        CREATE TABLE z.t (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL, d DATE AS (DATE(ts)) STORED, KEY (d));
                        INSERT INTO z.t (id, ts) VALUES (1, '2026-01-01 00:30:00'), (2, '2026-01-01 12:00:00');
                        """, probes: ["SELECT id, UNIX_TIMESTAMP(ts) FROM z.t", "SHOW CREATE TABLE z.t"]),
                // A server prints characters of four bytes here as question marks.
                Kind(
                    name: "members of four bytes",
                    sql: """
                        CREATE DATABASE m; USE m;
                        CREATE TABLE t (id INT PRIMARY KEY, x ENUM('a''b', 'c\\\\d', '🔥', 'e,f)') CHARACTER SET utf8mb4
                          NOT NULL DEFAULT '🔥' COMMENT 'enum(''z'')', `s``q` SET('😅', 'b', '?') CHARACTER SET utf8mb4, KEY (x));
                        INSERT INTO t VALUES (1, 3, 1), (2, 2, 7), (3, 4, 6), (4, 1, NULL);
                        """,
                    probes: [
                        "SELECT id, HEX(x), x + 0, HEX(`s``q`) FROM m.t", "SELECT HEX(DEFAULT(x)) FROM m.t LIMIT 1",
                        "SELECT COUNT(*) FROM m.t WHERE x = '🔥'",
                    ]),
                // Characters that Unicode does not have.
                Kind(
                    name: "gb18030",
                    sql: """
                        CREATE DATABASE gb; CREATE TABLE gb.t (id INT PRIMARY KEY, a VARCHAR(20) CHARACTER SET gb18030);
                        INSERT INTO gb.t VALUES (1, 0xFE39FE39), (2, 0x85328338), (3, _gb18030 0xFE39FE39), (4, 'plain');
                        """, probes: ["SELECT id, HEX(a) FROM gb.t"]),
            ]) { report in
                #expect(report.warnings.filter { !$0.contains("`z`.`t`") && !$0.contains("`mix!ed`") } == [])
            }
        }
    }
}
