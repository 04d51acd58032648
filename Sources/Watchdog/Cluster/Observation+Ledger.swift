/// What the ledgers that were seen say.
extension Observation {
    func ledger(on id: ServerID) -> Ledger? {
        facts(id)?.ledger.map { Ledger(server: id, rows: $0) }
    }

    /// The ledger of an operation that is under way: one whose master lives, else an announced one that was left
    /// unfinished, the one of the higher epoch. What the dead left before they announced anything is none.
    package var activeLedger: Ledger? {
        let a = ledger(on: .a)
        let b = ledger(on: .b)
        guard a != nil || b != nil else { return nil }
        let ledgers = [a, b].compactMap { $0 }
        return ledgers.first { $0.master?.alive == true }
            ?? ledgers.filter { $0.kind != nil }.max { $0.epoch < $1.epoch }
    }

    /// The highest epoch in any ledger and any history that was seen.
    var highestEpoch: UInt64 {
        var highest: UInt64 = 0
        for id in ServerID.allCases {
            guard let facts = self.facts(id) else { continue }
            highest = max(highest, facts.promotion?.epoch ?? 0)
            for row in facts.ledger ?? [] { highest = max(highest, row.epoch) }
        }
        return min(highest, PromotionRecord.highestEpoch)
    }
}
