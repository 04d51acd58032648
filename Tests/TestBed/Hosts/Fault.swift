import Foundation
import SeededRandom
import Synchronization

/// Something that goes wrong in a cluster of hosts, with the number it has in the project's list of scenarios.
public struct Fault: Sendable, CustomStringConvertible {
    public enum Expectation: Sendable {
        /// The other server becomes the primary.
        case failover
        /// The primary stays the primary.
        case stays
        case either

        func violation(before: String, after: String) -> String? {
            switch self {
            case .failover where before == after: "\(before) is still the primary"
            case .stays where before != after: "\(after) was promoted without need"
            default: nil
            }
        }
    }

    /// The replication that a scenario is about; what the agents promise depends on it.
    public enum Replication: Sendable {
        case any, semiSynchronous, asynchronous
    }

    public let scenario: String
    public let name: String
    public let expectation: Expectation
    /// Only where each host has a network of its own.
    public let needsNetwork: Bool
    /// How many hosts it takes.
    public let hosts: Int
    /// Only where file systems can be mounted.
    public let needsMounts: Bool
    /// Only where commits wait for the replica, or only where they do not.
    public let replication: Replication
    /// How often it comes in a random mix, beside the others.
    public let weight: Int
    let run: @Sendable (Context) async throws -> Void

    public var description: String { "\(scenario) \(name)" }

    init(
        _ scenario: String, _ name: String, _ expectation: Expectation, network: Bool = false, mounts: Bool = false,
        hosts: Int = 3, replication: Replication = .any, weight: Int = 1,
        _ run: @escaping @Sendable (Context) async throws -> Void
    ) {
        (self.scenario, self.name, self.expectation, self.run) = (scenario, name, expectation, run)
        (self.needsNetwork, self.needsMounts, self.weight) = (network, mounts, weight)
        self.replication = replication
        self.hosts = hosts
    }

    /// What it needs and does not have here; nil if it can be done.
    public func obstacle(ownNetworks: Bool, semiSync: Bool = true, hosts: Int = 3) -> String? {
        if self.hosts > hosts { return "\(self.hosts) hosts" }
        if needsNetwork && !ownNetworks { return "networks of their own: root and iproute2, without --loopback" }
        switch replication {
        case .semiSynchronous where !semiSync: return "semi-synchronous replication: without --async"
        case .asynchronous where semiSync: return "asynchronous replication: --async"
        default: break
        }
        return needsMounts && !SmallDisk.isPossible ? "to mount file systems: root" : nil
    }

    /// - Throws: where there is no such scenario.
    public static func named(_ scenario: String) throws -> Fault {
        guard let fault = all.first(where: { $0.scenario == scenario }) else {
            throw TestBedError("no scenario \(scenario); there are \(all.map(\.scenario).joined(separator: " "))")
        }
        return fault
    }

    /// What a fault works with, and what it has to say.
    final class Context: Sendable {
        let trial: Trial
        let primary: MySQLServer
        private struct State {
            var random: SeededGenerator
            var began: ContinuousClock.Instant?
            var notes: [String] = []
            var violations: [String] = []
        }
        private let state: Mutex<State>
        private let begins: @Sendable (MySQLServer) -> Void

        init(
            _ trial: Trial, primary: MySQLServer, seed: UInt64, begins: @escaping @Sendable (MySQLServer) -> Void
        ) {
            self.trial = trial
            self.primary = primary
            self.begins = begins
            state = Mutex(State(random: SeededGenerator(seed: seed)))
        }

        var cluster: HostCluster { trial.cluster }
        var replica: MySQLServer { cluster.other(than: primary) }
        var began: ContinuousClock.Instant? { state.withLock { $0.began } }
        var notes: [String] { state.withLock { $0.notes } }
        var violations: [String] { state.withLock { $0.violations } }

        /// The fault is there from now on.
        func begin() {
            let first = state.withLock { state in
                defer { state.began = state.began ?? .now }
                return state.began == nil
            }
            if first { begins(primary) }
        }
        func note(_ text: String) { state.withLock { $0.notes.append(text) } }
        func violation(_ text: String) { state.withLock { $0.violations.append(text) } }

        /// A duration between two bounds, in steps of a millisecond.
        func between(_ low: Duration, _ high: Duration) -> Duration {
            let (from, to) = (Int(low / .milliseconds(1)), Int(high / .milliseconds(1)))
            return .milliseconds(state.withLock { Int.random(in: from...to, using: &$0.random) })
        }

        func anyBackend() -> Backend { backendsAtRandom()[0] }

        func backendsAtRandom() -> [Backend] {
            state.withLock { cluster.backends.shuffled(using: &$0.random) }
        }

        func chance() -> Bool { state.withLock { Bool.random(using: &$0.random) } }

        func wait(_ duration: Duration) async { await pause(duration) }

        /// Waits until rows are acknowledged by another server than the primary of before.
        func failedOver(within limit: Duration = .seconds(40)) async throws {
            try await acknowledges(replica, since: began ?? .now, within: limit)
        }

        /// Waits until a row that was acknowledged after `start` was so by this server.
        func acknowledges(
            _ server: MySQLServer, since start: ContinuousClock.Instant, within limit: Duration = .seconds(40)
        ) async throws {
            let uuid = server.savedUUID
            try await eventually("a row is acknowledged by \(server.name)", within: limit) {
                trial.writers.log.acknowledged(since: start).contains { $0.server == uuid }
            }
        }

        /// Watches for `duration` that the replica, or another server, is not opened.
        func nothingPromoted(for duration: Duration, on server: MySQLServer? = nil) async {
            let server = server ?? replica
            let end = ContinuousClock.now.advanced(by: duration)
            while .now < end {
                let closed = try? await server.ask("SELECT @@GLOBAL.super_read_only")
                if closed == [["0"]] {
                    violation("\(server.name) was opened")
                    return
                }
                await pause(.milliseconds(200))
            }
        }

        func network() throws -> HostNetwork {
            guard let network = cluster.network else { throw TestBedError("this needs networks of their own") }
            return network
        }

        /// A cut for some time.
        func cut(_ duration: Duration, _ make: (HostNetwork) throws -> Void) async throws {
            let network = try network()
            begin()
            try make(network)
            await pause(duration)
            try network.heal()
        }
    }
}
