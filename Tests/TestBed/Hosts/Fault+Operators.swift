import Foundation
import MySQLWire

/// What operators do to the servers by hand, past the agents.
extension Fault {
    static let operators: [Fault] = [
        Fault("S34", "an operator opens the replica", .stays) { context in
            let host = context.anyBackend()
            // The agents close it at their next look: they sleep until somebody has asked what is wrong.
            try await context.unseen {
                context.begin()
                try await context.replica.sql("SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF;")
                try await context.explained(["\(context.replica.name) is not closed"], on: host, within: .seconds(2))
            }
            let awake = ContinuousClock.now
            try await eventually("\(context.replica.name) is closed again", within: .seconds(10)) {
                try await context.replica.ask("SELECT @@GLOBAL.super_read_only") == [["1"]]
            }
            context.note("closed \(awake.duration(to: .now).rounded) s after the agents were awake")
        },
        Fault("S35", "an operator closes the primary", .stays) { context in
            let variable = context.chance() ? "super_read_only" : "read_only"
            context.begin()
            try await context.primary.sql("SET GLOBAL \(variable) = ON")
            let closed = ContinuousClock.now
            try await context.acknowledges(context.primary, since: closed, within: .seconds(15))
            context.note("\(variable), writes again after \(closed.duration(to: .now).rounded) s")
        },
        Fault("S36", "an operator makes the primary replicate from its replica", .stays) { context in
            try await context.circular("START REPLICA")
        },
        Fault("S36b", "an operator gives the primary a source without starting it", .stays) { context in
            try await context.circular("")
        },
    ]
}

extension Fault.Context {
    /// Two servers that replicate from each other: nobody touches either, and it is said why, until an operator undoes it.
    fileprivate func circular(_ start: String) async throws {
        let host = anyBackend()
        let uptime = try await uptimes()
        begin()
        try await primary.sql(
            """
            CHANGE REPLICATION SOURCE TO SOURCE_HOST = '\(replica.place.address)', SOURCE_PORT = \(replica.port),
              SOURCE_USER = '\(TestAccount.replication.user)', SOURCE_PASSWORD = '\(TestAccount.replication.password)',
              SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1;
            \(start)
            """)
        let status = try await explained(
            ["\(primary.name) is primary by the record", "replicates from the other server"], on: host)
        if status != 2 { violation("explain ended with \(status), not with 2") }
        await nothingPromoted(for: .seconds(8))
        for server in [primary, replica] {
            let channels = try await server.ask(
                "SELECT COUNT(*) FROM performance_schema.replication_connection_configuration")
            if channels != [["1"]] { violation("somebody has changed the replication of \(server.name)") }
        }
        let rows = trial.writers.log.acknowledged(since: .now - .seconds(2)).count
        note("\(rows) rows in the last 2 s before it was undone")
        try await primary.sql("STOP REPLICA; RESET REPLICA ALL;")
        if try await uptimes() != uptime { violation("a server was restarted") }
    }

    private func uptimes() async throws -> [pid_t?] { [primary.pid, replica.pid] }
}

extension Duration {
    /// In seconds, for a note.
    var rounded: String { String(format: "%.1f", self / .seconds(1)) }
}
