import Glibc
import TestBed
import Testing

@testable import MySQLWire

/// Both kinds of server, straight and through what stands before them in real installations, in each TLS mode.
@Suite(.serialized)
struct MatrixTests {
    /// By which way a server is reached.
    struct Road: Sendable {
        var name: String
        var address: ServerAddress
    }

    static func withRoads(
        _ kind: MySQLServer.Kind, _ certificates: TestCertificates,
        _ body: (MySQLServer, [Road]) async throws -> Void
    ) async throws {
        try await withServer(kind, options: certificates.serverOptions) { server in
            try await withRouter(to: [server], strategy: "first-available") { router in
                try await withHAProxy(to: server) { proxy in
                    try await body(
                        server,
                        [
                            Road(name: "straight", address: server.address),
                            Road(name: "unix socket", address: .unix(path: server.socketPath)),
                            Road(name: "mysqlrouter", address: router.address),
                            Road(name: "HAProxy", address: proxy.address),
                        ])
                }
            }
        }
    }

    @Test(arguments: [MySQLServer.Kind.mysql, .mariadb])
    func everyRoadInEveryMode(_ kind: MySQLServer.Kind) async throws {
        let certificates = try TestCertificates(names: "IP:127.0.0.1")
        defer { certificates.remove() }
        try await Self.withRoads(kind, certificates) { server, roads in
            try await server.sql("CREATE DATABASE IF NOT EXISTS wire")
            for road in roads {
                for mode in TLSMode.allCases {
                    var options = server.connectionOptions(.agent)
                    options.address = road.address
                    options.tls = mode
                    options.tlsCAFile = certificates.authority
                    // The first login finds the server's cache empty.
                    try await server.sql("FLUSH PRIVILEGES")
                    for isCold in [true, false] {
                        let connection = try await MySQLConnection.connect(options, deadline: soon)
                        let facts = connection.handshake
                        let expectsTLS =
                            mode == .preferred ? road.name != "unix socket" : mode != .disabled
                        #expect((facts.tlsVersion != nil) == expectsTLS, "\(road.name) \(mode)")
                        if kind == .mysql {
                            #expect((facts.authentication == .cachingSHA2Fast) != isCold, "\(road.name) \(mode)")
                        } else {
                            #expect(facts.authentication == .nativePassword, "\(road.name) \(mode)")
                        }
                        try await connection.ping(deadline: soon)
                        let status = try await connection.query("SHOW STATUS LIKE 'Ssl_version'", deadline: soon)
                        #expect(status.rows.first?.string(1) == facts.tlsVersion ?? "", "\(road.name) \(mode)")
                        let stream = try await connection.stream(LiveQueries.numbers(4), deadline: soon)
                        var count = 0
                        while let batch = try await stream.next(deadline: soon) { count += batch.rowCount }
                        #expect(count == 10_000)
                        try await connection.resetSession(deadline: soon)
                        let statement = try await connection.prepare("SELECT ? + 1", deadline: soon)
                        let sum = try await statement.execute([.int(41)], deadline: soon).rows.first?.first
                        #expect(sum == .int(42), "\(road.name) \(mode): \(String(describing: sum))")
                        let all = try await connection.queryAll("SELECT 1", deadline: soon)
                        #expect(all.count == 1 && all.first?.rows.first?.int(0) == 1)
                        await connection.close()
                    }
                }
                var wrong = server.connectionOptions(.agent)
                wrong.address = road.address
                wrong.password = Secret("not-the-password")
                let error = await failure { _ = try await MySQLConnection.connect(wrong, deadline: soon) }
                #expect(error?.number == 1045, "\(road.name): \(error?.description ?? "let in")")
            }
        }
    }

    @Test(
        .enabled(if: MatrixTests.hasIPv6, "loopback has no IPv6 here"), arguments: [TLSMode.disabled, .verifyIdentity])
    func aServerOnIPv6(_ mode: TLSMode) async throws {
        let certificates = try TestCertificates(names: "IP:::1")
        defer { certificates.remove() }
        try await withServer(options: certificates.serverOptions + ["--bind-address=127.0.0.1,::1"]) { server in
            var options = server.connectionOptions(.agent)
            options.address = try #require(ServerAddress("[::1]:\(server.port)"))
            options.tls = mode
            options.tlsCAFile = certificates.authority
            for expected in [
                mode == .disabled ? HandshakeFacts.Authentication.cachingSHA2FullRSA : .cachingSHA2FullTLS,
                .cachingSHA2Fast,
            ] {
                let connection = try await MySQLConnection.connect(options, deadline: soon)
                #expect(connection.handshake.authentication == expected)
                await connection.close()
            }
        }
    }

