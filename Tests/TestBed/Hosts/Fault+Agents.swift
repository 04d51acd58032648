import Foundation
import MySQLWire

/// What happens to agents and routers, and what operators do.
extension Fault {
    static let agents: [Fault] = [
        Fault("S47", "kill -9 of the primary, then of the operation master in mid-operation", .failover, weight: 2) {
            context in
            context.begin()
            await context.primary.kill()
            let master = try await context.masterAtWork()
            await context.wait(context.between(.zero, .milliseconds(400)))
            await master.killAgent()
            context.note("\(master.name) killed")
            await context.wait(context.between(.seconds(1), .seconds(5)))
            try master.startAgent()
            try await context.failedOver()
            try await context.primary.start()
        },
        Fault("S48", "kill -9 of the primary, then SIGSTOP of the operation master for 15 s", .failover) { context in
            context.begin()
            await context.primary.kill()
            let master = try await context.masterAtWork()
            await context.wait(context.between(.zero, .milliseconds(400)))
            master.freezeAgent()
            context.note("\(master.name) frozen")
            await context.wait(.seconds(15))
            master.thawAgent()
            try await context.failedOver()
            try await context.primary.start()
        },
        Fault("S51", "two of three agents die, then the primary; nothing may be done by one", .failover) { context in
            let dead = context.backendsAtRandom().prefix(2)
            for backend in dead { await backend.killAgent() }
            context.begin()
            await context.primary.kill()
            await context.nothingPromoted(for: .seconds(12))
            for backend in dead { try backend.startAgent() }
            try await context.failedOver()
            try await context.primary.start()
        },
        Fault(
            "S61", "an agent dies, then the primary; the agent comes back later", .failover,
            replication: .semiSynchronous
        ) { context in
            let backend = context.anyBackend()
            await backend.killAgent()
            context.begin()
            await context.primary.kill()
            try await context.failedOver()
            await context.wait(context.between(.zero, .seconds(4)))
            try backend.startAgent()
            try await context.primary.start()
        },
        Fault("S62", "an agent dies and is started again", .stays) { context in
            let backend = context.anyBackend()
            context.begin()
            await backend.killAgent()
            await context.wait(context.between(.milliseconds(100), .seconds(6)))
            try backend.startAgent()
        },
        Fault("S62b", "an agent is frozen for 12 s", .stays) { context in
            let backend = context.anyBackend()
            context.begin()
            backend.freezeAgent()
            await context.wait(.seconds(12))
            backend.thawAgent()
        },
        Fault(
            "S62c", "an agent is frozen, its router at work, and the primary with it; both come back", .failover,
            replication: .semiSynchronous
        ) {
            context in
            let backend = context.anyBackend()
            context.begin()
            backend.freezeAgent()
            context.primary.freeze()
            do {
                try await context.failedOver()
                await context.wait(context.between(.zero, .seconds(4)))
            } catch {
                context.primary.thaw()
                backend.thawAgent()
                throw error
            }
            // The router of the frozen agent still leads to the old primary, which is there again now.
            context.primary.thaw()
            await context.wait(context.between(.seconds(1), .seconds(6)))
            backend.thawAgent()
        },
        Fault("S63", "kill -9 of a router", .stays) { context in
            context.begin()
            try await context.anyBackend().router.kill()
        },
        Fault("S70", "paused, the primary dies; nothing until resumed", .failover) { context in
            let backend = context.anyBackend()
            try await context.command(backend, ["pause"])
            context.begin()
            await context.primary.kill()
            await context.nothingPromoted(for: .seconds(12))
            // With no primary the note of a pause cannot be taken back; `failover` goes in spite of it.
            let (status, _) = try await backend.command(["resume"])
            context.note("resume ended with \(status)")
            if status > 1 { try await context.command(backend, ["failover"]) }
            try await context.failedOver()
            try await context.primary.start()
            if status > 1 {
                try await eventually("the pause is taken back", within: .seconds(20)) {
                    try await backend.command(["resume"]).status <= 1
                }
            }
        },
        Fault("S70c", "paused, the primary stands still; failover goes in spite of it", .failover) { context in
            let backend = context.anyBackend()
            try await context.command(backend, ["pause"])
            context.begin()
            context.primary.freeze()
            await context.nothingPromoted(for: .seconds(12))
            let (status, said) = try await backend.command(["failover"])
            if status != 0 { context.violation("failover ended with \(status): \(said)") }
            try await context.failedOver()
            context.primary.thaw()
            try await context.command(backend, ["resume"])
        },
        Fault("S70b", "paused, the primary is restarted, resumed", .stays) { context in
            let backend = context.anyBackend()
            try await context.command(backend, ["pause"])
            context.begin()
            await context.primary.kill()
            try await context.primary.start()
            let started = ContinuousClock.now
            await context.wait(.seconds(2))
            if try await context.primary.ask("SELECT @@GLOBAL.super_read_only") != [["1"]] {
                context.violation("it was opened in spite of the pause")
            }
            try await context.command(backend, ["resume"])
            try await context.acknowledges(context.primary, since: started)
        },
        Fault("S71b", "a switchover is asked for while replication is stopped", .failover) { context in
            context.begin()
            _ = try await context.replica.ask("STOP REPLICA")
            try await context.command(context.anyBackend(), ["switchover", "--timeout", "30s"])
            try await context.failedOver()
        },
        Fault("S71", "planned switchover", .failover, weight: 2) { context in
            context.begin()
            try await context.command(context.anyBackend(), ["switchover"])
            try await context.failedOver()
        },
    ]
}

extension Fault.Context {
    /// The agent that has written MAST into the ledger, as soon as it stands there. Asks in a tight loop on one
    /// connection: an operation takes less than a second.
    /// - Parameter server: where the ledger lies; nil: on the replica, which is to be promoted.
    func masterAtWork(on server: MySQLServer? = nil) async throws -> Backend {
        let connection = try await MySQLConnection.connect(
            (server ?? replica).rootOptions, deadline: .after(.seconds(10)))
        defer { connection.abort() }
        var master = ""
        try await eventually("an operation master stands in the ledger", within: .seconds(40), every: .milliseconds(2))
        {
            let answer = try await connection.query(
                "SELECT agent FROM ongoing_failover.status WHERE event LIKE 'MAST %' ORDER BY id DESC LIMIT 1",
                deadline: .after(.seconds(5)))
            master = answer.rows.first?.string(0) ?? ""
            return !master.isEmpty
        }
        guard let backend = cluster.backends.first(where: { $0.name == master }) else {
            throw TestBedError("no host \(master)")
        }
        return backend
    }

    func command(_ backend: Backend, _ arguments: [String]) async throws {
        let (status, output) = try await backend.command(arguments)
        guard status == 0 || status == 1 else {
            throw TestBedError("\(arguments.joined(separator: " ")) on \(backend.name) ended with \(status): \(output)")
        }
        note("\(arguments[0]) ended with \(status)")
    }
}
