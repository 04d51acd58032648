import Foundation
import Testing

@testable import Watchdog

@Suite("A file that is written in place") struct InPlaceFileTests {
    private static let old = "[routing:x]\ndestinations = 10.0.0.1:3306\nmode = read-write\n"
    private static let new = "[routing:x]\ndestinations = 10.0.0.200:3306\nmode = read-write\n"

    /// A crash in the middle: what was kept is there, and the file is neither the one nor the other.
    private static func crashed(
        _ text: String
    ) throws -> (folder: RoutingControlTests.Folder, path: String, record: String) {
        let folder = try RoutingControlTests.Folder()
        let (path, record) = ("\(folder.path)/router.conf", "\(folder.path)/router-file-being-written")
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        let kept = InPlaceFile.Kept(path: path, old: Array(old.utf8), new: Array(new.utf8))
        try Data(kept.bytes).write(to: URL(filePath: record))
        return (folder, path, record)
    }

    @Test("what a crash has left half written is put back")
    func halfWritten() throws {
        for length in [0, 36, 40, 60] {
            // The first bytes are the new ones, the rest is still the old.
            let mixed = String(Self.new.prefix(length)) + String(Self.old.dropFirst(length))
            try #require(length == 0 || mixed != Self.old && mixed != Self.new)
            let (folder, path, record) = try Self.crashed(length == 0 ? "" : mixed)
            try InPlaceFile(workingDirectory: folder.path).finishInterrupted()
            #expect(try String(contentsOfFile: path, encoding: .utf8) == Self.old)
            #expect(!FileManager.default.fileExists(atPath: record))
        }
    }

    @Test("what was whole, or somebody else's, stays", arguments: [old, new, old + "# mine\n", "[routing:y]\n"])
    func whole(_ text: String) throws {
        let (folder, path, record) = try Self.crashed(text)
        try InPlaceFile(workingDirectory: folder.path).finishInterrupted()
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        #expect(!FileManager.default.fileExists(atPath: record))
    }

    @Test("the next turn begins with it")
    func nextTurn() async throws {
        let folder = try RoutingControlTests.Folder()
        let path = "\(folder.path)/router.conf"
        let half = String(RoutingControlTests.text.prefix(30))
        try half.write(toFile: path, atomically: false, encoding: .utf8)
        let kept = InPlaceFile.Kept(
            path: path, old: Array(RoutingControlTests.text.utf8), new: Array(RouterFileReplaceTests.turned.utf8))
        try Data(kept.bytes).write(to: URL(filePath: "\(folder.path)/router-file-being-written"))
        #expect(
            try await RoutingControlTests.control(folder).setDestinations([
                RoutingControlTests.b, RoutingControlTests.a,
            ]))
        #expect(try String(contentsOfFile: path, encoding: .utf8) == RouterFileReplaceTests.turned)
    }

    @Test("a file that is gone, and a record that is none, are not in the way of anybody's data")
    func strange() throws {
        let (folder, path, record) = try Self.crashed("")
        try FileManager.default.removeItem(atPath: path)
        try InPlaceFile(workingDirectory: folder.path).finishInterrupted()
        #expect(!FileManager.default.fileExists(atPath: path))

        for text in ["", "1 2\n", "1 2 -3\n", "9 9 9\nabc", "99999999999999999999 1 1\na"] {
            try text.write(toFile: record, atomically: false, encoding: .utf8)
            let error = #expect(throws: RouterError.self) {
                try InPlaceFile(workingDirectory: folder.path).finishInterrupted()
            }
            #expect(error?.message.contains(record) == true)
        }
    }

    @Test("a full device: the old text is put back, and said", .enabled(if: Mount.isPossible))
    func noRoom() throws {
        let (folder, work) = (try RoutingControlTests.Folder(), try RoutingControlTests.Folder())
        try Mount.memory(folder.path, size: "8k")
        defer { Mount.end(folder.path) }
        let path = "\(folder.path)/router.conf"
        try Self.old.write(toFile: path, atomically: false, encoding: .utf8)
        let snapshot = try AtomicFile.read(path)
        let error = #expect(throws: RouterError.self) {
            try InPlaceFile(workingDirectory: work.path).write([UInt8](repeating: 35, count: 64 << 10), over: snapshot)
        }
        #expect(error?.cause == .file(errno: ENOSPC))
        #expect(error?.message.contains("the old contents were put back") == true)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == Self.old)
        #expect(try FileManager.default.contentsOfDirectory(atPath: work.path).isEmpty)
    }

    @Test("nothing is written over what somebody else has changed meanwhile")
    func changedMeanwhile() throws {
        let folder = try RoutingControlTests.Folder()
        let path = "\(folder.path)/router.conf"
        try Self.old.write(toFile: path, atomically: false, encoding: .utf8)
        let snapshot = try AtomicFile.read(path)
        try "mine now\n".write(toFile: path, atomically: false, encoding: .utf8)
        let error = #expect(throws: RouterError.self) {
            try InPlaceFile(workingDirectory: folder.path).write(Array(Self.new.utf8), over: snapshot)
        }
        #expect(error?.cause == .changedMeanwhile)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine now\n")
    }
}
