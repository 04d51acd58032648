import Foundation
import Synchronization
import TestBed
import Testing

@testable import MySQLWire

/// Name servers that are slow, dead, or say no.
@Suite(.serialized)
struct ResolverTests {
    enum Mode { case answers, fails, hangs, unknown }

    /// Answers for one name as it is told to.
    private final class NameServers: Sendable {
        let mode = Mutex(Mode.answers)
        let asked = Mutex(0)
        private let released = NSCondition()

        func answer(_ list: [SocketAddress]) -> Resolver.Answer {
            asked.withLock { $0 += 1 }
            switch mode.withLock({ $0 }) {
            case .answers: return .addresses(list)
            case .fails: return .failed(Failure(.resolve, "the name servers fail"))
            case .unknown: return .unknown(Failure(.resolve, "no such name"))
            case .hangs:
                released.lock()
                while mode.withLock({ $0 }) == .hangs { released.wait() }
                released.unlock()
                return .failed(Failure(.resolve, "too late"))
            }
        }

        func set(_ new: Mode) {
            mode.withLock { $0 = new }
            released.lock()
            released.broadcast()
            released.unlock()
        }
    }

    private func server() throws -> FakeServer {
        try FakeServer { peer in
            try peer.letIn()
            peer.stall()
        }
    }

    private func named(_ server: FakeServer) -> ConnectionOptions {
        var options = server.options
        options.address = .tcp(host: "db.test", port: server.port)
        return options
    }

    private func resolver(_ names: NameServers, _ server: FakeServer) async throws -> Resolver {
        let list = try await Resolver.shared.resolve(
            host: "127.0.0.1", port: server.port, reactor: try Reactor.shared.get(), deadline: soon
        ).list
        return Resolver { host, _ in host == "db.test" ? names.answer(list) : .unknown(Failure(.resolve, host)) }
    }

    @Test func aLookupThatNeverEndsEndsAtTheDeadline() async throws {
        let server = try server()
        defer { server.stop() }
        let names = NameServers()
        let resolver = try await resolver(names, server)
        names.set(.hangs)
        let options = named(server)
        let (error, late) = try await onOwnThread {
            let deadline = Deadline.after(.milliseconds(150))
            let error = await failure {
                _ = try await MySQLConnection.connect(options, without: [], resolver: resolver, deadline: deadline)
            }
            return (error, deadline.instant.duration(to: .now))
        }
        names.set(.answers)
        #expect(error?.code == .timeout)
        #expect(error?.phase == .resolve)
        #expect(late >= .zero && late < FaultTests.allowance)
    }

    @Test func aCancelledLookupEndsAtOnce() async throws {
        let server = try server()
        defer { server.stop() }
        let names = NameServers()
        let resolver = try await resolver(names, server)
        names.set(.hangs)
        let options = named(server)
        let task = Task {
            await failure {
                _ = try await MySQLConnection.connect(options, without: [], resolver: resolver, deadline: soon)
            }
        }
        try await eventually("the lookup is under way") { names.asked.withLock { $0 } == 1 }
        task.cancel()
        let error = await task.value
        names.set(.answers)
        #expect(error?.code == .cancelled)
        #expect(error?.phase == .resolve)
    }

    @Test func theAddressThatWasReachedOutlivesTheNameServers() async throws {
        let server = try server()
        defer { server.stop() }
        let names = NameServers()
        let resolver = try await resolver(names, server)
        let options = named(server)
        func connect() async -> MySQLError? {
            await failure {
                let connection = try await MySQLConnection.connect(
                    options, without: [], resolver: resolver, deadline: soon)
                await connection.close()
            }
        }
        names.set(.fails)
        #expect(await connect()?.code == .resolve, "nothing is known yet")
        names.set(.answers)
        #expect(await connect() == nil)
        names.set(.fails)
        #expect(await connect() == nil)
        names.set(.hangs)
        #expect(await connect() == nil)
        names.set(.fails)

        server.stop()
        let refused = await connect()
        #expect(refused?.code == .refused)
        #expect(refused?.message.contains("reached before: the name servers fail") == true, "\(refused?.message ?? "")")

        names.set(.unknown)
        #expect(await connect()?.code == .resolve)
        names.set(.fails)
        #expect(await connect()?.code == .resolve, "a name that is no more is forgotten")
    }
}
