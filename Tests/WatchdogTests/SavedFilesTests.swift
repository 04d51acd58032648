import Foundation
import Testing

@testable import Watchdog

/// What rebuilds have left in the working directory is counted, and nothing else is.
@Suite struct SavedFilesTests {
    @Test func onlyDumpsOfRebuildsAreCounted() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "saved-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let directory = WorkingDirectory(path: folder.path)
        let own = [
            directory.dumpPath(cluster: "my shop", server: .a, epoch: 12),
            "\(folder.path)/my-shop-b-20250102T030405Z-epoch1.sql.gz",
        ]
        let others = [
            "\(own[0]).txt", "\(own[0]).partial", "repl-watchdog.quorum", "nightly.sql.gz",
            "shop-c-20250102T030405Z-epoch1.sql.gz", "shop-a-yesterday-epoch1.sql.gz",
        ].map { $0.hasPrefix("/") ? $0 : "\(folder.path)/\($0)" }
        #expect(SavedFiles.find(in: folder.path).text == "no dumps of rebuilds")
        for path in own + others { try Data(count: 1 << 20).write(to: URL(filePath: path)) }
        let found = SavedFiles.find(in: folder.path)
        #expect(found.names.sorted() == own.map { URL(filePath: $0).lastPathComponent }.sorted())
        #expect(
            found.text == "2 dumps of rebuilds, 2 MiB, the oldest my-shop-b-20250102T030405Z-epoch1.sql.gz")
        #expect(SavedFiles.find(in: folder.path + "/nothing") == SavedFiles())
        // Where there is no room for the next one, they are named: these may go.
        let error = #expect(throws: AgentError.self) { try directory.check(roomFor: UInt64(Int64.max) / 2) }
        #expect(error?.message.contains("It holds 2 dumps of rebuilds") == true, "\(String(describing: error))")
    }
}
