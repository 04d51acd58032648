import Foundation
import Synchronization
import TestBed
import Testing

@testable import MySQLWire

/// Servers that stall, talk nonsense or go away, at each place where they can.
@Suite(.serialized)
struct FaultTests {
    /// How long after its deadline (or its cancellation) a call may end: 20 ms, and what a machine that is busy with
    /// other tests may need to let a thread run.
    static let allowance = Duration.milliseconds(80)

    struct Stall: Sendable, CustomTestStringConvertible {
        var name: String
        var phase: MySQLError.Phase
        var script: @Sendable (FakeServer.Peer) throws -> Void
        var testDescription: String { name }
    }

    static let header = frame(1, [1]) + frame(2, Packets.column("a"))

    static let stalls: [Stall] = [
        Stall(name: "accepts and says nothing", phase: .greeting) { $0.stall() },
        Stall(name: "half a greeting", phase: .greeting) {
            try $0.send(Array(frame(0, Packets.greeting()).prefix(30)))
            $0.stall()
        },
        Stall(name: "silent after the greeting", phase: .authentication) {
            try $0.send(frame(0, Packets.greeting()))
            $0.stall()
        },
        Stall(name: "silent after 0x03", phase: .authentication) {
            try $0.send(frame(0, Packets.greeting()))
            try $0.packet()
            try $0.send(frame(2, [1, 3]))
            $0.stall()
        },
        Stall(name: "silent instead of its key", phase: .authentication) {
            try $0.send(frame(0, Packets.greeting()))
            try $0.packet()
            try $0.send(frame(2, [1, 4]))
            $0.stall()
        },
        Stall(name: "silent after the statement", phase: .reply) {
            try $0.letIn()
            $0.stall()
        },
        Stall(name: "silent in the columns", phase: .reply) {
            try $0.letIn()
            try $0.packet()
            try $0.send(Array(header.prefix(12)))
            $0.stall()
        },
        Stall(name: "silent in a row", phase: .reply) {
            try $0.letIn()
            try $0.packet()
            try $0.send(header + frame(3, Packets.row(["1"])) + frame(4, Packets.row(["22222"])).prefix(6))
            $0.stall()
        },
        Stall(name: "one byte of a row each millisecond, for ever", phase: .reply) {
            try $0.letIn()
            try $0.packet()
            try $0.send(header)
            var number: UInt8 = 3
            $0.reached()
            while true {
                for byte in frame(number, Packets.row(["1"])) {
                    try $0.send([byte])
                    usleep(1000)
                }
                number &+= 1
            }
        },
    ]

    /// The connection, if it came so far.
    private final class Opened: Sendable {
        let connection = Mutex<MySQLConnection?>(nil)
    }

    private func connectAndAsk(_ options: ConnectionOptions, _ deadline: Deadline, _ opened: Opened)
        async throws
    {
        let connection = try await MySQLConnection.connect(options, deadline: deadline)
        opened.connection.withLock { $0 = connection }
        _ = try await connection.query("SELECT 1", deadline: deadline)
    }

    @Test(arguments: stalls)
    func theDeadlineEndsIt(_ stall: Stall) async throws {
        let server = try FakeServer(stall.script)
        defer { server.stop() }
        let opened = Opened()
        let (error, late) = try await onOwnThread {
            let deadline = Deadline.after(.milliseconds(150))
            let error = await failure { try await connectAndAsk(server.options, deadline, opened) }
            return (error, deadline.instant.duration(to: .now))
        }
        #expect(error?.code == .timeout)
        #expect(error?.phase == stall.phase)
        #expect(late >= .zero)
        #expect(late < Self.allowance)
        try await unusable(opened)
    }

    @Test(arguments: stalls)
    func cancellationEndsItAtOnce(_ stall: Stall) async throws {
        let server = try FakeServer(stall.script)
        defer { server.stop() }
        let opened = Opened()
        let (error, late) = try await onOwnThread {
            await withTaskGroup(of: MySQLError?.self) { group in
                group.addTask { await failure { try await connectAndAsk(server.options, soon, opened) } }
                try? await eventually("the server stalls", every: .milliseconds(10)) { server.hasStalled }
                // What it sent before has been read when this has passed, or is read before the cancellation counts.
                try? await Task.sleep(for: .milliseconds(30))
                let start = ContinuousClock.now
                group.cancelAll()
                let error = await group.next().flatMap { $0 }
                return (error, start.duration(to: .now))
            }
        }
        #expect(error?.code == .cancelled)
        #expect(error?.phase == stall.phase)
        #expect(late < Self.allowance)
        try await unusable(opened)
    }

