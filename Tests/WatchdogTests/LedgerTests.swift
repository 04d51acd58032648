import Testing

@testable import Watchdog

@Suite struct SignalTests {
    @Test(arguments: [
        "SCAN web1", "MAST web1", "FOLO web10", "MAOK web1", "FOOK web1", "TARG 10.0.0.2:3306", "OPER fail",
        "OPER repl",
    ])
    func readsAndWritesTheSeedsWords(_ text: String) throws {
        #expect(try #require(Signal(text)).description == text)
    }

    @Test(arguments: ["", "SCAN", "SCAN ", "OPER other", "scan web1", "STOP web1"])
    func refusesOthers(_ text: String) {
        #expect(Signal(text) == nil)
    }
}

@Suite struct LedgerTests {
    @Test func namesAreComparedWhole() {
        let ledger = Ledger(
            server: .b,
            rows: [
                LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2"),
                LedgerRow(id: 2, signal: .folo(host: "web1"), agent: "web1"),
                LedgerRow(id: 3, signal: .folo(host: "web10"), agent: "web10"),
                LedgerRow(id: 4, signal: .fook(host: "web10"), agent: "web10"),
            ])
        #expect(ledger.followers == ["web1", "web10"])
        #expect(ledger.unfinished == ["web1"])
    }

    @Test func theDeadAreNoCandidates() {
        let ledger = Ledger(
            server: .b,
            rows: [
                LedgerRow(id: 1, signal: .scan(host: "web1"), agent: "web1", alive: false),
                LedgerRow(id: 2, signal: .scan(host: "web2"), agent: "web2"),
            ])
        #expect(ledger.candidates.map(\.agent) == ["web2"])
    }

    @Test func lockNamesFitAndDiffer() {
        let long = String(repeating: "x", count: 80)
        let one = LedgerSchema.agentLock(long, long + "1")
        let two = LedgerSchema.agentLock(long, long + "2")
        #expect(one.utf8.count <= 64 && two.utf8.count <= 64 && one != two)
        #expect(LedgerSchema.agentLock("shop", "Web1") == "wd:shop:agent:web1")
    }
}
