import Foundation
import MySQLWire

/// Hosts that are not as the others are, and rules that hold an operation back.
extension Fault {
    static let misfits: [Fault] = [
        Fault("S13", "the agents' account is locked on the primary for 12 s", .stays) { context in
            try await context.shutOut("ACCOUNT LOCK", "ACCOUNT UNLOCK")
        },
        Fault("S13b", "the agents' account has another password on the primary for 12 s", .stays) { context in
            try await context.shutOut("IDENTIFIED BY 'another'", "IDENTIFIED BY '\(TestAccount.agent.password)'")
        },
        // Without semi-synchronous replication its vote is missed for ever: nothing proves that its router is closed.
        Fault(
            "S57", "an agent of another configuration, then the primary dies", .failover,
            replication: .semiSynchronous
        ) { context in
            let hosts = context.backendsAtRandom()
            let (odd, proper) = (hosts[0], hosts[0].folder.read("agent.toml"))
            let differs = context.chance() ? "safety" : "agents"
            context.note("\(odd.name) differs in \(differs)")
            try await context.reconfigure(odd) { text in
                differs == "safety"
                    ? text.replacing("[safety]", with: "[safety]\nmax_lost_transactions = 5")
                    : text.replacing("agents = [", with: "agents = [\"web9\", ")
            }
            do {
                try await context.explained(
                    ["\(odd.name) goes by another configuration", differs], on: hosts[1])
                context.begin()
                await context.primary.kill()
                try await context.failedOver()
                await context.wait(context.between(.zero, .seconds(4)))
                try await context.primary.start()
                try await context.reconfigure(odd) { _ in proper }
            } catch {
                try? await context.reconfigure(odd) { _ in proper }
                throw error
            }
        },
        Fault(
            "S78", "a half-done change of the list of agents, then a partition", .stays, network: true, hosts: 5,
            replication: .semiSynchronous
        ) { context in
            // Two go by the old list of three still, three by the new one of five: each side has a majority of a list.
            let (old, new) = (context.cluster.backends[..<2], context.cluster.backends[2...])
            let network = try context.network()
            for host in old {
                try await context.reconfigure(host) {
                    $0.replacing(", \"web4\", \"web5\"]", with: "]")
                }
            }
            do {
                for host in [old[0], new[2]] {
                    try await context.explained(["agents go by another list as well"], on: host)
                }
                // What was seen is on every disk by then.
                await context.wait(.seconds(7))
                context.begin()
                try network.cut(
                    [context.primary.name] + old.map(\.name), from: [context.replica.name] + new.map(\.name))
                await context.nothingPromoted(for: .seconds(25))
                let sync = try await context.primary.ask("SELECT @@GLOBAL.rpl_semi_sync_source_enabled")
                if sync != [["1"]] { context.violation("the primary went on alone with one majority of two") }
                try network.heal()
            } catch {
                try? network.heal()
                throw error
            }
            for host in old {
                try await context.reconfigure(host) {
                    $0.replacing("\"web3\"]", with: "\"web3\", \"web4\", \"web5\"]")
                }
            }
        },
        Fault(
            "S78b", "those on the replaced primary's side of a partition are given a shorter list", .failover,
            network: true, hosts: 5, replication: .semiSynchronous
        ) { context in
            let (few, most) = (context.cluster.backends[..<2], context.cluster.backends[2...])
            let network = try context.network()
            for host in context.cluster.backends {
                try await eventually("\(host.name) knows of one list", within: .seconds(60)) {
                    try await !host.command(["explain"]).output.contains("another list as well")
                }
            }
            context.begin()
            do {
                try network.cut(
                    [context.primary.name] + few.map(\.name), from: [context.replica.name] + most.map(\.name))
                try await context.failedOver()
                // Two of three, by the new list.
                for host in few {
                    try await context.reconfigure(host) { $0.replacing(", \"web4\", \"web5\"]", with: "]") }
                }
                await context.wait(.seconds(14))
                for host in few where (try? await host.serverBehindRouter()) == context.primary.savedUUID {
                    context.violation("\(host.name)'s router leads to the primary that was replaced")
                }
                for host in few {
                    try await context.reconfigure(host) {
                        $0.replacing("\"web3\"]", with: "\"web3\", \"web4\", \"web5\"]")
                    }
                }
                try network.heal()
            } catch {
                try? network.heal()
                throw error
            }
        },
        Fault("S59", "a router does not start again while the primary is replaced", .failover) { context in
            let backend = context.anyBackend()
            let settings = backend.router.folder.read("router.settings")
            func program(_ text: String) throws { try backend.router.folder.write("router.settings", text) }
            try program(settings + "program=/bin/false\n")
            do {
                context.begin()
                await context.primary.kill()
                try await context.leftBehind(backend)
                try program(settings)
            } catch {
                try? program(settings)
                throw error
            }
            try await context.catchesUp(backend)
        },
        Fault("S59b", "a router can neither be stopped nor started while the primary is replaced", .failover) {
            context in
            // The mark by which router-ctl does nothing more: the router runs on as it was.
            let backend = context.anyBackend()
            let mark = backend.router.folder.path + "/closing"
            try backend.router.folder.write("closing", "")
            do {
                context.begin()
                await context.primary.kill()
                try await context.leftBehind(backend)
                try FileManager.default.removeItem(atPath: mark)
            } catch {
                try? FileManager.default.removeItem(atPath: mark)
                throw error
            }
            try await context.catchesUp(backend)
        },
        Fault("S69", "a second failure within the block period", .stays) { context in
            let (short, long) = ("block_period = \"0s\"", "block_period = \"1h\"")
            let hosts = context.backendsAtRandom()
            for host in hosts { try await context.reconfigure(host) { $0.replacing(short, with: long) } }
            do {
                try await context.blocked(hosts[0])
            } catch {
                for host in hosts { try? await context.reconfigure(host) { $0.replacing(long, with: short) } }
                throw error
            }
            for host in hosts { try await context.reconfigure(host) { $0.replacing(long, with: short) } }
        },
    ]
}

