import Testing

@testable import Watchdog

/// The arithmetic of Documentation/Failover.md, on which the guarantees rest.
@Suite struct QuorumRulesTests {
    private func rules(bound: Bool) -> QuorumRules {
        QuorumRules(agents: ["web1", "web2", "web3"], own: 0, bound: bound)
    }

    /// A lease that was taken over just before its sessions' end, the supervisor or the lease itself, the closing, a look.
    @Test func everyRouterIsClosedNineSecondsAfterAMajorityHasTurnedAway() {
        let rules = rules(bound: false)
        #expect(rules.sessionTimeout == 3_000 && rules.lease == 3_000 && rules.supervisor == 3_000)
        #expect(QuorumRules.closeLimit == 2_000 && rules.interval == 1_000)
        #expect(rules.fenceWait == 9_000)
        #expect(rules.freshPromotion + rules.lease + QuorumRules.closeLimit < rules.fenceWait)
        // One that its agent cannot close goes with the agent: that ends itself when it should be closed.
        #expect(self.rules(bound: true).fenceWait == 11_000)
    }

    @Test(
        arguments: [
            (bound: true, usec: "3000000", pid: nil, said: nil), (true, "3000000", "7", nil),
            (true, "1000000", "", nil),
            (true, "3000001000", nil, "ends it after 3000001 ms"), (true, "30000000", "7", "others count on 3000 ms"),
            (true, "3000000", "8", "no supervisor"), (true, nil, nil, "no supervisor"),
            (true, "0", nil, "no supervisor"),
            (true, "-1", nil, "no supervisor"), (true, "3 s", nil, "no supervisor"), (false, nil, nil, nil),
        ] as [(bound: Bool, usec: String?, pid: String?, said: String?)])
    func aBoundRouterNeedsASupervisorThatIsQuickEnough(
        _ row: (bound: Bool, usec: String?, pid: String?, said: String?)
    ) {
        let limit = SupervisorLimit(microseconds: row.usec, process: row.pid, own: 7)
        let said = limit.objection(rules(bound: row.bound))
        #expect(row.said.map { said?.contains($0) == true } ?? (said == nil), "\(said ?? "")")
    }
}
