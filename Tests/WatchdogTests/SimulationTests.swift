import Testing
import WatchdogSimulation

/// A few histories, unoptimised. `Scripts/simulate` plays thousands a second of the same.
@Suite("Quorum mode, simulated") struct SimulationTests {
    @Test func noHistoryBreaksAnInvariant() {
        let result = Histories.run(1..<101, findings: 1)
        let finding = result.findings.first
        #expect(
            result.findings.isEmpty,
            "seed \(finding?.seed ?? 0): \(finding?.violation ?? "")\n\(finding?.story.joined(separator: "\n") ?? "")")
        #expect(result.acknowledged > 1_000 && result.promotions > 20)
    }

    @Test func aSeedPlaysTheSameHistoryAgain() {
        for seed in 7..<12 as Range<UInt64> {
            let one = Histories.story(of: seed)
            #expect(!one.isEmpty && one == Histories.story(of: seed))
        }
    }

    @Test func aCommandThatIsLeftOutIsNoticed() {
        let result = Histories.run(1..<401, altering: Alteration(.leaveOut, "copyData"), findings: 1)
        #expect(!result.findings.isEmpty)
    }

    @Test func aSaveThatOnlyPretendsIsNoticedAtTheWipe() {
        let result = Histories.run(1..<2_001, altering: Alteration(.pretend, "saveData"), findings: 1)
        #expect(result.findings.first?.violation.contains("was wiped although it alone holds") == true)
    }
}
