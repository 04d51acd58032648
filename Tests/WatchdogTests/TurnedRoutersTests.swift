import Testing

@testable import Watchdog

/// Whose routers have turned after a switchover to b, which web1 asked for and web2 led.
@Suite struct TurnedRoutersTests {
    private static let agents = QuorumPolicyTests.agents

    private func seen(
        _ signals: [Signal], leads: String = Fixture.uuidB, stuck: [Int] = [], here: [Int] = [0, 1, 2]
    ) -> Observation {
        let rows = signals.enumerated().map { index, signal in
            LedgerRow(id: UInt64(index + 1), signal: signal, agent: "web2", epoch: 4)
        }
        let b = QuorumPolicyTests.primary {
            $0.uuid = Fixture.uuidB
            $0.ledger = rows.ledger
            $0.quorum?.routersStuck = AgentSet(stuck)
            $0.quorum?.seesPrimary = AgentSet(here)
        }
        return Observation(a: .downSoft(""), b: .up(b), router: .leadsTo(uuid: leads))
    }

    private static let begun: [Signal] = [
        .mast(host: "web2"), .oper(.failover), .folo(host: "web1"), .folo(host: "web3"),
    ]

    private func routers(_ looks: [(Observation, Int64)]) -> TurnedRouters {
        var routers = TurnedRouters(agents: Self.agents, own: "web1", new: .b)
        for (seen, opened) in looks { routers.look(seen, opened: opened) }
        return routers
    }

    @Test func allHaveConfirmed() {
        let waiting = routers([(seen(Self.begun), 0)])
        #expect(waiting.notTurned == ["web2", "web3"] && !waiting.isSettled(opened: 0))
        let all = routers([(seen(Self.begun + [.maok(host: "web2"), .fook(host: "web3")]), 200)])
        #expect(all.isSettled(opened: 200) && all.answer("done").exitStatus == 0 && all.answer("done").text == "done")
        // The ledger ends at once after the last confirmation, which nobody may have seen.
        let ended = routers([(seen(Self.begun), 0), (seen([]), 900)])
        #expect(ended.isSettled(opened: 900) && ended.answer("done").exitStatus == 0)
    }

    @Test func whoHasNotTurnedIsNamed() {
        // The master goes on without one that does not confirm.
        let late = routers([(seen(Self.begun + [.maok(host: "web2")]), 0), (seen([]), 11_000)])
        let answer = late.answer("b is the primary")
        #expect(late.isSettled(opened: 11_000) && late.notTurned == ["web3"] && answer.exitStatus == 1)
        #expect(answer.text.hasPrefix("b is the primary, the switchover is done"), "\(answer.text)")
        #expect(answer.text.contains("the router of web3 has not turned"), "\(answer.text)")
        // A master that cannot turn its own confirms all the same.
        let confirmed = Self.begun + [.maok(host: "web2"), .fook(host: "web3")]
        let stuck = routers([(seen(confirmed, stuck: [1]), 0)])
        #expect(stuck.isSettled(opened: 0) && stuck.notTurned == ["web2"] && stuck.answer("").exitStatus == 1)
    }

    @Test func thisHostsRouterIsCritical() {
        let own = routers([(seen(Self.begun, leads: Fixture.uuidA), 0), (seen([], leads: Fixture.uuidA), 900)])
        #expect(!own.isSettled(opened: 900) && own.notTurned == ["web1"] && own.answer("").exitStatus == 2)
        let stuck = routers([(seen([], leads: Fixture.uuidA, stuck: [0]), 900)])
        #expect(stuck.isSettled(opened: 900) && stuck.answer("").exitStatus == 2)
    }

    @Test func aHostWithoutItsAgentIsNamed() {
        let away = routers([(seen(Self.begun + [.maok(host: "web2")], here: [0, 1]), 500)])
        // A session that is opened again is no absence.
        #expect(!away.isSettled(opened: 500) && away.isSettled(opened: 3_000))
        #expect(away.away == ["web3"] && away.notTurned.isEmpty && away.answer("").exitStatus == 1)
        #expect(away.answer("").text.contains("no agent is at work on web3"), "\(away.answer("").text)")
    }
}
