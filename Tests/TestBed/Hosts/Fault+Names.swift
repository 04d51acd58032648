import Foundation

/// Two hosts whose agents go by one name.
extension Fault {
    static let names: [Fault] = [
        Fault(
            "S57b", "a copy of a host, agent and all, comes up; then each of the two is on a side of its own",
            .failover,
            network: true, replication: .semiSynchronous
        ) { context in
            let network = try context.network()
            let hosts = context.backendsAtRandom()
            let (first, other, rest) = (hosts[0], hosts[1], hosts.dropFirst(2).map(\.name))
            let copy = try await context.cluster.copy(of: first)
            do {
                try copy.startAgent()
                try await eventually("the copy knows that it is one", within: .seconds(30)) {
                    copy.agentLog.contains("name-twice") || copy.agentLog.contains("goes by this one's name")
                }
                let status = try await context.explained(["there are two agents named \(first.name)"], on: other)
                if status != 2 { context.violation("explain ended with \(status), not with 2") }
                let (checked, findings) = try await other.command(["check"])
                if checked != 2 || !findings.contains("there are two agents named \(first.name)") {
                    context.violation("check ended with \(checked): \(findings)")
                }
                context.begin()
                try network.cut(
                    [context.primary.name, HostNetwork.spare, other.name],
                    from: [context.replica.name, first.name] + rest)
                try await context.failedOver()
                let opened = ContinuousClock.now
                await context.wait(.seconds(12))
                let uuid = context.primary.savedUUID
                let stale = context.trial.writers.log.acknowledged(since: opened).count { $0.server == uuid }
                if stale > 0 { context.violation("\(stale) rows were acknowledged by the primary that was replaced") }
                try network.heal()
                if first.agentLog.contains("goes by this one's name") {
                    context.violation("\(first.name), which was there first, gave up its votes")
                }
            } catch {
                try? network.heal()
                context.note("the copy: \(copy.agentLog.suffix(4_000))")
                await copy.clear()
                throw error
            }
            await copy.clear()
        }
    ]
}

extension HostCluster {
    /// A host of its own that was made from a copy of this one: its configuration, its router's file and what its agent has
    /// on disk. The agent is not started.
    func copy(of backend: Backend) async throws -> Backend {
        guard let network else { throw TestBedError("a copy of a host needs a network of its own") }
        let primary = try await whole()
        let copy = try Backend(
            name: backend.name, place: network.place(HostNetwork.spare), destinations: [primary.hostAndPort],
            strategy: "first-available", agentOptions: options.agentOptions)
        try writeConfiguration(copy)
        let state = "/repl-watchdog.quorum"
        try FileManager.default.copyItem(
            atPath: backend.workingDirectory + state, toPath: copy.workingDirectory + state)
        try await copy.router.control("start")
        return copy
    }
}