    /// A connection whose reply was not read to its end is never used again.
    private func unusable(_ opened: Opened) async throws {
        guard let connection = opened.connection.withLock({ $0 }) else { return }
        #expect(!connection.isOpen)
        let error = await failure { _ = try await connection.query("SELECT 2", deadline: soon) }
        #expect(error?.code == .closed)
        let ping = await failure { try await connection.ping(deadline: soon) }
        #expect(ping?.code == .closed)
    }

    @Test func oneByteAtATimeIsStillAnAnswer() async throws {
        let server = try FakeServer { peer in
            try peer.sendSlowly(frame(0, Packets.greeting()))
            try peer.packet()
            try peer.sendSlowly(frame(2, [1, 3]) + frame(3, Packets.ok()))
            try peer.packet()
            try peer.sendSlowly(
                Self.header + frame(3, Packets.row(["one"])) + frame(4, Packets.row([nil]))
                    + frame(5, Packets.ok(header: 0xFE)))
            peer.stall()
        }
        defer { server.stop() }
        let connection = try await MySQLConnection.connect(server.options, deadline: soon)
        let rows = try await connection.query("SELECT a", deadline: soon).rows
        #expect(rows.map { $0.string(0) } == ["one", nil])
        #expect(connection.isOpen)
        await connection.close()
    }

    struct Nonsense: Sendable, CustomTestStringConvertible {
        var name: String
        var code: MySQLError.Code
        var script: @Sendable (FakeServer.Peer) throws -> Void
        var testDescription: String { name }

        /// An answer to the first statement.
        static func reply(_ name: String, _ code: MySQLError.Code, _ bytes: [UInt8]) -> Nonsense {
            Nonsense(name: name, code: code) {
                try $0.letIn()
                try $0.packet()
                try $0.send(bytes)
                $0.stall()
            }
        }
    }

    static let nonsense: [Nonsense] = [
        Nonsense(name: "HTTP", code: .protocolViolation) { try $0.send(Array("HTTP/1.1 400 Bad\r\n\r\n".utf8)) },
        Nonsense(name: "SSH", code: .limit) { try $0.send(Array("SSH\0-2.0-OpenSSH_9.2\r\n".utf8)) },
        Nonsense(name: "X protocol", code: .protocolViolation) { try $0.send([5, 0, 0, 0, 11, 8, 5, 26, 0]) },
        Nonsense(name: "closes at once", code: .closed) { _ in },
        Nonsense(name: "closes in the greeting", code: .closed) { try $0.send([74, 0, 0, 0, 10]) },
        Nonsense(name: "refuses before it greets", code: .server) {
            try $0.send(frame(0, Packets.error(1040, state: nil, "Too many connections")))
        },
        Nonsense(name: "a wrong number", code: .protocolViolation) { try $0.send(frame(1, Packets.greeting())) },
        Nonsense(name: "an empty greeting", code: .protocolViolation) { try $0.send(frame(0, [])) },
        Nonsense(name: "a huge packet before the authentication", code: .limit) { try $0.send([0xFF, 0xFF, 0xFF, 0]) },
        .reply("asks for a local file", .protocolViolation, frame(1, [0xFB] + Array("/etc/passwd".utf8))),
        .reply("too many columns", .limit, frame(1, [0xFC, 0xFF, 0xFF])),
        .reply("a row before its columns", .protocolViolation, frame(1, [1]) + frame(2, Packets.row(["1"]))),
        .reply("a short row", .protocolViolation, header + frame(3, [9, 1])),
        .reply("an endless length", .protocolViolation, header + frame(3, [0xFE] + [UInt8](repeating: 0xFF, count: 8))),
        .reply("an empty packet", .protocolViolation, frame(1, [])),
        .reply(
            "a column with a name of 100,000 bytes", .limit,
            frame(1, [1]) + frame(2, Packets.column(String(repeating: "n", count: 100_000)))),
        .reply("a number skipped", .protocolViolation, header + frame(4, Packets.row(["1"]))),
        .reply(
            "an error in the rows", .server, header + frame(3, Packets.row(["1"])) + frame(4, Packets.error(1317, "x"))),
        Nonsense(name: "closes in the rows", code: .closed) {
            try $0.letIn()
            try $0.packet()
            try $0.send(header + frame(3, Packets.row(["1"])))
        },
    ]