extension Fault.Context {
    /// The agents are turned away by a primary that lives: their own fault, and nobody else's.
    fileprivate func shutOut(_ change: String, _ back: String) async throws {
        let account = "'\(TestAccount.agent.user)'@'%'"
        begin()
        try await untraced(primary, "ALTER USER \(account) \(change)")
        let start = ContinuousClock.now
        do {
            let status = try await explained(["unlock"], or: ["correct [credentials]"], on: anyBackend())
            if status != 3 { violation("explain ended with \(status), not with 3") }
            await nothingPromoted(for: .seconds(12) - start.duration(to: .now))
        } catch {
            try? await untraced(primary, "ALTER USER \(account) \(back)")
            throw error
        }
        let rows = trial.writers.log.acknowledged(since: .now - .seconds(2)).count
        try await untraced(primary, "ALTER USER \(account) \(back)")
        if rows < 50 { violation("the writers got only \(rows) rows through in 2 s") }
    }

    private func explained(_ words: [String], or others: [String], on backend: Backend) async throws -> Int32 {
        var said = (status: Int32(-1), output: "")
        try await eventually("explain says \(words) or \(others)", within: .seconds(8)) {
            said = try await backend.command(["explain"])
            return [words, others].contains { $0.allSatisfy { said.output.contains($0) } }
        }
        return said.status
    }

    /// One router stays behind: the operation ends all the same, the host is named, and its router goes nowhere.
    fileprivate func leftBehind(_ backend: Backend) async throws {
        try await failedOver()
        try await eventually("the operation has ended", within: .seconds(40)) {
            let open = try await replica.ask("SELECT @@GLOBAL.read_only") == [["0"]]
            let rows = try await cluster.ledgerRows(on: replica)
            return open && rows == 0
        }
        note("ended after \(began.map { $0.duration(to: .now) / .seconds(1) } ?? 0) s")
        try await primary.start()
        try await eventually("\(primary.name) is a replica", within: .seconds(60)) {
            try await primary.ask("SELECT service_state FROM performance_schema.replication_connection_status")
                == [["ON"]]
        }
        let status = try await explained(["this host's router "], on: backend)
        if status == 0 {
            violation("explain on \(backend.name) ended with 0 while its router does not lead to the primary")
        }
        await wait(between(.seconds(1), .seconds(6)))
        if let led = try? await backend.serverBehindRouter(), led == replica.savedUUID {
            violation("the router of \(backend.name) leads to \(replica.name): it was not hindered")
        }
        let named = cluster.backends.contains { host in
            host.agentLog.split(separator: "\n").contains {
                $0.contains("without the confirmation") && $0.contains(backend.name)
            } || host.name == backend.name && host.agentLog.contains("the router could not be turned")
        }
        if !named { violation("nobody has named \(backend.name)") }
    }

    fileprivate func catchesUp(_ backend: Backend) async throws {
        let mended = ContinuousClock.now
        // It is tried again after pauses that grow to a minute.
        try await eventually("the router of \(backend.name) leads to \(replica.name)", within: .seconds(80)) {
            try await backend.serverBehindRouter() == replica.savedUUID
        }
        note("the router followed after \(Int(mended.duration(to: .now) / .seconds(1))) s")
    }

    /// With a block period in force: the first failover by leave, the second one not.
    fileprivate func blocked(_ host: Backend) async throws {
        try await allSynchronous()
        // Those of earlier rounds.
        try await command(host, ["ack"])
        begin()
        await primary.kill()
        try await failedOver()
        try await primary.start()
        try await allSynchronous()
        try await explained(["no   block period: "], on: host)

        await replica.kill()
        await nothingPromoted(for: .seconds(10), on: primary)
        try await explained(["no   block period: ", "failover goes in spite of it"], on: host)
        try await refused(["ack"], on: host)
        try await replica.start()
        try await allSynchronous()

        try await command(host, ["ack"])
        let second = ContinuousClock.now
        await replica.kill()
        try await acknowledges(primary, since: second)
        try await replica.start()
    }

    /// All is well, and every agent has seen that commits wait for the replica: none would ask about a loss.
    private func allSynchronous() async throws {
        try await cluster.settled(trial.writers)
        for backend in cluster.backends { try await explained(["yes  loss: "], on: backend) }
    }
}
