import Testing
import WatchdogSimulation

/// A few histories of router-led mode, unoptimised. `Scripts/simulate --mode router-led` plays thousands of the same.
@Suite("Router-led mode, simulated") struct ChaosModelTests {
    @Test func noHistoryBreaksAnInvariant() {
        let result = RouterLedHistories.run(1..<201, findings: 1)
        let finding = result.findings.first
        #expect(
            result.findings.isEmpty,
            "seed \(finding?.seed ?? 0): \(finding?.violation ?? "")\n\(finding?.story.joined(separator: "\n") ?? "")")
        #expect(result.promotions > 100 && result.rebuilds > 20 && result.held < 40)
    }

    @Test func aRebuildThatOnlyPretendsToSaveIsNoticedAtTheWipe() {
        let result = RouterLedHistories.run(1..<401, altering: Alteration(.pretend, "saveData"), findings: 1)
        #expect(!result.findings.isEmpty)
    }
}