    @Test(arguments: nonsense)
    func nonsenseIsATypedError(_ nonsense: Nonsense) async throws {
        let server = try FakeServer(nonsense.script)
        defer { server.stop() }
        let opened = Opened()
        let error = await failure { try await connectAndAsk(server.options, .after(.seconds(5)), opened) }
        #expect(error?.code == nonsense.code, "\(error?.description ?? "no error")")
        #expect(error?.server == server.options.address.description)
        if nonsense.code == .protocolViolation {
            // Which packet, and where in it or after which one.
            #expect(error?.message.contains("packet") == true || error?.message.contains("byte") == true)
        }
        if nonsense.code != .server { try await unusable(opened) }
    }

    /// NULLs have no bytes of their own, and fill memory all the same.
    @Test func rowsOfNothingWithoutEndAreALimit() async throws {
        let server = try FakeServer { peer in
            try peer.letIn()
            try peer.packet()
            try peer.send(Self.header)
            var number: UInt8 = 3
            while true {
                var rows: [UInt8] = []
                for _ in 0..<1000 {
                    rows += frame(number, Packets.row([nil]))
                    number &+= 1
                }
                try peer.send(rows)
            }
        }
        defer { server.stop() }
        var options = server.options
        options.maxResultSize = 1 << 20
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        let error = await failure { _ = try await connection.query("SELECT a", deadline: soon) }
        #expect(error?.code == .limit)
        #expect(!connection.isOpen)
    }

    @Test func anUnaskedErrorOnAnIdleConnectionIsTheNextCallsError() async throws {
        let server = try FakeServer { peer in
            try peer.letIn()
            usleep(20_000)
            try peer.send(frame(0, Packets.error(4031, "disconnected by the server because of inactivity")))
        }
        defer { server.stop() }
        let connection = try await MySQLConnection.connect(server.options, deadline: soon)
        while connection.isOpen { try await Task.sleep(for: .milliseconds(5)) }
        let error = await failure { _ = try await connection.query("SELECT 1", deadline: soon) }
        #expect(error?.number == 4031)
        #expect(error?.phase == .idle)
        let again = await failure { _ = try await connection.query("SELECT 1", deadline: soon) }
        #expect(again?.code == .closed)
    }

