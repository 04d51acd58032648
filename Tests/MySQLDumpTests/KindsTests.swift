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
            /// Of the client that makes it; the character set's name is MySQL's.
            var client: (name: String, encoding: String.Encoding)?
            var testDescription: String { name }
        }

        /// Copies, and imports the file that was kept beside.
        private func carry(_ kinds: [Kind], _ check: (DumpReport) -> Void = { _ in }) async throws {
            try await withServers([(.mysql, "source"), (.mysql, "copy"), (.mysql, "import")]) { servers in
                for kind in kinds {
                    guard let client = kind.client else {
                        try await servers[0].sql("SET NAMES utf8mb4;\n" + kind.sql)
                        continue
                    }
                    let session = try await MySQLConnection.connect(servers[0].rootOptions, deadline: limit)
                    _ = try await session.query("SET NAMES \(client.name)", deadline: limit)
                    for statement in kind.sql.components(separatedBy: "\n") where !statement.isEmpty {
                        let bytes = try #require(statement.data(using: client.encoding))
                        _ = try await session.query(Array(bytes), deadline: limit)
                    }
                    await session.close()
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

        @Test(.timeLimit(.minutes(6))) func tablesAreTheSame() async throws {
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
                // Only ALLOW_INVALID_DATES takes them.
                Kind(
                    name: "invalid dates",
                    sql: """
                        CREATE DATABASE dates; SET sql_mode = 'ALLOW_INVALID_DATES'; CREATE TABLE dates.t (d DATE, e DATETIME);
                        INSERT INTO dates.t VALUES ('2020-02-31', '2020-02-31 10:00:00'), ('2021-04-31', '2021-04-31 00:00:00');
                        """, probes: ["SELECT CAST(d AS CHAR), CAST(e AS CHAR) FROM dates.t", "CHECKSUM TABLE dates.t"]),
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

        /// Names are compared exactly, and what people keep in the server's own schemas is theirs.
        @Test(.timeLimit(.minutes(6))) func whatLiesBesideTheServersOwnIsCarried() async throws {
            let schemas = ["MySQL", "Sys", "ndbinfo", "NDBINFO"]
            try await carry([
                Kind(
                    name: "schemas and tables",
                    sql: schemas.map {
                        "CREATE DATABASE `\($0)`; CREATE TABLE `\($0)`.t (a INT PRIMARY KEY); INSERT INTO `\($0)`.t VALUES (1);"
                    }.joined() + """
                        CREATE TABLE mysql.dsns (id INT PRIMARY KEY, dsn VARCHAR(255)); INSERT INTO mysql.dsns VALUES (1, 'h=1');
                        CREATE TABLE sys.notes (a INT PRIMARY KEY); INSERT INTO sys.notes VALUES (7);
                        CREATE PROCEDURE mysql.mine() SELECT 1; CREATE FUNCTION sys.mine() RETURNS INT DETERMINISTIC RETURN 2;
                        CREATE VIEW sys.seen AS SELECT a FROM sys.notes;
                        CREATE TRIGGER sys.tr BEFORE INSERT ON sys.notes FOR EACH ROW SET @x = 1;
                        CREATE EVENT mysql.e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;
                        """,
                    probes: schemas.map { "CHECKSUM TABLE `\($0)`.t" } + [
                        "CHECKSUM TABLE mysql.dsns, sys.notes", "SELECT a, sys.mine() FROM sys.seen",
                        "CALL mysql.mine()",
                        "SELECT ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'sys' AND TRIGGER_NAME = 'tr'",
                        "SELECT EVENT_NAME FROM information_schema.EVENTS",
                        "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'sys'",
                        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('sys', 'mysql')",
                    ]),
                Kind(
                    name: "read-only schema",
                    sql: """
                        CREATE DATABASE ro; CREATE TABLE ro.t (a INT PRIMARY KEY); INSERT INTO ro.t VALUES (1);
                        ANALYZE TABLE ro.t UPDATE HISTOGRAM ON a; ALTER DATABASE ro READ ONLY = 1;
                        """, probes: ["SHOW CREATE DATABASE ro", "CHECKSUM TABLE ro.t"]),
                Kind(
                    name: "accounts",
                    sql: """
                        CREATE USER rot IDENTIFIED BY 'old'; ALTER USER rot IDENTIFIED BY 'new' RETAIN CURRENT PASSWORD;
                        CREATE USER 'mysql.app'@localhost IDENTIFIED BY 'x'; GRANT SELECT ON ro.* TO 'mysql.app'@localhost;
                        CREATE USER iv IDENTIFIED BY 'x' PASSWORD EXPIRE INTERVAL 5 DAY; ALTER USER iv PASSWORD EXPIRE;
                        CREATE USER kept IDENTIFIED BY 'x' PASSWORD HISTORY 5; ALTER USER kept IDENTIFIED BY 'y';
                        """,
                    probes: [
                        "SELECT user, host, plugin, authentication_string, User_attributes, password_lifetime, password_expired"
                            + " FROM mysql.user ORDER BY 1, 2", "SHOW GRANTS FOR 'mysql.app'@localhost",
                    ]),
            ]) { report in
                #expect(report.omissions == ["the password history of 1 accounts is not carried: 'kept'@'%'"])
            }
        }

        /// A target's schemas that are read-only, and its second passwords, do not outlive the copy.
        @Test(.timeLimit(.minutes(6))) func aTargetsOwnLocksAndPasswordsGo() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "copy")]) { servers in
                let accounts = "CREATE USER rot IDENTIFIED BY 'new';"
                try await servers[0].sql("CREATE DATABASE shop; CREATE TABLE shop.t (a INT PRIMARY KEY); \(accounts)")
                try await servers[1].sql(
                    """
                    CREATE USER rot IDENTIFIED BY 'stolen'; ALTER USER rot IDENTIFIED BY 'b' RETAIN CURRENT PASSWORD;
                    CREATE DATABASE old; CREATE TABLE old.t (a INT); ALTER DATABASE old READ ONLY = 1;
                    """)
                _ = try await MySQLDump.copy(
                    from: servers[0].connectionOptions(.agent), to: servers[1].connectionOptions(.agent),
                    options: DumpOptions(), deadline: limit)
                #expect(try await servers[1].sql("SHOW DATABASES LIKE 'old'") == [])
                #expect(
                    try await servers[1].sql(
                        "SELECT IFNULL(User_attributes, 'none') FROM mysql.user WHERE user = 'rot'")
                        == [["none"]])
            }
        }

        /// Names, comments and types are printed as UTF-8, bodies as their authors wrote them.
        @Test(.timeLimit(.minutes(6))) func objectsOfOtherClientsAreTheSame() async throws {
            func objects(_ schema: String, _ word: String) -> (sql: String, probes: [String]) {
                (
                    """
                    CREATE DATABASE \(schema)
                    USE \(schema)
                    CREATE TABLE `t_\(word)` (`c_\(word)` VARCHAR(20) COMMENT '\(word)')
                    CREATE PROCEDURE `p_\(word)`(`a_\(word)` ENUM('\(word))', 'b'), OUT o DECIMAL(10,2)) COMMENT '\(word) it''s' SELECT '\(word)', `c_\(word)` FROM `t_\(word)`
                    CREATE FUNCTION `f_\(word)`() RETURNS ENUM('\(word)', 'x') DETERMINISTIC COMMENT '\(word)' RETURN '\(word)'
                    CREATE EVENT `e_\(word)` ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'DO \(word)' DO INSERT INTO `t_\(word)` VALUES ('\(word)')
                    CREATE TRIGGER `tr_\(word)` BEFORE INSERT ON `t_\(word)` FOR EACH ROW SET @x = '\(word)'
                    CREATE VIEW `v_\(word)` AS SELECT `c_\(word)` AS `x_\(word)`, '\(word)' AS y FROM `t_\(word)`
                    """,
                    [
                        "SELECT ROUTINE_NAME, DTD_IDENTIFIER, ROUTINE_DEFINITION, ROUTINE_COMMENT, CHARACTER_SET_CLIENT FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '\(schema)' ORDER BY 1, 2",
                        "SELECT PARAMETER_NAME, DTD_IDENTIFIER FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA = '\(schema)' ORDER BY 1, 2",
                        "SELECT EVENT_NAME, EVENT_DEFINITION, EVENT_COMMENT, CHARACTER_SET_CLIENT FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '\(schema)' ORDER BY 1, 2",
                        "SELECT TRIGGER_NAME, ACTION_STATEMENT, EVENT_OBJECT_TABLE, CHARACTER_SET_CLIENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '\(schema)' ORDER BY 1, 2",
                        "SELECT TABLE_NAME, VIEW_DEFINITION, CHARACTER_SET_CLIENT FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '\(schema)' ORDER BY 1, 2",
                        "SHOW CREATE TABLE \(schema).`t_\(word)`",
                    ]
                )
            }
            var kinds: [Kind] = []
            for (schema, word, client, encoding) in [
                ("n0", "größe", "latin1", String.Encoding.windowsCP1252), ("n1", "столбец", "cp1251", .windowsCP1251),
                ("n2", "žluť", "cp1250", .windowsCP1250), ("n3", "žluť", "latin2", .isoLatin2),
                ("n4", "größe😀", "utf8mb4", .utf8),
            ] {
                let (sql, probes) = objects(schema, schema == "n4" ? "größe" : word)
                kinds.append(Kind(name: client, sql: sql, probes: probes, client: (client, encoding)))
            }
            kinds.append(
                Kind(
                    name: "NO_BACKSLASH_ESCAPES",
                    sql: #"""
                        CREATE DATABASE nb; USE nb; SET sql_mode = 'NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE';
                        CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'x' DO SELECT 'a';
                        CREATE EVENT e2 ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'C:\temp\new''s' DO SELECT 'a';
                        CREATE PROCEDURE p(a ENUM('', 'b)')) COMMENT 'C:\temp\new' SELECT 'C:\temp';
                        CREATE TABLE t (a INT COMMENT 'C:\temp\new');
                        CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @x = '\'; CREATE VIEW v AS SELECT '\' AS x;
                        CREATE FUNCTION f() RETURNS ENUM('a','b') DETERMINISTIC COMMENT 'x' RETURN 'b';
                        """#,
                    probes: objects("nb", "").probes.dropLast(1) + ["SHOW CREATE TABLE nb.t", "SELECT nb.f()"]))
            try await carry(kinds) { report in #expect(report.warnings == []) }
        }

        /// What its server cannot show, or no server takes, is named; the rows arrive.
        @Test(.timeLimit(.minutes(6))) func oneBrokenObjectCostsNoRows() async throws {
            try await carry([
                Kind(
                    name: "broken objects",
                    sql: """
                        CREATE DATABASE b; USE b; CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 2);
                        CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW SET @x = OLD.b; ALTER TABLE t DROP COLUMN b;
                        CREATE TABLE j (id INT PRIMARY KEY, doc JSON); INSERT INTO j VALUES (1, '[{"a":1}]');
                        CREATE VIEW jv AS SELECT jt.* FROM j, JSON_TABLE(doc, '$[*]' COLUMNS (a INT PATH '$')) jt;
                        ALTER TABLE j DROP COLUMN doc;
                        CREATE USER gone@localhost; GRANT ALL ON b.* TO gone@localhost;
                        CREATE DEFINER = gone@localhost FUNCTION f_def() RETURNS INT DETERMINISTIC RETURN 1;
                        CREATE VIEW v_fn AS SELECT f_def() AS x; CREATE DEFINER = gone@localhost VIEW a_inner AS SELECT a FROM t;
                        CREATE VIEW b_outer AS SELECT a FROM a_inner; DROP USER gone@localhost;
                        CREATE EVENT past ON SCHEDULE AT NOW() + INTERVAL 1 SECOND DISABLE DO SELECT 1; DO SLEEP(2);
                        SET NAMES utf8mb4; CREATE FUNCTION wide() RETURNS ENUM('🔥', 'x') DETERMINISTIC RETURN '🔥';
                        """, probes: ["CHECKSUM TABLE b.t", "SELECT COUNT(*) FROM b.j"])
            ]) { report in
                #expect(report.omissions.contains { $0.contains("`tr`") }, "\(report.omissions)")
                #expect(report.omissions.contains { $0.contains("`jv`") }, "\(report.omissions)")
                #expect(report.omissions.contains { $0.contains("`past`") }, "\(report.omissions)")
                #expect(report.omissions.contains { $0.contains("`wide`") }, "\(report.omissions)")
            }
        }
    }
}
