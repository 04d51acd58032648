import Foundation
import TestBed
import Testing

@testable import MySQLDump

/// A folder that is gone afterwards.
func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appending(path: "dump-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder.path(percentEncoded: false))
}

@Suite struct DumpFileTests {
    /// A file of several members, about 3 MB of text.
    private func write(_ path: String) async throws -> DumpReport {
        let writer = DumpFileWriter(path: path)
        try await writer.open()
        try await writer.send(.directive(.begin(format: 1, version: "9.7.4", uuid: "u", gtid: "u:1-7")))
        var noise: UInt64 = 88_172_645_463_325_252
        for _ in 0..<30 {
            var statement = Array("INSERT INTO `t` (`a`) VALUES\n(0x".utf8)
            for _ in 0..<12_500 {
                noise ^= noise << 13
                noise ^= noise >> 7
                noise ^= noise << 17
                for shift in 0..<8 { statement.append(UInt8(ascii: "A") + UInt8(noise >> (shift * 8) & 7)) }
            }
            try await writer.send(.statement(statement + [UInt8(ascii: ")")]))
        }
        try await writer.send(
            .directive(.table(.init(schema: "s", name: "t", rows: 30, checksum: nil, hasJSON: false))))
        try await writer.send(.directive(.end(statements: 0, bytes: 0, crc32: 0)))
        return try await writer.finish()
    }

    private func cause(_ path: String) async -> String {
        do {
            _ = try await MySQLDump.verify(path)
            return "whole"
        } catch {
            if case .incomplete = error.cause { return "incomplete" }
            return "\(error)"
        }
    }

    @Test func aWholeFileVerifiesAndOnlyItsOwnerReadsIt() async throws {
        try await withFolder { folder in
            let path = folder + "/d.sql.gz"
            let report = try await write(path)
            #expect(report.gtidExecuted == "u:1-7")
            #expect(report.tables == [.init(schema: "s", name: "t", rows: 30)])
            #expect(try await MySQLDump.verify(path).tables == report.tables)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["d.sql.gz", "d.sql.gz.json"])
        }
    }

    @Test func everyOtherReaderOfGzipTakesAllMembers() async throws {
        try await withFolder { folder in
            let path = folder + "/d.sql.gz"
            _ = try await write(path)
            let (status, data) = try captured(
                "/bin/sh", ["-c", "gzip -t \"$0\" && zcat \"$0\" | grep -c '^INSERT'", path])
            #expect(status == 0)
            #expect(String(decoding: data, as: UTF8.self) == "30\n")
            let members = try Data(contentsOf: URL(filePath: path)).ranges(of: Data([0x1F, 0x8B, 0x08])).count
            #expect(members >= 3)
        }
    }

    @Test func aCutFileIsRefusedWhereverItIsCut() async throws {
        try await withFolder { folder in
            let path = folder + "/d.sql.gz"
            _ = try await write(path)
            let whole = try Data(contentsOf: URL(filePath: path))
            // Between two members the rest is sound gzip: only the end mark tells.
            let second = try #require(whole.ranges(of: Data([0x1F, 0x8B, 0x08])).dropFirst().first?.lowerBound)
            for length in [0, 1, 10, second, second + 5, whole.count / 2, whole.count - 9, whole.count - 1] {
                try whole.prefix(length).write(to: URL(filePath: path))
                #expect(await cause(path) == "incomplete", "cut to \(length) bytes of \(whole.count)")
            }
        }
    }

    @Test func anAlteredFileIsRefused() async throws {
        try await withFolder { folder in
            let path = folder + "/d.sql.gz"
            _ = try await write(path)
            let whole = try Data(contentsOf: URL(filePath: path))
            let starts = whole.ranges(of: Data([0x1F, 0x8B, 0x08])).map(\.lowerBound)
            for index in [0, whole.count / 3, whole.count / 2, whole.count - 4] {
                var altered = whole
                altered[index] ^= 0x10
                try altered.write(to: URL(filePath: path))
                #expect(await cause(path) == "incomplete", "byte \(index) changed")
            }
            // A whole member taken out, doubled, or something behind the end.
            try (whole[..<starts[1]] + whole[starts[2]...]).write(to: URL(filePath: path))
            #expect(await cause(path) == "incomplete")
            try (whole[..<starts[2]] + whole[starts[1]...]).write(to: URL(filePath: path))
            #expect(await cause(path) == "incomplete")
            try (whole + Data("more".utf8)).write(to: URL(filePath: path))
            #expect(await cause(path) == "incomplete")
            try (whole + whole).write(to: URL(filePath: path))
            #expect(await cause(path) == "incomplete")
        }
    }

    @Test func aFileThatIsNotThereOrCannotBeWrittenSaysSo() async throws {
        try await withFolder { folder in
            #expect(await cause(folder + "/none").contains("cannot open"))
            let writer = DumpFileWriter(path: folder + "/no/such/d.sql.gz")
            let error = await #expect(throws: DumpError.self) { try await writer.open() }
            guard case .file(_, ENOENT)? = error?.cause else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }
}

@Suite struct ItemChannelTests {
    @Test(.timeLimit(.minutes(6))) func theSenderWaitsForTheReceiver() async throws {
        let channel = ItemChannel(limit: 100)
        let item = StreamItem.statement([UInt8](repeating: 65, count: 60))
        let sender = Task {
            for _ in 0..<50 { try await channel.send(item) }
            channel.finish(.success(()))
        }
        var received = 0
        while let items = try await channel.receive() {
            #expect(items.count <= 1)
            received += items.count
        }
        try await sender.value
        #expect(received == 50)
    }

    @Test(.timeLimit(.minutes(6))) func afterTheReceiverIsGoneTheSenderFails() async throws {
        let channel = ItemChannel(limit: 1)
        let sender = Task { while true { try await channel.send(.statement("SELECT 1")) } }
        _ = try await channel.receive()
        channel.abandon(DumpError(.mismatch, "gone"))
        await #expect(throws: DumpError.self) { try await sender.value }
    }

    @Test(.timeLimit(.minutes(6))) func anErrorReachesTheReceiverBehindWhatWasSent() async throws {
        let channel = ItemChannel()
        try await channel.send(.statement("SELECT 1"))
        channel.finish(.failure(DumpError(.mismatch, "broken")))
        #expect(try await channel.receive()?.count == 1)
        await #expect(throws: DumpError.self) { _ = try await channel.receive() }
    }

    @Test(.timeLimit(.minutes(6))) func cancellingEndsAWait() async throws {
        let channel = ItemChannel()
        let receiver = Task { try await channel.receive() }
        receiver.cancel()
        await #expect(throws: DumpError.self) { _ = try await receiver.value }
    }
}
