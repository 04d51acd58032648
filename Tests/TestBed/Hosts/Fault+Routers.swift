import Foundation
import Glibc

/// Routers that go with their agents.
extension Fault {
    static let routers: [Fault] = [
        Fault(
            "S59c", "a bound router cannot be stopped on the primary's side of a partition", .failover, network: true,
            replication: .asynchronous
        ) { context in
            let network = try context.network()
            let hosts = context.backendsAtRandom()
            let (stuck, rest) = (hosts[0], hosts.dropFirst().map(\.name))
            func bind(_ isBound: Bool) async throws {
                let (plain, bound) = ("[router]\n", "[router]\nbound = true\n")
                for host in hosts {
                    try await context.reconfigure(host) {
                        isBound ? $0.replacing(plain, with: bound) : $0.replacing(bound, with: plain)
                    }
                }
                try await context.cluster.settled(context.trial.writers, hold: .milliseconds(500))
            }
            try await bind(true)
            // The mark by which router-ctl does nothing more.
            let mark = stuck.router.folder.path + "/closing"
            try stuck.router.folder.write("closing", "")
            do {
                context.begin()
                try network.cut([context.primary.name, stuck.name], from: [context.replica.name] + rest)
                // What systemd does: the router goes when its agent has.
                try await eventually(
                    "the agent of \(stuck.name) ends itself", within: .seconds(30), every: .milliseconds(20)
                ) {
                    !stuck.isAgentRunning
                }
                if let pid = stuck.router.pid { kill(pid, SIGKILL) }
                context.note("ended after \(context.began.map { $0.duration(to: .now).rounded } ?? "-") s")
                try await context.failedOver()
                let opened = ContinuousClock.now
                await context.wait(.seconds(8))
                let uuid = context.primary.savedUUID
                let stale = context.trial.writers.log.acknowledged(since: opened).count { $0.server == uuid }
                if stale > 0 { context.violation("\(stale) rows were acknowledged by the primary that was replaced") }
                if !stuck.agentLog.contains("ends itself") {
                    context.violation("the agent does not say why it has ended")
                }
                try FileManager.default.removeItem(atPath: mark)
                try network.heal()
            } catch {
                try? FileManager.default.removeItem(atPath: mark)
                try? network.heal()
                throw error
            }
            try stuck.startAgent()
            try await bind(false)
        }
    ]
}
