import TestBed
import Testing

@testable import MySQLWire

/// A real server that dies, freezes, or loses patience.
@Suite(.server(.mysql), .serialized)
struct LiveFaultTests {
    private func connect() async throws -> MySQLConnection {
        try await MySQLConnection.connect(try SharedServer.current.connectionOptions(.agent), deadline: soon)
    }

    @Test func aServerKilledInTheMiddleOfTheRows() async throws {
        let server = try SharedServer.current
        let connection = try await connect()
        let idle = try await connect()
        let stream = try await connection.stream(LiveQueries.numbers(7), purpose: "read rows", deadline: soon)
        #expect(try await stream.next(deadline: soon) != nil)
        await server.kill()
        let error = await failure { while try await stream.next(deadline: soon) != nil {} }
        #expect(error?.code == .closed)
        #expect(error?.phase == .reply)
        #expect(error?.purpose == "read rows")
        #expect(!connection.isOpen)
        try await eventually("an idle connection notices", within: .seconds(2)) { !idle.isOpen }
        let refused = await failure { _ = try await connect() }
        #expect(refused?.code == .refused)

        try await server.start()
        let again = try await connect()
        #expect(again.handshake.authentication == .cachingSHA2FullTLS, "a restarted server has an empty cache")
        await again.close()
    }

    @Test func aFrozenServer() async throws {
        let server = try SharedServer.current
        let connection = try await connect()
        server.freeze()
        defer { server.thaw() }
        let options = server.connectionOptions(.agent)
        let late = try await onOwnThread {
            var latest = Duration.zero
            for _ in 0..<3 {
                let deadline = Deadline.after(.milliseconds(150))
                let error = await failure { _ = try await MySQLConnection.connect(options, deadline: deadline) }
                #expect(error?.code == .timeout)
                #expect(error?.phase == .greeting)
                latest = max(latest, deadline.instant.duration(to: .now))
            }
            let deadline = Deadline.after(.milliseconds(150))
            let error = await failure { try await connection.ping(deadline: deadline) }
            #expect(error?.code == .timeout)
            return max(latest, deadline.instant.duration(to: .now))
        }
        #expect(late < FaultTests.allowance)
        #expect(!connection.isOpen)
    }

    @Test(arguments: [TLSMode.disabled, .required])
    func aServerThatLosesPatience(_ tls: TLSMode) async throws {
        var options = try SharedServer.current.connectionOptions(.agent)
        options.tls = tls
        let connection = try await MySQLConnection.connect(options, deadline: soon)
        _ = try await connection.query("SET SESSION wait_timeout = 1", deadline: soon)
        #expect(connection.isOpen)
        try await eventually("the connection is known to be closed", within: .seconds(5)) { !connection.isOpen }
        let error = await failure { _ = try await connection.query("SELECT 1", deadline: soon) }
        #expect(error?.number == 4031)
        #expect(error?.phase == .idle)
    }

    @Test func aSessionThatIsKilled() async throws {
        let connection = try await connect()
        let killer = try await connect()
        async let error = failure { _ = try await connection.query("SELECT SLEEP(20)", deadline: soon) }
        try await eventually("the statement runs") {
            try await killer.query(
                "SELECT COUNT(*) FROM performance_schema.processlist WHERE ID = \(connection.connectionID) "
                    + "AND INFO LIKE '%SLEEP%'", deadline: soon
            ).rows.first?.int(0) == 1
        }
        _ = try await killer.query("KILL \(connection.connectionID)", deadline: soon)
        let ended = await error
        #expect(ended?.code == .closed || ended?.code == .server)
        try await eventually("the connection is known to be closed", within: .seconds(5)) { !connection.isOpen }
        await killer.close()
    }
}
