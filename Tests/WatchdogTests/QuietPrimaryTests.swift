import MySQLWire
import Testing

@testable import Watchdog

/// When an agent may write on the primary what it keeps there, beside an operation's own.
@Suite("Quorum mode, a quiet primary") struct QuietPrimaryTests {
    private func quiet(
        _ primary: (inout ServerFacts) -> Void = { _ in }, _ replica: (inout ServerFacts) -> Void = { _ in }
    ) -> (quiet: ServerID?, tables: ServerID?) {
        var scene = QuorumLeadTests.scene()
        scene.a = .up(QuorumPolicyTests.primary(primary))
        scene.b = .up(QuorumPolicyTests.replica(replica))
        _ = scene.look()
        let observation = TimedObservation(
            seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now, now: scene.now)
        return (scene.policy.quietPrimary(observation), scene.policy.tablesWanted(observation))
    }

    private static let row = LedgerRow(id: 1, signal: .scan(host: "web2"), agent: "web2", session: 8)

    @Test func itIsWhereAllIsWell() {
        #expect(quiet().quiet == .a)
        #expect(quiet({ $0.quorum?.semiSync = SemiSync() }).quiet == .a)
    }

    @Test(
        arguments: [
            { $0.gtidMode = false }, { $0.readOnly = true }, { ($0.readOnly, $0.superReadOnly) = (true, true) },
            { $0.superReadOnly = true }, { $0.executed = GTIDSet() }, { $0.quorum?.control.paused = true },
            { $0.ledger = [row] }, { $0.quorum?.seesPrimary = AgentSet([0]) },
            { $0.quorum?.seesPrimary = AgentSet([1, 2]) },
            { $0.quorum?.semiSync.clients = 0 },
        ] as [@Sendable (inout ServerFacts) -> Void])
    func notWithSuchAPrimary(_ change: @Sendable (inout ServerFacts) -> Void) {
        #expect(quiet(change).quiet == nil)
    }

    @Test(
        arguments: [
            { $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x") },
            { $0.superReadOnly = false },
            { $0.channels = [] }, { $0.channels[0].receiver = .off }, { $0.ledger = [row] },
        ] as [@Sendable (inout ServerFacts) -> Void])
    func notWithSuchAReplica(_ change: @Sendable (inout ServerFacts) -> Void) {
        #expect(quiet({ _ in }, change).quiet == nil)
    }

    @Test func tablesAreMadeWhereOneServerLacksThem() {
        let has: (inout ServerFacts) -> Void = { $0.quorum?.recorded = true }
        let lacks: (inout ServerFacts) -> Void = { $0.quorum?.recorded = false }
        #expect(quiet(has, has).tables == nil)
        #expect(quiet(lacks, has).tables == .a && quiet(has, lacks).tables == .a)
    }
}
