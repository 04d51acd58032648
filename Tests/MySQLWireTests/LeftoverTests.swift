import Foundation
import Glibc
import TestBed
import Testing

@testable import MySQLWire

/// A thousand calls that end at their deadline, or are cancelled, at each place where a server can stall: in time, and
/// without anything left. The calls are made in a process of their own, where nobody else opens descriptors; the
/// server runs in the process of the tests.
@Suite(.serialized)
struct LeftoverTests {
    struct Stall: Sendable, CustomTestStringConvertible {
        var name: String
        var phase: MySQLError.Phase
        var tls = TLSMode.disabled
        var steps: [[UInt8]]
        var testDescription: String { name }
    }

    static let hello = frame(0, Packets.greeting())
    static let letIn = frame(2, [1, 3]) + frame(3, Packets.ok())
    static let row = frame(1, [1]) + frame(2, Packets.column("a")) + frame(3, Packets.row(["22222"]))

    static let stalls = [
        Stall(name: "no greeting", phase: .greeting, steps: []),
        Stall(name: "after the greeting", phase: .authentication, steps: [hello]),
        Stall(
            name: "in the TLS hello", phase: .tls, tls: .required,
            steps: [frame(0, Packets.greeting(without: []))]),
        Stall(name: "in the authentication", phase: .authentication, steps: [hello, frame(2, [1, 4])]),
        Stall(name: "in the columns", phase: .reply, steps: [hello, letIn, Array(row.prefix(12))]),
        Stall(name: "in a row", phase: .reply, steps: [hello, letIn, row.dropLast(2)]),
    ]

    @Test(arguments: stalls.indices)
    func deadlinesHoldAndNothingIsLeft(_ index: Int) async throws {
        let stall = Self.stalls[index]
        let server = try StallServer(steps: stall.steps)
        defer { server.stop() }
        let result = try await #require(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) { [port = server.port as UInt16, index] in
            try await Crowd(port: port, stall: LeftoverTests.stalls[index]).run(.deadline)
        }
        Self.show(result)
        try await eventually("the server sees all connections closed") { server.openConnections == 0 }
    }

    @Test(arguments: stalls.indices)
    func cancellationLeavesNothing(_ index: Int) async throws {
        let stall = Self.stalls[index]
        let server = try StallServer(steps: stall.steps)
        defer { server.stop() }
        let result = try await #require(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) { [port = server.port as UInt16, index] in
            try await Crowd(port: port, stall: LeftoverTests.stalls[index]).run(.cancellation)
        }
        Self.show(result)
        try await eventually("the server sees all connections closed") { server.openConnections == 0 }
    }

    private static func show(_ result: ExitTest.Result) {
        for line in String(decoding: result.standardOutputContent, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix("leftovers") {
            print(line)
        }
    }
}

/// Many clients of one server, and what they leave in their process.
private struct Crowd: Sendable {
    static let size = 1000
    /// A call ends at most this long after its deadline, and what its threads must wait for a core of a busy machine.
    static let allowance = Duration.milliseconds(20)

    enum Ending: String { case deadline, cancellation }

    var port: UInt16
    var stall: LeftoverTests.Stall

    func run(_ ending: Ending) async throws {
        // What the process makes once and keeps: the reactor, the TLS context, the threads of the pool, and the timers
        // of Task.sleep and of Dispatch with their descriptors (epoll, eventfd, a timerfd for each).
        try await Task.sleep(for: .milliseconds(5))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<64 { group.addTask { _ = await call(.after(.milliseconds(50))) } }
        }
        var looks = 0
        try await eventually("the reactor is empty", every: .milliseconds(5)) {
            looks += 1
            return try looks > 1 && Self.census() == (0, 0)
        }
        let descriptors = Self.descriptors()
        let threads = Self.threads()

