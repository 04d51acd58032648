import Foundation
import Glibc
import TestBed
import Testing

@testable import MySQLDump

@Suite struct MemberWriterTests {
    /// Blocks that take differently long to compress.
    private func blocks() -> [[UInt8]] {
        var random = SystemRandomNumberGenerator()
        return (0..<60).map { (index: Int) -> [UInt8] in
            if index % 3 == 0 { return [UInt8](repeating: UInt8(index), count: 200_000) }
            var block: [UInt8] = []
            for _ in 0...(index * 1000) { block.append(UInt8.random(in: 0...255, using: &random)) }
            return block
        }
    }

    @Test(.timeLimit(.minutes(6))) func membersStandInTheOrderOfTheirBlocks() async throws {
        try await withFolder { folder in
            let path = folder + "/members.gz"
            let blocks = blocks()
            let fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
            let writer = MemberWriter(fd: fd, workers: 4)
            for (number, block) in blocks.enumerated() { #expect(try writer.add(block).get() == number) }
            let (members, sha256) = try writer.drain().get()
            close(fd)

            let file = try Data(contentsOf: URL(filePath: path))
            #expect(members.map(\.text) == blocks.map(\.count))
            #expect(members.last.map { $0.offset + UInt64($0.length) } == UInt64(file.count))
            #expect(sha256.map { String(format: "%02x", $0) }.joined() == (try run("sha256sum < \(path)").prefix(64)))
            // Every member can be cut out and stands for itself.
            for number in [0, 1, 31, 59] {
                let member = members[number]
                let text = try run(
                    "tail -c +\(member.offset + 1) \(path) | head -c \(member.length) | zcat | sha256sum")
                let wanted = SHA256Stream()
                blocks[number].withUnsafeBytes { wanted.add($0) }
                #expect(text.prefix(64) == wanted.digest().map { String(format: "%02x", $0) }.joined())
            }
            let again = open(path, O_RDONLY)
            let reader = try #require(GzipReader(fd: again))
            var text: [UInt8] = []
            while let some = try reader.next() { text += some }
            close(again)
            #expect(text == blocks.flatMap { $0 })
        }
    }

    /// A disk that gives back other bytes than it was given.
    @Test func bytesThatChangedOnTheDiskAreNoticed() async throws {
        try await withFolder { folder in
            let path = folder + "/members.gz"
            let fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
            defer { close(fd) }
            let writer = MemberWriter(fd: fd)
            for block in blocks() { _ = try writer.add(block).get() }
            let (members, sha256) = try writer.drain().get()
            let file = WrittenFile(path: path, named: path, sha256: sha256)
            try file.check(flushing: fd)
            let place = off_t(members[31].offset) + 20
            var byte: UInt8 = 0
            #expect(pread(fd, &byte, 1, place) == 1)
            byte ^= 1
            #expect(pwrite(fd, &byte, 1, place) == 1)
            let error = #expect(throws: DumpError.self) { try file.check(flushing: fd) }
            #expect(error?.message.contains("reads back as something else") == true)
            // As a digest that could not be taken.
            #expect(throws: DumpError.self) { try WrittenFile(path: path, named: path, sha256: []).check(flushing: fd) }
        }
    }

    /// A full disk is said, soon and at the end, and nobody waits for ever.
    @Test(.timeLimit(.minutes(6))) func aFullDiskIsReported() async throws {
        let fd = open("/dev/full", O_WRONLY)
        defer { close(fd) }
        let writer = MemberWriter(fd: fd, workers: 2)
        var refused = false
        for _ in 0..<100 where !refused {
            if case .failure(let error) = writer.add([UInt8](repeating: 1, count: 100_000)) {
                #expect(error.number == ENOSPC)
                refused = true
            }
        }
        #expect(refused)
        #expect(throws: SystemError(number: ENOSPC)) { _ = try writer.drain().get() }
    }

    @Test(.timeLimit(.minutes(6))) func afterCancelNothingIsWritten() async throws {
        try await withFolder { folder in
            let path = folder + "/members.gz"
            let fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
            defer { close(fd) }
            let writer = MemberWriter(fd: fd, workers: 2)
            for _ in 0..<4 { _ = writer.add([UInt8](repeating: 7, count: 500_000)) }
            writer.cancel()
            let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
            #expect(throws: SystemError(number: ECANCELED)) { _ = try writer.add([1]).get() }
            #expect(throws: SystemError(number: ECANCELED)) { _ = try writer.drain().get() }
            #expect(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int == size)
        }
    }

    private func run(_ command: String) throws -> String {
        let (_, data) = try captured("/bin/sh", ["-c", command])
        return String(decoding: data, as: UTF8.self)
    }
}
