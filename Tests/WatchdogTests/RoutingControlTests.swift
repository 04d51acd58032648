import Foundation
import MySQLWire
import Testing

@testable import Watchdog

@Suite("The router on disk and its commands")
struct RoutingControlTests {
    /// A folder of its own, removed at the end.
    final class Folder {
        let path = NSTemporaryDirectory() + "repl-watchdog-\(UUID().uuidString)"
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    static let a = ServerAddress.tcp(host: "127.0.0.1", port: 1)
    static let b = ServerAddress.tcp(host: "127.0.0.1", port: 2)
    static let text = "# mine\n[routing:mysql_failover]\ndestinations = 127.0.0.1:1,127.0.0.1:2\n"

    static func control(
        _ folder: Folder, file: String? = nil, restart: [String] = ["true"], stop: [String] = ["true"]
    ) -> LocalRouter {
        LocalRouter(configuration: configuration(folder, file: file, restart: restart, stop: stop))
    }

    private static func configuration(
        _ folder: Folder, file: String? = nil, restart: [String] = ["true"], stop: [String] = ["true"]
    ) -> Configuration {
        Configuration(
            cluster: "test", mode: .routerLed, agents: [], workingDirectory: folder.path,
            agent: .init(name: "web1", interval: .seconds(1), probeTimeout: .milliseconds(200)),
            servers: .init(a: a, b: b),
            credentials: .init(user: "u", password: Secret("p"), tls: .disabled, caFile: nil),
            replication: .init(user: "r", password: Secret("p"), peer: nil),
            router: .init(
                address: .tcp(host: "127.0.0.1", port: 3), configFile: file ?? "\(folder.path)/router.conf",
                section: "routing:mysql_failover", restart: restart, stop: stop, destinations: .primaryFirst),
            safety: .init(
                maxLostTransactions: 0, drainTimeout: .seconds(1), operationTimeout: .seconds(10)))
    }

    @Test("replaces the file behind a symbolic link, keeps its mode, leaves nothing beside it")
    func replaces() async throws {
        let folder = try Folder()
        let real = "\(folder.path)/real.conf"
        try Self.text.write(toFile: real, atomically: false, encoding: .utf8)
        #expect(chmod(real, 0o640) == 0)
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/router.conf", withDestinationPath: "real.conf")
        let control = Self.control(folder)
        #expect(try await control.currentDestinations() == [Self.a, Self.b])
        #expect(try await control.setDestinations([Self.b, Self.a]))
        #expect(try await control.setDestinations([Self.b, Self.a]) == false)
        #expect(
            try String(contentsOfFile: real, encoding: .utf8)
                == "# mine\n[routing:mysql_failover]\ndestinations = 127.0.0.1:2,127.0.0.1:1\n")
        var status = stat()
        #expect(lstat("\(folder.path)/router.conf", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
        #expect(lstat(real, &status) == 0 && status.st_mode & 0o7777 == 0o640)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["real.conf", "router.conf"])
    }

