import Foundation
import MySQLWire

/// What middle boxes and half-dead hosts do to single connections: a `FaultProxy` stands in the way.
extension Fault {
    static let proxies: [Fault] = [
        Fault("S09", "the primary accepts one host's connections and says nothing, for 12 s", .stays, network: true) {
            context in
            let host = context.anyBackend()
            let place = try context.network().place(host.name)
            // How often the agent asks the other server: its loop must not wait for the one that is silent.
            func looks() async throws -> Int {
                let row = try await context.replica.ask(
                    """
                    SELECT COALESCE(SUM(total_connections), 0) FROM performance_schema.accounts
                    WHERE user = '\(TestAccount.agent.user)' AND host = '\(place.address)'
                    """)
                return row.first?.first.flatMap { $0 }.flatMap { Int($0) } ?? 0
            }
            try await context.between([host.name], and: context.primary) { proxies in
                context.begin()
                try proxies[0].set(.mute)
                let before = (looks: try await looks(), probes: proxies[0].accepted)
                await context.wait(.seconds(12))
                let after = (looks: try await looks(), probes: proxies[0].accepted)
                let (looked, probed) = (after.looks - before.looks, after.probes - before.probes)
                context.note("\(looked) looks at \(context.replica.name), \(probed) silent connections")
                if looked < 9 { context.violation("only \(looked) looks in 12 s") }
                if probed < 4 { context.violation("only \(probed) connections to the silent server in 12 s") }
            }
        },
        Fault("S09b", "the primary accepts everybody's connections and says nothing", .failover, network: true) {
            context in
            let everybody = context.cluster.backends.map(\.name) + [context.replica.name]
            try await context.between(everybody, and: context.primary) { proxies in
                context.begin()
                for proxy in proxies { try proxy.set(.mute) }
                try await context.failedOver()
                await context.wait(context.between(.zero, .seconds(5)))
            }
        },
        Fault("S14", "the primary has blocked one host (error 1129) for 12 s", .stays, network: true) { context in
            let host = context.anyBackend()
            let why = "Host is blocked because of many connection errors; unblock with 'mysqladmin flush-hosts'"
            try await context.between([host.name], and: context.primary) { proxies in
                context.begin()
                try proxies[0].set(.turnAway(1129, why))
                let others = context.cluster.backends.filter { $0.name != host.name }
                try await context.explained(["alive, but refuses us", "1129", "0 of 3 agents have lost"], on: host)
                await context.nothingPromoted(for: .seconds(12))
                for other in others {
                    let (status, said) = try await other.command(["explain"])
                    if said.contains("1129") || said.contains("DOWN") {
                        context.violation("\(other.name) ended with \(status): \(said.prefix(300))")
                    }
                }
                try proxies[0].set(.forward)
            }
        },
        Fault("S22c", "one host's connections to the primary are refused for 12 s", .stays, network: true) { context in
            try await context.disturb(.refuse, for: .seconds(12))
        },
        Fault("S23c", "one host's road to the primary is 100 ms longer each way, for 12 s", .stays, network: true) {
            context in
            try await context.disturb(.delay(.milliseconds(100)), for: .seconds(12))
        },
        Fault("S50", "the primary's answers to one host are lost for 8 s", .stays, network: true) { context in
            try await context.disturb(.swallow, for: .seconds(8))
        },
        Fault(
            "S50b", "kill -9 of the primary; the new one's answers to the operation master are lost", .failover,
            network: true, weight: 2
        ) { context in
            try await context.between(context.cluster.backends.map(\.name), and: context.replica) { proxies in
                context.begin()
                await context.primary.kill()
                try await context.loseAnswers(proxies)
                try await context.failedOver()
            }
            try await context.primary.start()
        },
        Fault("S50c", "switchover; the new primary's answers to the operation master are lost", .either, network: true)
        {
            context in
            let host = context.anyBackend()
            try await context.between(context.cluster.backends.map(\.name), and: context.replica) { proxies in
                context.begin()
                async let asked = host.command(["switchover", "--timeout", "30s"])
                try await context.loseAnswers(proxies)
                context.note("switchover ended with \(try await asked.status)")
            }
        },
    ]
}

extension Fault.Context {
    /// Puts proxies between these hosts and a server, does something with them when all is well again, and takes them
    /// away.
    fileprivate func between(
        _ hosts: [String], and server: MySQLServer, _ body: ([FaultProxy]) async throws -> Void
    ) async throws {
        let network = try network()
        var proxies: [FaultProxy] = []
        do {
            for host in hosts { proxies.append(try FaultProxy(network, from: host, to: server)) }
            // Everybody's sessions of before were reset.
            try await cluster.settled(trial.writers, hold: .seconds(1))
            try await body(proxies)
        } catch {
            for proxy in proxies { try? proxy.remove() }
            throw error
        }
        for proxy in proxies { try proxy.remove() }
    }

    fileprivate func disturb(_ mode: FaultProxy.Mode, for duration: Duration) async throws {
        try await between([anyBackend().name], and: primary) { proxies in
            begin()
            try proxies[0].set(mode)
            await wait(duration)
        }
    }

    /// From some moment of the operation on its master hears no more of the server that holds its ledger, for some
    /// seconds, while what it says is done; then its connections are cut.
    fileprivate func loseAnswers(_ proxies: [FaultProxy]) async throws {
        let master = try await masterAtWork()
        await wait(between(.zero, .milliseconds(300)))
        guard let index = cluster.backends.firstIndex(where: { $0.name == master.name }) else { return }
        try proxies[index].set(.swallow)
        note("\(master.name) hears no answer")
        await wait(between(.seconds(1), .seconds(6)))
        try proxies[index].set(.forward, cut: true)
    }
}
