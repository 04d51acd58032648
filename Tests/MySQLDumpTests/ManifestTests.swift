import Foundation
import TestBed
import Testing

@testable import MySQLDump

@Suite struct ManifestTests {
    /// A dump of two tables, the second of several members.
    private func write(_ path: String) async throws {
        let writer = DumpFileWriter(path: path)
        try await writer.open()
        try await writer.send(.directive(.begin(format: 1, version: "9.7.4", uuid: "u", gtid: "u:1-7")))
        try await writer.send(.statement("SET NAMES utf8mb4"))
        var random = SystemRandomNumberGenerator()
        for (table, statements) in [("a\"b", 1), ("c", 30)] {
            try await writer.send(.directive(.section(schema: "s", table: table)))
            try await writer.send(.directive(.data(schema: "s", table: table)))
            for _ in 0..<statements {
                let digits = (0..<100_000).map { _ in UInt8.random(in: 0x30...0x39, using: &random) }
                try await writer.send(
                    .statement(Array("INSERT INTO `\(table)` VALUES ('".utf8) + digits + Array("')".utf8)))
            }
        }
        try await writer.send(.directive(.section(schema: "", table: "")))
        for (table, rows) in [("a\"b", UInt64(1)), ("c", 30)] {
            try await writer.send(
                .directive(.table(.init(schema: "s", name: table, rows: rows, checksum: "77", hasJSON: false))))
        }
        try await writer.send(.directive(.warning("ümläut \"x\"\n")))
        try await writer.send(.directive(.end(statements: 0, bytes: 0, crc32: 0)))
        _ = try await writer.finish()
    }

    @Test func itSaysWhatAndWhere() async throws {
        try await withFolder { folder in
            let path = folder + "/d.sql.gz"
            try await write(path)
            let data = try Data(contentsOf: URL(filePath: path + ".json"))
            let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            #expect(json["gtid_executed"] as? String == "u:1-7")
            #expect(json["warnings"] as? [String] == ["ümläut \"x\"\n"])
            #expect((json["tool"] as? String)?.hasPrefix("repl-watchdog ") == true)
            let (_, digest) = try captured("/usr/bin/sha256sum", [path])
            #expect(json["sha256"] as? String == String(decoding: digest.prefix(64), as: UTF8.self))
            let tables = try #require(json["tables"] as? [[String: Any]])
            #expect(tables.map { $0["table"] as? String } == ["a\"b", "c"])
            #expect(tables.map { $0["rows"] as? Int } == [1, 30])
            #expect(tables.map { $0["checksum"] as? String } == ["77", "77"])

            // One table, cut out of the file with what must stand before it.
            let header = try #require(json["header_length"] as? Int)
            let offset = try #require(tables[1]["offset"] as? Int)
            let length = try #require(tables[1]["length"] as? Int)
            let (status, text) = try captured(
                "/bin/sh",
                ["-c", "(head -c \(header) \"$0\"; tail -c +\(offset + 1) \"$0\" | head -c \(length)) | zcat", path])
            #expect(status == 0)
            let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
            #expect(lines.contains("SET NAMES utf8mb4;"))
            #expect(lines.count { $0.hasPrefix("INSERT INTO `c`") } == 30)
            #expect(!lines.contains { $0.contains("a\"b") || $0.hasPrefix("-- @table") })
            #expect((tables[1]["members"] as? [[Int]])?.count ?? 0 >= 3)
        }
    }

    private func refusal(_ path: String) async -> String? {
        do {
            _ = try await MySQLDump.verify(path)
            return nil
        } catch {
            guard case .incomplete = error.cause else { return "\(error)" }
            return error.message
        }
    }

