import Foundation
import Glibc
import TestBed
import Testing

@testable import MySQLWire

/// A network of our own, whose packets can be made to vanish, and mounts of our own. The thread that runs `body` is in it, and so are the
/// sockets and the programs that it makes.
enum Network {
    private static let tools = program("ip")
    private static let shaper = program("tc")
    private static let mounter = program("mount")
    private static let unmounter = program("umount")

    private static func program(_ name: String) -> String? {
        let paths: [String] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map { "\($0)/\(name)" }
        return paths.first { access($0, X_OK) == 0 }
    }

    /// Root's rights, iproute2 and mount are needed.
    static let isPossible = getuid() == 0 && ![tools, shaper, mounter, unmounter].contains(nil)

    static func within<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await onOwnThread(prepare: enter) {
            // On this thread: a failure is the test's.
            try run(tools, ["link", "set", "lo", "up"])
            // An address that a server does not take for its own machine's loopback, and a name for it, since there are
            // no name servers.
            try run(tools, ["address", "add", "10.77.0.1/32", "dev", "lo"])
            let folder = try GuardedFolder("network")
            try folder.write("hosts", "127.0.0.1 localhost\n10.77.0.1 client.test\n")
            try run(mounter, ["--make-rprivate", "/"])
            try run(mounter, ["--bind", folder.path + "/hosts", "/etc/hosts"])
            let result: Result<Value, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            try? run(unmounter, ["/etc/hosts"])
            await folder.clear()
            return try result.get()
        }
    }

    /// From now on every packet is dropped without a word, as by a cable that was pulled.
    static func cut() throws { try run(shaper, ["qdisc", "add", "dev", "lo", "root", "blackhole"]) }
    static func mend() throws { try run(shaper, ["qdisc", "del", "dev", "lo", "root"]) }

    private static func enter() {
        // CLONE_NEWNET and CLONE_NEWNS, for this thread alone; the header hides unshare(2) without _GNU_SOURCE.
        typealias Unshare = @convention(c) (Int32) -> Int32
        guard let symbol = dlsym(nil, "unshare") else { return }
        _ = unsafeBitCast(symbol, to: Unshare.self)(0x4002_0000)
    }

    private static func run(_ program: String?, _ arguments: [String]) throws {
        let (status, output) = try captured(try #require(program), arguments, errors: true)
        guard status == 0 else {
            throw TestBedError("\(arguments): \(String(decoding: output, as: UTF8.self))")
        }
    }
}

@Suite(.serialized, .enabled(if: Network.isPossible, "needs root's rights, ip and tc"))
struct NamespaceTests {
    @Test(arguments: [MySQLServer.Kind.mysql, .mariadb])
    func droppedPackets(_ kind: MySQLServer.Kind) async throws {
        try await Network.within {
            try await withServer(kind) { server in
                let options = server.connectionOptions(.agent)
                let connection = try await MySQLConnection.connect(options, deadline: soon)
                let rows = try await MySQLConnection.connect(options, deadline: soon)
                let stream = try await rows.stream(LiveQueries.numbers(7), deadline: soon)
                _ = try await stream.next(deadline: soon)
                try Network.cut()

                func late(_ phase: MySQLError.Phase, _ body: (Deadline) async throws -> Void) async -> Duration {
                    let deadline = Deadline.after(.milliseconds(300))
                    let error = await failure { try await body(deadline) }
                    #expect(error?.code == .timeout, "\(error?.description ?? "no error")")
                    #expect(error?.phase == phase)
                    return deadline.instant.duration(to: .now)
                }
                let times = [
                    await late(.connect) { _ = try await MySQLConnection.connect(options, deadline: $0) },
                    await late(.reply) { _ = try await connection.query("SELECT 1", deadline: $0) },
                    await late(.reply) { while try await stream.next(deadline: $0) != nil {} },
                ]
                for time in times { #expect(time >= .zero && time < FaultTests.allowance) }
                #expect(!connection.isOpen && !rows.isOpen)

                try Network.mend()
                let again = try await MySQLConnection.connect(options, deadline: soon)
                #expect(try await again.query("SELECT 2", deadline: soon).rows.first?.int(0) == 2)
                await again.close()
            }
        }
    }

    /// A host that began too many handshakes without ending them is told so before the greeting.
    @Test func maxConnectErrors() async throws {
        try await Network.within {
            let open = ["--bind-address=0.0.0.0", "--skip-name-resolve=OFF", "--max-connect-errors=2"]
            try await withServer(options: open) { server in
                var options = server.connectionOptions(.agent)
                options.address = .tcp(host: "10.77.0.1", port: server.port)
                options.tls = .disabled
                // The way by the server's key: this address is no loopback to the driver either.
                options.publicKeyRetrieval = .allowed
                let reactor = try Reactor.shared.get()
                let found = try await Resolver.shared.resolve(
                    host: "10.77.0.1", port: server.port, reactor: reactor, deadline: soon)
                let address = try #require(found.list.first)
                try await eventually("the host is blocked", within: .seconds(20)) {
                    for _ in 0..<3 {
                        let half = try await Channel.connect(to: address, reactor: reactor, deadline: soon)
                        try await half.wait(for: .readable, soon)
                        half.close()
                    }
                    let error = await failure {
                        let connection = try await MySQLConnection.connect(options, deadline: soon)
                        await connection.close()
                    }
                    guard let error else { return false }
                    #expect(error.number == 1129 && error.phase == .greeting, "\(error)")
                    #expect(error.serverError?.sqlState == "")
                    return true
                }
                try await server.sql("TRUNCATE performance_schema.host_cache")
                let connection = try await MySQLConnection.connect(options, deadline: soon)
                #expect(connection.isOpen)
                await connection.close()
            }
        }
    }
}
