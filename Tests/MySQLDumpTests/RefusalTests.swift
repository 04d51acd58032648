import Foundation
import MySQLWire
import TestBed
import Testing

@testable import MySQLDump

extension RealServerTests {
    /// Files and servers that may not be used so.
    @Suite struct RefusalTests {
        private let limit = Deadline.after(.seconds(120))

        @Test(.timeLimit(.minutes(6))) func whatIsNotWholeTouchesNoServer() async throws {
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
                #expect(unprivileged?.message.contains("BACKUP_ADMIN") == true, "\(String(describing: unprivileged))")
                // Without a privilege the server lists fewer objects and refuses nothing.
                try await source.sql("GRANT SELECT, EVENT, SHOW VIEW, TRIGGER ON *.* TO repl")
                var options = DumpOptions()
                options.accounts = false
                // No moment that comes by itself.
                options.quietTime = .zero
                let noQuiet = options
                let lockless = await #expect(throws: DumpError.self) {
                    try await MySQLDump.dump(
                        from: source.connectionOptions(.replication), to: target.folder.path + "/d.sql.gz",
                        options: noQuiet, deadline: limit)
                }
                #expect(
                    lockless?.message.contains("grant LOCK TABLES") == true, "\(String(describing: lockless))")
                try await source.sql("GRANT LOCK TABLES, BACKUP_ADMIN, XA_RECOVER_ADMIN ON *.* TO repl")
                let named = try await MySQLDump.dump(
                    from: source.connectionOptions(.replication), to: target.folder.path + "/named.sql.gz",
                    options: options, deadline: limit)
                #expect(named.warnings == [])
                #expect(try await source.gtidExecuted() == named.gtidExecuted)
                try await source.sql(
                    "REVOKE LOCK TABLES, BACKUP_ADMIN, XA_RECOVER_ADMIN, TRIGGER ON *.* FROM repl")
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
                #expect(sighted.warnings.contains { $0.contains("XA_RECOVER_ADMIN") })
                #expect(!FileManager.default.fileExists(atPath: target.folder.path + "/d.sql.gz.partial"))

                #expect(try await target.gtidExecuted() == history)
                #expect(differences(before, try await fingerprint(target.rootOptions)) == [])
            }
        }

        /// What an import cannot succeed with is asked of the target before its first schema is dropped, and all of it is
        /// named.
        @Test(.timeLimit(.minutes(6))) func whatTheTargetLacksIsNamedBeforeTheWipe() async throws {
            try await withServers([(.mysql, "source")]) { sources in
                try await withServers([(.mysql, "target")], options: ["--disabled-storage-engines=MyISAM"]) { targets in
                    let (source, target) = (sources[0], targets[0])
                    try await source.sql(
                        """
                        CREATE DATABASE shop; CREATE TABLE shop.isam (a INT) ENGINE = MyISAM;
                        CREATE TABLESPACE ts1 ADD DATAFILE 'ts1.ibd'; CREATE TABLE shop.spaced (a INT) TABLESPACE ts1;
                        INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'; CREATE USER sock@localhost IDENTIFIED WITH auth_socket;
                        CREATE TABLE shop.p (n VARCHAR(10) CHARACTER SET latin1 PRIMARY KEY);
                        CREATE TABLE shop.c (n VARCHAR(10) CHARACTER SET latin1, FOREIGN KEY fk_altered (n) REFERENCES shop.p (n));
                        SET foreign_key_checks = 0; ALTER TABLE shop.p MODIFY n VARCHAR(10) CHARACTER SET utf8mb4;
                        SET time_zone = '+05:00'; CREATE TABLE shop.timed (ts TIMESTAMP, CONSTRAINT early CHECK (HOUR(ts) < 6));
                        INSERT INTO shop.timed VALUES ('2026-01-01 02:00:00');
                        """)
                    try await target.sql(
                        "CREATE DATABASE old; CREATE TABLE old.t (a INT); INSERT INTO old.t VALUES (1);")
                    let history = try await target.gtidExecuted()
                    let path = target.folder.path + "/needs.sql.gz"
                    let report = try await MySQLDump.dump(
                        from: source.connectionOptions(.agent), to: path, options: DumpOptions(), deadline: limit)
                    // Said by the dump, where nothing can be done on the target.
                    #expect(report.warnings.contains { $0.contains("fk_altered") || $0.contains("shop.p") })
                    #expect(report.warnings.contains { $0.contains("early") })
                    let (from, to, deadline) = (
                        source.connectionOptions(.agent), target.connectionOptions(.agent), limit
                    )
                    func refusal(_ way: String, _ body: () async throws -> Void) async {
                        let error = await #expect(throws: DumpError.self, "\(way)") { try await body() }
                        for word in ["MyISAM", "ts1", "auth_socket", "sock@localhost", "early", "foreign key"] {
                            #expect(error?.message.contains(word) == true, "\(way): \(String(describing: error))")
                        }
                    }
                    await refusal("copy") {
                        _ = try await MySQLDump.copy(from: from, to: to, options: DumpOptions(), deadline: deadline)
                    }
                    await refusal("import") {
                        _ = try await MySQLDump.importFile(path, into: to, options: DumpOptions(), deadline: deadline)
                    }
                    await refusal("asked") {
                        try await MySQLDump.assertCopyable(
                            from: from, to: to, options: DumpOptions(), deadline: deadline)
                    }
                    #expect(try await target.sql("SELECT a FROM old.t") == [["1"]])
                    #expect(try await target.gtidExecuted() == history)
                    #expect(try await target.sql("SHOW DATABASES LIKE 'ongoing%'") == [])
                }
            }
        }

        @Test(.timeLimit(.minutes(6))) func aMariaDBServerIsRefusedClearly() async throws {
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
