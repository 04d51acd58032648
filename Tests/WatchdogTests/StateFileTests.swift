import Foundation
import MySQLWire
import Testing

@testable import Watchdog

/// An agent's memory on disk: whose it is, and whether it is whole.
@Suite("An agent's state file") struct StateFileTests {
    private static func configuration(
        _ folder: String, mode: Configuration.Mode = .quorum, change: (inout Configuration) -> Void = { _ in }
    ) -> Configuration {
        var configuration = Fixture.configuration()
        (configuration.workingDirectory, configuration.mode) = (folder, mode)
        change(&configuration)
        return configuration
    }

    private static var memory: DurableState {
        var durable = DurableState()
        (durable.epoch, durable.primary, durable.isInformed) = (7, Fixture.uuidA, true)
        durable.promise = DurableState.Promise(epoch: 8, on: .b)
        return durable
    }

    private static func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "memory-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private static func refusal(_ configuration: Configuration) -> AgentError? {
        do throws(AgentError) {
            _ = try DurableStateFile(configuration).read()
            return nil
        } catch {
            return error
        }
    }

    @Test func anothersMemoryIsNotTakenForItsOwn() throws {
        try Self.inFolder { folder in
            let own = Self.configuration(folder)
            try DurableStateFile(own).write(Self.memory)
            #expect(try DurableStateFile(own).read() == Self.memory)
            let others: [(String, (inout Configuration) -> Void)] = [
                ("another agent's", { $0.agent.name = "web2" }),
                (
                    "other servers'",
                    { $0.servers = .init(a: .tcp(host: "10.9.0.1", port: 3306), b: .tcp(host: "10.9.0.2", port: 3306)) }
                ),
                (
                    "a cluster's that shares one server",
                    { ($0.cluster, $0.servers.b) = ("blog", .tcp(host: "10.9.0.2", port: 3306)) }
                ),
            ]
            for (whose, change) in others {
                let error = try #require(Self.refusal(Self.configuration(folder, change: change)), "\(whose)")
                guard case .stateOfAnother = error.cause else {
                    Issue.record("\(whose): \(error)")
                    continue
                }
                #expect(error.exitStatus == 3 && error.message.hasPrefix("\(folder)/repl-watchdog.quorum "))
                #expect(error.message.contains("agent 'web1' of cluster '\(own.cluster)' (\(own.servers.a), "))
                #expect(error.message.contains("remove the file"))
            }
        }
    }

    /// What an operator may change while the memory stays good.
    @Test func whatMayChangeIsAccepted() throws {
        try Self.inFolder { folder in
            try DurableStateFile(Self.configuration(folder)).write(Self.memory)
            let changes: [(inout Configuration) -> Void] = [
                { $0.servers.b = .tcp(host: "10.9.0.2", port: 3306) },
                { $0.servers = .init(a: $0.servers.b, b: $0.servers.a) },
                { $0.cluster = "the shop" }, { $0.agents.append("web9") }, { $0.credentials.user = "other" },
            ]
            for (index, change) in changes.enumerated() {
                let file = DurableStateFile(Self.configuration(folder, change: change))
                #expect(try file.read() == Self.memory, "\(index)")
            }
            // A name that does not stand on one line is kept as well.
            let odd = Self.configuration(folder) { $0.cluster = "shop\nepoch=9, %\u{301}\r" }
            try DurableStateFile(odd).write(Self.memory)
            #expect(try DurableStateFile(odd).read() == Self.memory)
        }
    }

    @Test func everyFlippedBitIsSeen() throws {
        try Self.inFolder { folder in
            let file = DurableStateFile(Self.configuration(folder))
            try file.write(Self.memory)
            let whole = try Data(contentsOf: URL(filePath: file.path))
            for place in whole.indices {
                var damaged = whole
                damaged[place] ^= 1 << UInt8(place % 8)
                try damaged.write(to: URL(filePath: file.path))
                #expect(throws: AgentError.self, "byte \(place)") { _ = try file.read() }
            }
            for length in 0..<whole.count {
                try whole.prefix(length).write(to: URL(filePath: file.path))
                #expect(throws: AgentError.self, "\(length) bytes") { _ = try file.read() }
            }
        }
    }

    /// As versions without an owner and a checksum wrote it; the next write adds both.
    @Test func aFileOfAnOlderVersionIsTaken() throws {
        let old = """
            epoch=7
            primary=\(Fixture.uuidA)
            executed=\(Fixture.uuidA):1-20
            uuid_a=\(Fixture.uuidA)
            uuid_b=\(Fixture.uuidB)
            informed=1
            operation=8
            sync=1
            double=0
            replica_started=
            list=
            foreign=
            promise=8@b
            end

            """
        try Self.inFolder { folder in
            let file = DurableStateFile(Self.configuration(folder))
            try Data(old.utf8).write(to: URL(filePath: file.path))
            let read = try file.read()
            #expect(read.epoch == 7 && read.promise == .init(epoch: 8, on: .b) && read.sync && read.isInformed)
            #expect(read.uuids[.b] == Fixture.uuidB)
            try file.write(read)
            #expect(try file.read() == read)
            #expect(Self.refusal(Self.configuration(folder) { $0.agent.name = "web2" }) != nil)
            // And one that is to be read by an older version again.
            let text = try String(contentsOfFile: file.path, encoding: .utf8)
            #expect(DurableStateFile.parse(text) == read)
        }
    }

    @Test func bothModesTellADamagedMemoryFromNone() throws {
        try Self.inFolder { folder in
            func write(_ text: String, _ name: String) throws {
                try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)"))
            }
            let (led, quorum) = (Self.configuration(folder, mode: .routerLed), Self.configuration(folder))
            #expect(try FollowedEpoch(led).epoch == 0)
            var followed = try FollowedEpoch(led)
            try followed.note(epoch: 7)
            try followed.note(epoch: 6)
            #expect(try FollowedEpoch(led).epoch == 7)
            // A host may be given another name, but not another cluster.
            #expect(try FollowedEpoch(Self.configuration(folder, mode: .routerLed) { $0.agent.name = "w" }).epoch == 7)
            #expect(throws: AgentError.self) {
                _ = try FollowedEpoch(
                    Self.configuration(folder, mode: .routerLed) {
                        $0.servers = .init(a: .tcp(host: "10.9.0.1", port: 3306), b: .tcp(host: "10.9.0.2", port: 3306))
                    })
            }
            try write("epoch=9\n", "repl-watchdog.state")
            #expect(try FollowedEpoch(led).epoch == 9, "as it was written before")
            for damaged in ["epoch=9", "epoch=9\nprimary=\n", "epoch=x\n", "\0\0\0\0", ""] {
                try write(damaged, "repl-watchdog.state")
                #expect(throws: AgentError.self, "\(damaged)") { _ = try FollowedEpoch(led) }
                try write(damaged, "repl-watchdog.quorum")
                #expect(throws: AgentError.self, "\(damaged)") { _ = try DurableStateFile(quorum).read() }
            }
            // A promise that was cut off behind its first line is not what router-led mode wrote.
            try write("epoch=9\n", "repl-watchdog.quorum")
            #expect(throws: AgentError.self) { _ = try DurableStateFile(quorum).read() }
        }
    }
}
