import Foundation
import MySQLWire

/// What happens to the servers themselves.
extension Fault {
    static let servers: [Fault] = [
        Fault("S01", "kill -9 of the primary", .failover, weight: 4) { context in
            context.begin()
            await context.primary.kill()
            try await context.failedOver()
            await context.wait(context.between(.zero, .seconds(5)))
            try await context.primary.start()
        },
        Fault("S03", "kill -9, restarted at once by its supervisor", .either, weight: 2) { context in
            context.begin()
            await context.primary.kill()
            await context.wait(context.between(.milliseconds(50), .seconds(3)))
            try await context.primary.start()
        },
        Fault("S04", "orderly shutdown of the primary", .failover) { context in
            context.begin()
            await context.primary.stop()
            try await context.failedOver()
            await context.wait(context.between(.zero, .seconds(3)))
            try await context.primary.start()
        },
        Fault("S06", "SIGSTOP of the primary, SIGCONT after the promotion", .failover, weight: 3) { context in
            context.begin()
            context.primary.freeze()
            do {
                try await context.failedOver()
                await context.wait(context.between(.zero, .seconds(10)))
                context.primary.thaw()
            } catch {
                context.primary.thaw()
                throw error
            }
        },
        Fault(
            "S06b", "SIGSTOP of the primary while commits hang there, SIGCONT after the promotion", .failover,
            network: true, replication: .semiSynchronous
        ) { context in
            let network = try context.network()
            context.begin()
            // What clients wait for then is in the primary's binary log alone, and is committed when the agents close it.
            try network.cut([context.primary.name], from: [context.replica.name])
            await context.wait(.milliseconds(500))
            context.primary.freeze()
            do {
                try await context.failedOver()
                await context.wait(context.between(.zero, .seconds(4)))
            } catch {
                context.primary.thaw()
                throw error
            }
            try network.heal()
            context.primary.thaw()
        },
        Fault("S06c", "SIGSTOP of the primary, SIGCONT in the middle of the promotion", .either) { context in
            // Somewhere between the announcement and the first write on the other.
            let row = context.chance() ? "OPER%" : "MAST%"
            let delay = context.between(.zero, .milliseconds(600))
            context.begin()
            context.primary.freeze()
            defer { context.primary.thaw() }
            try await eventually("the promotion is under way", within: .seconds(40)) {
                let found = try? await context.replica.ask(
                    "SELECT COUNT(*) FROM ongoing_failover.status WHERE event LIKE '\(row)'")
                return found.map { $0 != [["0"]] } ?? false
            }
            await context.wait(delay)
            context.note("\(row) and \(delay.rounded) s")
        },
        Fault("S07", "SIGSTOP of the primary for 2 s", .stays) { context in
            context.begin()
            context.primary.freeze()
            await context.wait(.seconds(2))
            context.primary.thaw()
        },
        Fault("S08", "SIGSTOP and SIGCONT of the primary in turn, 2 s each, for 20 s", .either) { context in
            context.begin()
            for _ in 0..<5 {
                context.primary.freeze()
                await context.wait(.seconds(2))
                context.primary.thaw()
                await context.wait(.seconds(2))
            }
        },
        Fault("S10", "FLUSH TABLES WITH READ LOCK on the primary for 15 s", .either) { context in
            let session = try await MySQLConnection.connect(
                context.primary.rootOptions, deadline: .after(.seconds(5)))
            defer { session.abort() }
            _ = try await session.query("FLUSH TABLES WITH READ LOCK", deadline: .after(.seconds(5)))
            context.begin()
            await context.wait(.seconds(15))
        },
        Fault("S12", "max_connections of the primary exhausted for 10 s", .stays) { context in
            var sessions: [MySQLConnection] = []
            defer { for session in sessions { session.abort() } }
            var options = context.primary.rootOptions
            options.user = TestAccount.application.user
            options.password = Secret(TestAccount.application.password)
            context.begin()
            let end = ContinuousClock.now + .seconds(10)
            while .now < end {
                do throws(MySQLError) {
                    sessions.append(try await MySQLConnection.connect(options, deadline: .after(.seconds(2))))
                } catch {
                    await context.wait(.milliseconds(100))
                }
            }
            context.note("\(sessions.count) sessions")
        },
        Fault("S15", "the primary dies each time it is up again, three times", .either) { context in
            context.begin()
            for _ in 0..<3 {
                await context.primary.kill()
                await context.wait(context.between(.milliseconds(200), .seconds(2)))
                try await context.primary.start()
                await context.wait(context.between(.zero, .seconds(2)))
            }
        },
        Fault("S17b", "kill -9 of the replica", .stays) { context in
            context.begin()
            await context.replica.kill()
            await context.wait(context.between(.milliseconds(100), .seconds(8)))
            try await context.replica.start()
        },
        Fault("S17c", "SIGSTOP of the replica for 12 s", .stays) { context in
            // Commits wait for the replica, which is no stall of the primary.
            func said() -> Int {
                context.cluster.backends.reduce(0) { $0 + $1.agentLog.components(separatedBy: "writes hang").count }
            }
            let before = said()
            context.begin()
            context.replica.freeze()
            await context.wait(.seconds(12))
            context.replica.thaw()
            if said() > before { context.violation("agents say that writes hang on \(context.primary.name)") }
        },
        Fault("S28", "kill -9 of the primary, the replica's applier behind a table lock", .failover) { context in
            let session = try await MySQLConnection.connect(
                context.replica.rootOptions, deadline: .after(.seconds(5)))
            defer { session.abort() }
            _ = try await session.query("LOCK TABLES shop.written READ", deadline: .after(.seconds(5)))
            await context.wait(.seconds(2))
            context.begin()
            await context.primary.kill()
            await context.wait(.seconds(4))
            session.abort()
            try await context.failedOver()
            try await context.primary.start()
        },
        Fault(
            "S44", "the replica is away, writes go on without it, then the primary dies", .stays,
            replication: .semiSynchronous
        ) { context in
            context.begin()
            await context.replica.kill()
            let killed = ContinuousClock.now
            // Writes go on when the agents have switched semi-sync off.
            try await eventually("writes go on without the replica", within: .seconds(40)) {
                context.trial.writers.log.acknowledged(since: killed + .seconds(2)).count > 50
            }
            await context.primary.kill()
            try await context.replica.start()
            await context.nothingPromoted(for: .seconds(12))
            try await context.primary.start()
        },
        Fault("S72", "both servers die and come back, one after the other", .either) { context in
            context.begin()
            await context.primary.kill()
            await context.replica.kill()
            await context.wait(context.between(.zero, .seconds(3)))
            let order = context.chance() ? [context.primary, context.replica] : [context.replica, context.primary]
            context.note("\(order[0].name) first")
            try await order[0].start()
            await context.wait(context.between(.zero, .seconds(5)))
            try await order[1].start()
        },
    ]
}