    private static let hasIPv6: Bool = {
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_addr = in6addr_loopback
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
            }
        }
    }()

    /// With next-available and a first destination that is dead, mysqlrouter closes its port for good when two clients come
    /// at once: the second of them gives up the server that the first has just moved to. To see whether the port is open is
    /// no reason to be one of them.
    @Test func startingARouterCostsItNoServer() async throws {
        let dead = try FakeServer { _ in }
        dead.stop()
        try await eventually("nobody listens") {
            await failure { _ = try await MySQLConnection.connect(dead.options, deadline: soon) }?.code == .refused
        }
        let slow = try FakeServer { peer in
            usleep(200_000)
            try peer.letIn()
            peer.stall()
        }
        defer { slow.stop() }
        try await withRouter(to: ["127.0.0.1:\(dead.port)", "127.0.0.1:\(slow.port)"]) { router in
            var options = slow.options
            options.address = router.address
            for _ in 1...2 {
                let error = await failure { _ = try await MySQLConnection.connect(options, deadline: soon) }
                #expect(error == nil, "\(error.map { "\($0)" } ?? "")")
            }
        }
    }

    /// What stands between dies with the server, loses patience with it, and comes back with it.
    @Test(arguments: [MySQLServer.Kind.mysql, .mariadb])
    func faultsShowThroughEveryRoad(_ kind: MySQLServer.Kind) async throws {
        let certificates = try TestCertificates(names: "IP:127.0.0.1")
        defer { certificates.remove() }
        try await Self.withRoads(kind, certificates) { server, roads in
            func connect(_ road: Road) async throws -> MySQLConnection {
                var options = server.connectionOptions(.agent)
                options.address = road.address
                return try await MySQLConnection.connect(options, deadline: soon)
            }
            for road in roads {
                // An idle session that the server ends.
                let idle = try await connect(road)
                _ = try await idle.query("SET SESSION wait_timeout = 1", deadline: soon)
                try await eventually("the end shows through \(road.name)", within: .seconds(10)) { !idle.isOpen }
                let ended = await failure { try await idle.ping(deadline: soon) }
                #expect(ended?.number == 4031 || ended?.code == .closed, "\(road.name): \(ended?.description ?? "")")

                // A frozen server.
                let frozen = try await connect(road)
                server.freeze()
                let (late, code) = try await onOwnThread {
                    let deadline = Deadline.after(.milliseconds(200))
                    let error = await failure { try await frozen.ping(deadline: deadline) }
                    return (deadline.instant.duration(to: .now), error?.code)
                }
                server.thaw()
                #expect(code == .timeout, "\(road.name)")
                #expect(late < FaultTests.allowance, "\(road.name): \(late)")
                #expect(!frozen.isOpen)

                // An orderly shutdown in the middle of the rows.
                let asked = try await connect(road)
                let stream = try await asked.stream(LiveQueries.numbers(7), purpose: "read rows", deadline: soon)
                #expect(try await stream.next(deadline: soon) != nil)
                async let stopped: Void = server.stop()
                let error = await failure { while try await stream.next(deadline: .after(.seconds(40))) != nil {} }
                await stopped
                #expect(error != nil, "\(road.name): cut rows were taken for all")
                #expect(
                    error?.code == .closed || [1053, 1317, 1927].contains(error?.number),
                    "\(road.name): \(error?.description ?? "")")
                #expect(error?.phase == .reply)
                #expect(!asked.isOpen || error?.code == .server)
                let gone = await failure { _ = try await connect(road) }
                #expect(gone != nil, "\(road.name): \(gone?.description ?? "")")

                // Its cache is empty when it is back.
                try await server.start()
                try await eventually("the road is open again", within: .seconds(30)) {
                    let again = try await connect(road)
                    defer { again.abort() }
                    return try await again.query("SELECT 1", deadline: soon).rows.first?.int(0) == 1
                }
            }
        }
    }
}