    @Test("keeps another owner's file his", .enabled(if: getuid() == 0, "only root can give a file away"))
    func owner() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/router.conf"
        try Self.text.write(toFile: path, atomically: false, encoding: .utf8)
        #expect(chown(path, 1234, 2345) == 0)
        #expect(try await Self.control(folder).setDestinations([Self.b]))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_uid == 1234 && status.st_gid == 2345)
    }

    @Test("a missing file is an error with its path and the system's words")
    func missing() async throws {
        let folder = try Folder()
        let error = await #expect(throws: RouterError.self) {
            try await Self.control(folder).setDestinations([Self.b])
        }
        #expect(error?.cause == .file(errno: ENOENT))
        #expect(error?.message.contains("\(folder.path)/router.conf: No such file") == true)
    }

    @Test("an error about the text names the file")
    func named() async throws {
        let folder = try Folder()
        try "[x]\n".write(toFile: "\(folder.path)/router.conf", atomically: false, encoding: .utf8)
        let error = await #expect(throws: RouterError.self) { try await Self.control(folder).currentDestinations() }
        #expect(error?.message.hasPrefix("\(folder.path)/router.conf: has no section") == true)
    }

    @Test("a command that fails is reported with its status and the end of its output")
    func fails() async throws {
        let folder = try Folder()
        let control = Self.control(
            folder, restart: ["sh", "-c", "yes filler | head -n 3000; echo no such unit >&2; exit 5"])
        let error = await #expect(throws: RouterError.self) {
            try await control.restart(deadline: .after(.seconds(100)))
        }
        #expect(error?.cause == .command(status: "exited(5)"))
        #expect(error?.message.hasSuffix("no such unit") == true)
        #expect((error?.message.utf8.count ?? 0) < 3000)
    }

    @Test("a command that does not exist")
    func unknown() async throws {
        let folder = try Folder()
        let error = await #expect(throws: RouterError.self) {
            try await Self.control(folder, stop: ["/nonexistent/systemctl", "stop"]).stop(
                deadline: .after(.seconds(100)))
        }
        #expect(error?.cause == .command(status: "not started"))
    }

    @Test("a command that hangs is killed at the deadline, and its children with it")
    func hangs() async throws {
        let folder = try Folder()
        let pidFile = "\(folder.path)/pid"
        let control = Self.control(
            folder, restart: ["sh", "-c", "echo started; sleep 300 & echo $! > \(pidFile); wait"])
        var clock = ContinuousClock.now
        var error: RouterError?
        // A command that a busy machine did not let begin says nothing of its children: it is given longer then.
        for limit in [4, 16, 60] where !FileManager.default.fileExists(atPath: pidFile) {
            clock = .now
            error = await #expect(throws: RouterError.self) {
                try await control.restart(deadline: .after(.seconds(limit)))
            }
        }
        #expect(error?.cause == .commandTimeout)
        #expect(error?.message.contains("started") == true)
        // Far less than the command would take; how far depends on what else the machine does.
        #expect(clock.duration(to: .now) < .seconds(120))
        let pid = try #require(
            Int32(try String(contentsOfFile: pidFile, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
        // The child is nobody's after its parent's death; it may take a moment to be reaped.
        let end = ContinuousClock.now.advanced(by: .seconds(5))
        var gone = false
        while !gone && ContinuousClock.now < end {
            let state = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
            gone = state.isEmpty || state.contains(") Z ")
            if !gone { try await Task.sleep(for: .milliseconds(20)) }
        }
        #expect(gone)
    }

    @Test("a restart that leaves a daemon behind with our output in its hands is not waited for")
    func daemon() async throws {
        let folder = try Folder()
        let pidFile = "\(folder.path)/pid"
        let control = Self.control(folder, restart: ["sh", "-c", "sleep 300 & echo $! > \(pidFile)"])
        let clock = ContinuousClock.now
        try await control.restart(deadline: .after(.seconds(100)))
        #expect(clock.duration(to: .now) < .seconds(120))
        let pid = try #require(
            Int32(try String(contentsOfFile: pidFile, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
        // It lives: a restart that went well must not take the new router with it.
        #expect(kill(pid, 0) == 0)
        kill(pid, SIGKILL)
    }

    @Test("the agent's password is not in a command's environment")
    func environment() async throws {
        let folder = try Folder()
        setenv("REPL_WATCHDOG_PASSWORD", "hidden", 1)
        defer { unsetenv("REPL_WATCHDOG_PASSWORD") }
        try await Self.control(folder, restart: ["sh", "-c", "test -z \"$REPL_WATCHDOG_PASSWORD\""])
            .restart(deadline: .after(.seconds(100)))
    }

    /// Begins to turn to b, waits until `done` holds, and calls it off: nobody listens at the port.
    static func turnInVain(_ control: LocalRouter, until done: () -> Bool) async throws -> RouterError? {
        let turning = Task {
            try await control.turn(to: b, other: a, expectedUUID: "u", deadline: .after(.seconds(100)))
        }
        let end = ContinuousClock.now.advanced(by: .seconds(90))
        while !done(), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
        turning.cancel()
        return await #expect(throws: RouterError.self) { try await turning.value }
    }

    @Test("turn with nobody at the port: file changed, command run once, and the error says who did not answer")
    func turnUnanswered() async throws {
        let folder = try Folder()
        try Self.text.write(toFile: "\(folder.path)/router.conf", atomically: false, encoding: .utf8)
        let control = Self.control(folder, restart: ["sh", "-c", "echo once >> \(folder.path)/runs"])
        let marker = "\(folder.path)/router-restart-pending"
        let error = try await Self.turnInVain(control) {
            FileManager.default.fileExists(atPath: "\(folder.path)/runs")
                && !FileManager.default.fileExists(atPath: marker)
        }
        #expect(error?.cause == .unanswered)
        #expect(error?.message.contains("127.0.0.1:3") == true)
        #expect(try await control.currentDestinations() == [Self.b, Self.a])
        #expect(try String(contentsOfFile: "\(folder.path)/runs", encoding: .utf8) == "once\n")
    }

    @Test("a restart that failed is still pending for the next pass, which makes it good")
    func pending() async throws {
        let folder = try Folder()
        try Self.text.write(toFile: "\(folder.path)/router.conf", atomically: false, encoding: .utf8)
        let marker = "\(folder.path)/router-restart-pending"
        let error = await #expect(throws: RouterError.self) {
            try await Self.control(folder, restart: ["false"]).turn(
                to: Self.b, other: Self.a, expectedUUID: "u", deadline: .after(.seconds(100)))
        }
        #expect(error?.cause == .command(status: "exited(1)"))
        #expect(FileManager.default.fileExists(atPath: marker))
        // The file is right already; it is the marker that asks for the restart.
        let control = Self.control(folder, restart: ["touch", "\(folder.path)/restarted"])
        _ = try await Self.turnInVain(control) { !FileManager.default.fileExists(atPath: marker) }
        #expect(!FileManager.default.fileExists(atPath: marker))
        #expect(FileManager.default.fileExists(atPath: "\(folder.path)/restarted"))
    }
}

@Suite("Clients that a closed router still serves")
struct RouterConnectionsTests {
    static let list = """
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 0100007F:192E 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
           1: 0100007F:192F 0100007F:D431 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
           2: 0100007F:D431 0100007F:1930 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
           3: 0000000000000000FFFF00000100007F:1931 0000000000000000FFFF00000100007F:D431 01 00000000:00000000
        """

    @Test(
        "only one that came in at the port, and is open",
        arguments: [
            (UInt16(0x192E), nil), (0x192F, nil), (0x1930, nil), (0x31, nil),
            (0x1931, "[::ffff:127.0.0.1]:54321"),
        ])
    func established(port: UInt16, client: String?) {
        #expect(RouterConnections.established(Array(Self.list.utf8), port: port) == client)
    }

    @Test("the kernel's own list: a port that was closed while a client is served on")
    func aClientThatIsServedOn() async throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        func withAddress(_ body: (UnsafeMutablePointer<sockaddr>) -> Int32) -> Int32 {
            withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
            }
        }
        try #require(withAddress { bind(listener, $0, length) } == 0 && listen(listener, 1) == 0)
        try #require(withAddress { getsockname(listener, $0, &length) } == 0)
        let router = ServerAddress.tcp(host: "127.0.0.1", port: UInt16(bigEndian: address.sin_port))
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(withAddress { connect(client, $0, length) } == 0)
        let served = accept(listener, nil, nil)
        close(listener)
        var own = sockaddr_in()
        let known = withUnsafeMutablePointer(to: &own) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(client, $0, &length) }
        }
        try #require(known == 0)
        let name = "127.0.0.1:\(UInt16(bigEndian: own.sin_port))"
        #expect(await RouterConnections.first(at: router) == name)
        close(served)
        // Whoever else has the port by then is another client.
        #expect(await RouterConnections.first(at: router) != name)
        close(client)
    }
}
