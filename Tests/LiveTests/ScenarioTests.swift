import Foundation
import TestBed
import Testing

/// Scenarios of quorum mode by their numbers, on real servers with real routers and agents as processes.
/// `Scripts/chaos --list` has all of them; here are those that are quick.
@Suite(.serialized) struct ScenarioTests {
    /// On loopback, one cluster for all: what one leaves behind the next one finds.
    @Test func serversAndAgents() async throws {
        // S34 first: an operator has started replication there.
        let scenarios = [
            "S34", "S84", "S84b", "S84c", "S84d", "S85", "S85b", "S86", "S87", "S87b", "S88", "S70b", "S71b", "S35",
            "S26", "S89", "S96", "S97", "S97b",
            "S01", "S71",
            "S06",
            "S47", "S39",
            "S57", "S07", "S62", "S75b", "S76", "S63",
        ]
        try await run(scenarios, ownNetworks: false)
    }

    /// Each host with a network of its own.
    @Test(.enabled(if: HostNetwork.isPossible, "needs root and iproute2"))
    func partitions() async throws {
        try await run(["S19", "S20", "S16", "S57b"], ownNetworks: true)
    }

    private func run(_ scenarios: [String], ownNetworks: Bool) async throws {
        var options = HostCluster.Options()
        options.ownNetworks = ownNetworks
        try await withHostCluster(options) { cluster in
            do {
                try cluster.startAgents()
                let trial = try await Trial(cluster)
                for (index, scenario) in scenarios.enumerated() {
                    let round = try await trial.round(try Fault.named(scenario), seed: UInt64(index))
                    #expect(round.verdict.violations.isEmpty, "\(round.fault)")
                    guard round.verdict.violations.isEmpty else { break }
                }
                let verdict = try await trial.finish()
                #expect(verdict.violations.isEmpty)
                #expect(verdict.acknowledged > 100)
            } catch {
                for backend in cluster.backends { print("\(backend.name):\n\(backend.agentLog.suffix(8000))") }
                throw error
            }
        }
    }
}