    @Test func aFileThatIsNotItsManifestsIsRefused() async throws {
        try await withFolder { folder in
            let (one, two) = (folder + "/1.sql.gz", folder + "/2.sql.gz")
            try await write(one)
            try await write(two)
            #expect(await refusal(one) == nil)
            let manifest = try String(contentsOfFile: one + ".json", encoding: .utf8)

            // Whole, but another one.
            try FileManager.default.removeItem(atPath: one)
            try FileManager.default.copyItem(atPath: two, toPath: one)
            #expect(await refusal(one)?.contains("SHA-256") == true)
            // The manifest of this file, but for a row.
            let own = try String(contentsOfFile: two + ".json", encoding: .utf8)
            try own.replacing("\"rows\": 30", with: "\"rows\": 31").write(
                toFile: two + ".json", atomically: true, encoding: .utf8)
            #expect(await refusal(two)?.contains("manifest") == true)
            for broken in ["", "{", "[]", "{\"format\": 2}", String(manifest.dropLast(4)), manifest + "x"] {
                try broken.write(toFile: two + ".json", atomically: true, encoding: .utf8)
                #expect(await refusal(two)?.contains("is no manifest") == true, "\(broken.prefix(20))")
            }
            // Without one the file's own end mark decides, and that is said.
            try FileManager.default.removeItem(atPath: two + ".json")
            #expect(try await MySQLDump.verify(two).warnings.contains { $0.contains(".json is missing") })
        }
    }

    @Test func jsonIsReadAsItIsWritten() throws {
        let text = "ü \"\\\n\u{1}\u{7F}\u{1F300}"
        #expect(JSON.parse(Array(JSON.quote(text).utf8)) == .string(text))
        let document = JSON.parse(Array(#" {"a": [1, -2.5e3, null, true, "\u00fc\/"], "b": {}} "#.utf8))
        #expect(document?["a"]?.array?.count == 5)
        #expect(document?["a"]?.array?.first?.unsigned == 1)
        #expect(document?["a"]?.array?.last == .string("ü/"))
        for bad in ["", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "\"\\ud800\"", "nul", "1 2", "\"a\nb\""] {
            #expect(JSON.parse(Array(bad.utf8)) == nil, "\(bad)")
        }
        #expect(JSON.parse(Array((String(repeating: "[", count: 5000)).utf8)) == nil)
    }
}

@Suite struct SideFileTests {
    /// A disk that takes nothing, and says nothing.
    private actor StuckDisk: DumpFileEnd {
        private(set) var discarded = false
        func open() {}
        func send(_ item: StreamItem) async { try? await Task.sleep(for: .seconds(3600)) }
        func finish() async throws(DumpError) -> DumpReport { throw DumpError(.cancelled, "never") }
        func discard() { discarded = true }
    }

    @Test(.timeLimit(.minutes(6))) func aDiskThatIsStuckIsGivenUpAndTheRestGoesOn() async throws {
        let channel = ItemChannel(limit: 1 << 30)
        let file = SideFile(path: "/nowhere", patience: .milliseconds(300), limit: 1000, writer: StuckDisk())
        let tee = TeeSink(target: channel, file: file)
        for _ in 0..<200 { try await tee.send(.statement([UInt8](repeating: 65, count: 500))) }
        channel.finish(.success(()))
        #expect(try await channel.receive()?.count == 200)
        guard case .failed(let error) = await file.finish() else {
            Issue.record("a file was promised")
            return
        }
        #expect(error.message.contains("took nothing"))
    }

    @Test(.timeLimit(.minutes(6))) func aDiskThatIsFullEndsTheFileOnly() async throws {
        try await withFolder { folder in
            let channel = ItemChannel(limit: 1 << 30)
            let file = SideFile(path: folder + "/none/d.sql.gz", patience: .seconds(30))
            let tee = TeeSink(target: channel, file: file)
            for _ in 0..<20 { try await tee.send(.statement([UInt8](repeating: 65, count: 500_000))) }
            guard case .failed(let error) = await file.finish(), case .file(_, ENOENT) = error.cause else {
                Issue.record("a file was promised")
                return
            }
            channel.finish(.success(()))
            #expect(try await channel.receive()?.count == 20)
        }
    }
}
