import Testing

@testable import Watchdog

/// Which row of the history is believed.
@Suite struct PromotionRecordTests {
    private let a = "uuid-a"
    private let b = "uuid-b"
    private let foreign = "uuid-f"

    private func believed(
        _ newest: String?, known: String?, on uuid: String = "uuid-a", sources: [String] = [], members: Set<String>
    ) -> (promotion: Promotion?, foreign: PromotionRecord.Foreign) {
        PromotionRecord(
            newest: newest.map { Promotion(epoch: 9, primary: $0) },
            newestKnown: known.map { Promotion(epoch: 3, primary: $0) }
        ).believed(on: uuid, sources: sources, members: members)
    }

    @Test func aRowThatCanBeOneOfThisClustersIsBelieved() {
        for (newest, sources, members) in [
            (a, [], []), (b, [b], []), (b, [], [b]), (b, [], [a, b]),
        ] as [(String, [String], Set<String>)] {
            let (promotion, foreign) = believed(newest, known: a, sources: sources, members: members)
            #expect(promotion == Promotion(epoch: 9, primary: newest) && foreign == .none)
        }
        #expect(believed(nil, known: nil, members: [a, b]).promotion == nil)
    }

    @Test func anotherClustersRowIsAsIfItWereNotThere() {
        let (promotion, found) = believed(foreign, known: a, members: [a, b])
        #expect(promotion == Promotion(epoch: 3, primary: a) && found == .ignored(foreign))
        let (none, also) = believed(foreign, known: nil, members: [b])
        #expect(none == nil && also == .ignored(foreign))
    }

    /// It may be the other server, which nobody has met yet: an older row would make the wrong one primary.
    @Test func whileOneServerIsNotKnownNothingIsBelieved() {
        for members in [[], [a]] as [Set<String>] {
            let (promotion, found) = believed(foreign, known: a, members: members)
            #expect(promotion == nil && found == .unclear(foreign))
        }
    }

    /// Neither in a ledger nor in what was kept does one make the next epoch impossible.
    @Test func anEpochThatLeavesNoRoomIsNobodys() {
        var durable = DurableState()
        durable.operation = .max
        durable.epoch = 7
        let policy = QuorumPolicy(
            rules: QuorumRules(agents: ["web1"], own: 0), configuration: Fixture.configuration(), durable: durable)
        var facts = ServerFacts(uuid: a, serverID: 1)
        facts.promotion = Promotion(epoch: .max, primary: a)
        let seen = Observation(a: .up(facts), b: .downSoft("silent"), router: .noAnswer("none"))
        #expect(policy.nextEpoch(seen) == 8)
    }
}
