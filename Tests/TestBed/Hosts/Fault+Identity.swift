import Foundation
import MySQLWire

/// A replica that comes back as something else than it was.
extension Fault {
    static let identity: [Fault] = [
        Fault(
            "S30", "the replica dies with a torn relay log, then the primary; the replica is back first", .stays,
            replication: .semiSynchronous
        ) {
            context in
            try await context.behind {
                context.begin()
                await context.replica.kill()
            }
            let cut = try context.tearRelayLog()
            context.note("\(cut) bytes torn off")
            // Commits hang, and the agents see what was acknowledged before.
            await context.wait(.seconds(2))
            await context.primary.kill()
            try await context.replica.start()
            let host = context.anyBackend()
            try await context.explained(["no   loss: ", "are known to be lost"], on: host)
            await context.nothingPromoted(for: .seconds(8))
            try await context.refused(["failover", "--timeout", "3s"], on: host)
            try await context.primary.start()
        },
        Fault(
            "S30b", "both die while the agents do not look; the replica is back first, without its relay log", .stays,
            replication: .semiSynchronous
        ) { context in
            for backend in context.cluster.backends { backend.freezeAgent() }
            try await context.behind {
                context.begin()
                await context.replica.kill()
            }
            await context.primary.kill()
            try await context.replica.start(["--relay-log-recovery=ON"])
            for backend in context.cluster.backends { backend.thawAgent() }
            try await context.explained(["no   loss: ", "was started anew"], on: context.anyBackend())
            await context.nothingPromoted(for: .seconds(8))
            try await context.primary.start()
        },
        Fault("S42", "the replica has the primary's server_uuid", .stays) { context in
            try await context.cloned(primaryDies: false)
        },
        Fault("S42b", "the replica has the primary's server_uuid, then the primary dies", .stays) {
            context in
            try await context.cloned(primaryDies: true)
        },
        Fault("S43", "the replica runs without GTIDs, then the primary dies", .stays) { context in
            try await context.disguised("runs without GTIDs", primaryDies: true) {
                try await context.replica.start(["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"])
            } undo: {
            }
        },
        Fault("S77", "an unrelated server has the replica's address", .stays) { context in
            try await context.replacedByAStranger()
        },
    ]
}

extension Fault.Context {
    fileprivate func replacedByAStranger() async throws {
        let files = FileManager.default
        let (data, aside) = (replica.folder.path + "/data", replica.folder.path + "/data.aside")
        try replica.folder.write(
            "init.sql",
            """
            SET GLOBAL super_read_only = OFF;
            CREATE DATABASE accounting;
            CREATE TABLE accounting.books (page INT PRIMARY KEY) SELECT 1 AS page;
            SET GLOBAL super_read_only = ON;

            """)
        try await disguised("never part of this cluster", primaryDies: false) {
            try files.moveItem(atPath: data, toPath: aside)
            try await replica.prepare()
            try await replica.start(["--init-file=\(replica.folder.path)/init.sql"])
        } undo: {
            if !files.fileExists(atPath: data + "/accounting/books.ibd") { violation("the stranger was wiped") }
            try files.removeItem(atPath: data)
            try files.moveItem(atPath: aside, toPath: data)
        }
    }

    fileprivate func cloned(primaryDies: Bool) async throws {
        let file = "data/auto.cnf"
        let own = replica.folder.read(file)
        try await disguised("both addresses lead to one server", primaryDies: primaryDies) {
            try replica.folder.write(file, primary.folder.read(file))
            try await replica.start()
        } undo: {
            try replica.folder.write(file, own)
        }
    }

    /// Stops the replica and starts it as something that no rule provides for: that is said, and nothing is promoted, also
    /// not when the primary dies. An operator undoes it when the primary is back.
    fileprivate func disguised(
        _ words: String, primaryDies: Bool, _ change: () async throws -> Void, undo: () throws -> Void
    ) async throws {
        let host = anyBackend()
        begin()
        await replica.stop()
        try await change()
        let status = try await explained([words], on: host)
        if status != 2 { violation("explain ended with \(status), not with 2") }
        await nothingPromoted(for: .seconds(5))
        // What nobody knows of the replica says nothing about the primary.
        try await eventually("the primary goes on without it", within: .seconds(10)) {
            trial.writers.log.acknowledged(since: .now - .seconds(2)).count > 100
        }
        if primaryDies {
            await primary.kill()
            await nothingPromoted(for: .seconds(8))
            try await refused(["failover", "--timeout", "3s"], on: host)
            try await primary.start()
        }
        await replica.stop()
        try undo()
        try await replica.start()
    }

    /// Does something while the replica has received, and acknowledged, more than it has applied.
    fileprivate func behind(_ body: () async throws -> Void) async throws {
        let session = try await MySQLConnection.connect(replica.rootOptions, deadline: .after(.seconds(5)))
        defer { session.abort() }
        _ = try await session.query("LOCK TABLES shop.written READ", deadline: .after(.seconds(5)))
        let locked = ContinuousClock.now
        try await eventually("rows are acknowledged and not applied", within: .seconds(10)) {
            trial.writers.log.acknowledged(since: locked + .milliseconds(500)).count > 100
        }
        try await body()
    }

    /// Cuts the newest transactions off the replica's relay log, the first of them in the middle.
    fileprivate func tearRelayLog() throws -> Int {
        let folder = replica.folder.path + "/data"
        let logs = try FileManager.default.contentsOfDirectory(atPath: folder).filter { name in
            name.hasPrefix("relay.") && name.dropFirst(6).allSatisfy(\.isNumber)
        }
        guard let newest = logs.max() else { throw TestBedError("no relay log in \(folder)") }
        let file = try FileHandle(forUpdating: URL(filePath: "\(folder)/\(newest)"))
        defer { try? file.close() }
        let cut = Int(between(.milliseconds(4000), .milliseconds(9000)) / .milliseconds(1))
        let size = Int(try file.seekToEnd())
        guard size > cut + 1000 else { throw TestBedError("\(newest) has only \(size) bytes") }
        try file.truncate(atOffset: UInt64(size - cut))
        return cut
    }
}