    @Test func aSecondCallInParallelIsBusy() async throws {
        let server = try FakeServer { peer in
            try peer.letIn()
            peer.stall()
        }
        defer { server.stop() }
        let connection = try await MySQLConnection.connect(server.options, deadline: soon)
        try await withThrowingTaskGroup(of: MySQLError?.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    await failure { _ = try await connection.query("SELECT 1", deadline: .after(.milliseconds(200))) }
                }
            }
            var codes: [MySQLError.Code?] = []
            for try await error in group { codes.append(error?.code) }
            #expect(codes == [.busy, .timeout])
        }
    }

    @Test func abortWakesACallUnderWay() async throws {
        let server = try FakeServer { peer in
            try peer.letIn()
            peer.stall()
        }
        defer { server.stop() }
        let connection = try await MySQLConnection.connect(server.options, deadline: soon)
        async let error = failure { _ = try await connection.query("SELECT 1", deadline: soon) }
        try await Task.sleep(for: .milliseconds(50))
        connection.abort()
        #expect(await error?.code == .closed)
    }

    @Test func aDroppedStreamClosesItsConnection() async throws {
        let server = try FakeServer { peer in
            try peer.letIn()
            try peer.packet()
            try peer.send(Self.header + frame(3, Packets.row(["1"])))
            peer.stall()
        }
        defer { server.stop() }
        let connection = try await MySQLConnection.connect(server.options, deadline: soon)
        do {
            let stream = try await connection.stream("SELECT a", deadline: soon)
            #expect(try await stream.next(deadline: soon)?.rowCount == 1)
            let error = await failure { try await connection.ping(deadline: soon) }
            #expect(error?.code == .busy)
        }
        #expect(!connection.isOpen)
    }

    @Test func aDeadlineThatHasPassedCostsNothing() async throws {
        let server = try FakeServer { peer in
            try peer.letIn()
            try peer.packet()
            try peer.send(frame(1, Packets.ok()))
            peer.stall()
        }
        defer { server.stop() }
        let connection = try await MySQLConnection.connect(server.options, deadline: soon)
        let error = await failure { _ = try await connection.query("DO 1", deadline: .after(.zero)) }
        #expect(error?.code == .timeout)
        #expect(connection.isOpen, "nothing was sent, so nothing is in doubt")
        _ = try await connection.query("DO 1", deadline: soon)
    }

    @Test func noServer() async throws {
        let server = try FakeServer { _ in }
        server.stop()
        let refused = await failure { _ = try await MySQLConnection.connect(server.options, deadline: soon) }
        #expect(refused?.code == .refused)
        var options = server.options
        options.address = .unix(path: "/no/such/socket")
        let gone = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(gone?.code == .refused)
        options.address = .tcp(host: "no such name", port: 1)
        let unknown = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
        #expect(unknown?.code == .resolve)
    }

    @Test func anUnreachableHostEndsAtTheDeadline() async throws {
        // Its queue of connections is full: further SYN packets are dropped, as by a host that is gone.
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = bind(listener, pointer, size) + listen(listener, 0) + getsockname(listener, pointer, &size)
            }
        }
        var options = ConnectionOptions(
            address: .tcp(host: "127.0.0.1", port: UInt16(bigEndian: address.sin_port)), user: "u",
            password: Secret("p"))
        options.tls = .disabled
        let (codes, latest) = try await onOwnThread { [options] in await Self.connectMany(6, options) }
        // The queue takes one or two: they wait for a greeting.
        #expect(codes == Set([.timeout]))
        #expect(latest < Self.allowance)
    }

    @Test func manyStalledConnectionsEndInTimeAndLeaveNothingOpen() async throws {
        let server = try FakeServer { $0.stall() }
        defer { server.stop() }
        let options = server.options
        let (codes, latest) = try await onOwnThread { await Self.connectMany(64, options) }
        #expect(codes == Set([.timeout]))
        #expect(latest < Self.allowance)
        try await eventually("the server sees all connections closed") { server.openConnections == 0 }
    }

    /// Connects so many times at once, each with a deadline of its own.
    private static func connectMany(_ count: Int, _ options: ConnectionOptions) async
        -> (codes: Set<MySQLError.Code?>, latest: Duration)
    {
        await withTaskGroup(of: (MySQLError.Code?, Duration).self) { group in
            for index in 0..<count {
                group.addTask {
                    let deadline = Deadline.after(.milliseconds(100 + index))
                    let error = await failure { _ = try await MySQLConnection.connect(options, deadline: deadline) }
                    return (error?.code, deadline.instant.duration(to: .now))
                }
            }
            var codes: Set<MySQLError.Code?> = []
            var latest = Duration.zero
            for await (code, late) in group {
                codes.insert(code)
                latest = max(latest, late)
            }
            return (codes, latest)
        }
    }

    @Test func cancellationsInEveryInstant() async throws {
        let server = try FakeServer { peer in
            try peer.letIn()
            while true {
                try peer.packet()
                try peer.send(frame(1, Packets.ok()))
            }
        }
        defer { server.stop() }
        let options = server.options
        for round in 0..<1000 {
            let task = Task {
                let connection = try await MySQLConnection.connect(options, deadline: soon)
                while true { _ = try await connection.query("DO 1", deadline: soon) }
            }
            usleep(UInt32(round * 7 % 1500))
            task.cancel()
            let result = await task.result
            guard case .failure(let error) = result, let error = error as? MySQLError else {
                Issue.record("no error")
                return
            }
            #expect(error.code == .cancelled)
        }
    }
}