        // On a busy machine the second or third attempt leaves enough time for all to come to the stall.
        for delay in [Duration.milliseconds(1200), .seconds(4), .seconds(12)] {
            let (ends, waited) = try await onOwnThread {
                let before = Self.waitedForCores()
                let ends = await ending == .deadline ? deadlines(delay) : cancellations(delay)
                return (ends, Self.waitedForCores() - before)
            }
            let late = ends.map(\.late).sorted()
            let bound = Self.allowance + waited
            #expect(Set(ends.map(\.code)) == [ending == .deadline ? .timeout : .cancelled])
            #expect(late[0] >= .zero, "nobody gives up before his deadline")
            #expect(late[Self.size - 1] < bound)
            print(
                "leftovers", stall.name, ending.rawValue, "late: median", late[Self.size / 2], "99 %",
                late[Self.size * 99 / 100], "most", late[Self.size - 1], "threads waited for a core", waited)
            if ends.count(where: { $0.phase == stall.phase }) > Self.size / 2 { break }
            #expect(delay < .seconds(12), "most never came to the stall: \(Set(ends.map(\.phase)))")
        }

        #expect(try Self.census().registrations == 0)
        if ending == .deadline {
            try await eventually("no timer is left", within: .seconds(5)) { try Self.census().timers == 0 }
        } else {
            // Their deadlines are far away: all but what is kept to be thrown out in one go has gone.
            #expect(try Self.census().timers <= Reactor.staleTimers)
        }
        try await eventually("the threads are as before", within: .seconds(5)) { Self.threads() <= threads }
        // The reactor's thread closes what a cancelled call leaves, a moment after the call has ended.
        try? await eventually("the descriptors are as before", within: .seconds(5)) {
            Self.descriptors() == descriptors
        }
        #expect(Self.descriptors() == descriptors)
    }

    private struct End: Sendable {
        var code: MySQLError.Code?
        var phase: MySQLError.Phase?
        var late: Duration
    }

    private func deadlines(_ delay: Duration) async -> [End] {
        let base = Deadline.after(delay).instant
        return await withTaskGroup(of: End.self) { group in
            for index in 0..<Self.size {
                group.addTask {
                    let deadline = Deadline(base.advanced(by: .microseconds(500 * index)))
                    let error = await call(deadline)
                    return End(code: error?.code, phase: error?.phase, late: deadline.instant.duration(to: .now))
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func cancellations(_ delay: Duration) async -> [End] {
        var tasks: [Task<(MySQLError?, ContinuousClock.Instant), Never>] = []
        for _ in 0..<Self.size {
            tasks.append(Task { (await call(.after(.seconds(3600))), .now) })
        }
        try? await Task.sleep(for: delay)
        var ends: [End] = []
        for task in tasks {
            let start = ContinuousClock.now
            task.cancel()
            let (error, end) = await task.value
            ends.append(End(code: error?.code, phase: error?.phase, late: start.duration(to: end)))
        }
        return ends
    }

    private func call(_ deadline: Deadline) async -> MySQLError? {
        var options = ConnectionOptions(
            address: .tcp(host: "127.0.0.1", port: port), user: "u", password: Secret("p"))
        options.tls = stall.tls
        options.preparesSession = false
        return await failure { [options] in
            let connection = try await MySQLConnection.connect(options, deadline: deadline)
            _ = try await connection.query("SELECT a", deadline: deadline)
        }
    }

    private static func census() throws -> (registrations: Int, timers: Int) { try Reactor.shared.get().census }

    /// What each open descriptor leads to, without the numbers of sockets.
    private static func descriptors() -> [String] {
        let folder = "/proc/self/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.compactMap { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)")).map { "\(name) \($0)" }
        }
        // The folder that is being read.
        .filter { !$0.contains("/proc/") }.sorted()
    }

    /// How long the threads of this process were ready to run and had no core, together.
    /// https://docs.kernel.org/scheduler/sched-stats.html
    private static func waitedForCores() -> Duration {
        let folder = "/proc/self/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let nanoseconds = threads.compactMap { thread -> Int64? in
            let text = try? String(contentsOfFile: "\(folder)/\(thread)/schedstat", encoding: .utf8)
            return text.flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int64($0) }
        }
        return .nanoseconds(nanoseconds.reduce(0, +))
    }

    private static func threads() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
    }
}
