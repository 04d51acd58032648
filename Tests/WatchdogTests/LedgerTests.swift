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

    /// Rows count in the order in which they were written, however they come.
    @Test func theNewestRowsCount() {
        let rows = [
            LedgerRow(id: 1, signal: .oper(.failover), agent: "web1", epoch: 1, alive: false),
            LedgerRow(id: 2, signal: .targ(socket: "b:1"), agent: "web1", epoch: 1, alive: false),
            LedgerRow(id: 3, signal: .mast(host: "web1"), agent: "web1", epoch: 1, seen: "a", alive: false),
            LedgerRow(id: 4, signal: .folo(host: "web2"), agent: "web2", epoch: 1, seen: "a"),
            LedgerRow(id: 5, signal: .mast(host: "web2"), agent: "web2", epoch: 2, seen: "b"),
            LedgerRow(id: 6, signal: .oper(.recover), agent: "web2", epoch: 2),
            LedgerRow(id: 7, signal: .targ(socket: "a:1"), agent: "web2", epoch: 2),
            LedgerRow(id: 8, signal: .maok(host: "web2"), agent: "web2", epoch: 2),
        ]
        for order in [rows, rows.reversed()] {
            let ledger = Ledger(server: .b, rows: order)
            #expect(ledger.master?.id == 5 && ledger.begun?.id == 1 && ledger.kind == .recover)
            #expect(ledger.target == "a:1" && ledger.masterDone && ledger.epoch == 2)
            // The follower leads by now.
            #expect(ledger.followers.isEmpty)
            #expect(!ledger.isAlive("web1") && ledger.isAlive("web2") && !ledger.isAlive("web3"))
            #expect(ledger.lastSeen("web1") == "a" && ledger.lastSeen("web2") == "b")
            #expect(ledger.routes == ["web2": "b"])
        }
        let before = Ledger(server: .b, rows: Array(rows.prefix(2)))
        #expect(before.master == nil && !before.masterDone && before.candidates.isEmpty)
        #expect(rows[3].follows(in: 1, after: 3) && !rows[3].follows(in: 1, after: 4))
        #expect(!rows[3].follows(in: 2, after: 3) && !rows[4].follows(in: 2, after: 3))
    }

    @Test func lockNamesFitAndDiffer() {
        let long = String(repeating: "x", count: 80)
        let one = LedgerSchema.agentLock(long, long + "1")
        let two = LedgerSchema.agentLock(long, long + "2")
        #expect(one.utf8.count <= 64 && two.utf8.count <= 64 && one != two)
        #expect(LedgerSchema.agentLock("shop", "Web1") == "wd:shop:agent:web1")
    }
}
