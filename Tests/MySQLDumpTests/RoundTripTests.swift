import Foundation
import MySQLWire
import Synchronization
import TestBed
import Testing

@testable import MySQLDump

/// Against real servers, one test after the other: each has up to three of them.
@Suite(.serialized) enum RealServerTests {}

extension RealServerTests {
    /// What comes out of a dump is what went in.
    @Suite struct RoundTripTests {
        private let limit = Deadline.after(.seconds(120))

        private func fill(_ server: MySQLServer) async throws {
            try await server.sql(Fixture.sql)
            try await server.sql(Fixture.accounts.components(separatedBy: "\n").prefix(3).joined(separator: "\n"))
            try await server.sql(Fixture.objects)
            try await server.sql(Fixture.accounts.components(separatedBy: "\n").dropFirst(3).joined(separator: "\n"))
            // A body in a character set in which a backslash can be half of a character.
            let session = try await MySQLConnection.connect(server.rootOptions, deadline: limit)
            _ = try await session.query("SET NAMES gbk", deadline: limit)
            _ = try await session.query(
                Array("CREATE PROCEDURE kinds.asgbk() SELECT '".utf8) + [0x95, 0x5C, 0x27], deadline: limit)
            await session.close()
        }

        /// Settings that have made other dumps lose rows, characters and names.
        private let caps = """
            SET GLOBAL sql_select_limit = 2, max_execution_time = 1, transaction_isolation = 'READ-COMMITTED', \
            sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,STRICT_ALL_TABLES,NO_ZERO_DATE', \
            time_zone = '+05:00', sql_quote_show_create = 0, completion_type = 1, autocommit = 0, \
            sql_require_primary_key = ON, sql_generate_invisible_primary_key = ON, innodb_strict_mode = ON, \
            net_write_timeout = 1, character_set_server = 'utf8mb3';
            """

        @Test(.timeLimit(.minutes(6))) func everythingComesThroughEveryWay() async throws {
            try await withServers([(.mysql, "source"), (.mysql, "copy"), (.mysql, "import")]) { servers in
                let (source, copied, imported) = (servers[0], servers[1], servers[2])
                try await fill(source)
                try await source.sql(caps)
                let before = try await source.gtidExecuted()
                let wanted = try await fingerprint(source.rootOptions)
                #expect(wanted.count > 60)

                // The target has a past of its own, all of which must go.
                try await copied.sql(
                    """
                    CREATE DATABASE old; CREATE TABLE old.t (a int); CREATE USER old@'%', writer@'%';
                    CREATE ROLE oldrole; GRANT oldrole TO writer; GRANT ALL ON *.* TO writer; SET GLOBAL read_only = ON;
                    CREATE DATABASE ongoing_rebuild; CREATE TABLE ongoing_rebuild.marker (
                      source VARCHAR(36) NOT NULL PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, saved VARCHAR(1000) NOT NULL);
                    INSERT INTO ongoing_rebuild.marker VALUES ('another', 1, '');
                    SET GLOBAL offline_mode = ON;
                    """)
                try await copied.sql(caps)
                let report = try await MySQLDump.copy(
                    from: source.connectionOptions(.agent), to: copied.connectionOptions(.agent),
                    options: DumpOptions(),
                    deadline: limit)
                #expect(report.gtidExecuted == before)
                #expect(try await copied.gtidExecuted() == before)
                // What an import leaves that was killed while clients were kept out is put right too.
                #expect(
                    try await copied.sql("SELECT @@GLOBAL.read_only, @@GLOBAL.event_scheduler, @@GLOBAL.offline_mode")
                        == [["1", "ON", "0"]])
                #expect(try await copied.sql("SELECT @@GLOBAL.max_allowed_packet") == [["67108864"]])
                try expectEqual(wanted, try await fingerprint(copied.rootOptions))
                #expect(report.warnings.contains { $0.contains("`broken`") })
                #expect(report.warnings.contains { $0.contains("`opaque`") })
                #expect(report.warnings.contains { $0.contains("forgotten") })
                #expect(report.warnings.count == 3, "\(report.warnings)")

                try await withFolder { folder in
                    let path = folder + "/dump.sql.gz"
                    // As a replica is kept while its data is saved.
                    try await source.sql("SET GLOBAL super_read_only = ON")
                    let dumped = try await MySQLDump.dump(
                        from: source.connectionOptions(.agent), to: path, options: DumpOptions(), deadline: limit)
                    #expect(try await source.gtidExecuted() == before)
                    #expect(dumped.tables == report.tables)
                    #expect(try await MySQLDump.verify(path).tables == report.tables)

                    try await imported.sql(caps)
                    let result = try await MySQLDump.importFile(
                        path, into: imported.connectionOptions(.agent), options: DumpOptions(), deadline: limit)
                    #expect(result.tables == report.tables)
                    #expect(try await imported.gtidExecuted() == before)
                    try expectEqual(wanted, try await fingerprint(imported.rootOptions))

                    // The same file through the real client.
                    try await imported.sql(
                        "SET GLOBAL sql_select_limit = DEFAULT, max_execution_time = 0, autocommit = 1, completion_type = 0"
                    )
                    try await imported.sql(
                        "DROP DATABASE `odd ``name;`; DROP DATABASE kinds; DROP DATABASE nothing; DROP USER writer, reader, aaa_role"
                    )
                    try zcat(path, into: imported)
                    try expectEqual(wanted, try await fingerprint(imported.rootOptions))

                    // One table alone, cut out of the file by what the manifest says.
                    try await imported.sql("DROP TABLE kinds.charsets")
                    try zcat(try cut("charsets", outOf: path), into: imported)
                    #expect(
                        try await imported.sql("CHECKSUM TABLE kinds.charsets")
                            == source.sql("CHECKSUM TABLE kinds.charsets"))
                }
            }
        }

        private func expectEqual(_ wanted: [String: String], _ got: [String: String]) throws {
            let normal = got.mapValues {
                $0.replacing("DISABLE ON REPLICA", with: "ENABLE").replacing("DISABLE ON SLAVE", with: "ENABLE")
            }
            #expect(got.contains { $0.key.contains("EVENT") && $0.value.contains("DISABLE ON") }, "an event would run")
            let different = differences(wanted, normal)
            #expect(different.isEmpty, "\(different.joined(separator: "\n"))")
        }

        private func cut(_ table: String, outOf path: String) throws -> String {
            let manifest = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path + ".json")))
                    as? [String: Any])
            let tables = try #require(manifest["tables"] as? [[String: Any]])
            let entry = try #require(tables.first { $0["table"] as? String == table })
            let (offset, length) = (try #require(entry["offset"] as? Int), try #require(entry["length"] as? Int))
            let whole = try Data(contentsOf: URL(filePath: path))
            let header = try #require(manifest["header_length"] as? Int)
            try (whole[..<header] + whole[offset..<offset + length]).write(to: URL(filePath: path + ".cut.gz"))
            return path + ".cut.gz"
        }

        private func zcat(_ path: String, into server: MySQLServer) throws {
            let (status, output) = try captured(
                "/bin/bash",
                [
                    "-c", "set -o pipefail; zcat \"$0\" | \"$1\" --no-defaults -uroot -S \"$2\"", path,
                    try ServerFiles.located().bin + "/mysql", server.socketPath,
                ], errors: true)
            #expect(status == 0, "\(String(decoding: output, as: UTF8.self))")
        }
    }
}
