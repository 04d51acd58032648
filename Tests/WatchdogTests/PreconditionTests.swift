import MySQLWire
import Testing

@testable import Watchdog

/// What "nothing acknowledged is lost" rests on: looked at, and not promised where it does not hold.
@Suite("Preconditions of a lossless failover") struct PreconditionTests {
    private func conditions(
        primary: (inout ServerFacts) -> Void = { _ in }, replica: (inout ServerFacts) -> Void = { _ in }
    ) -> (loss: Bool?, data: Bool?, evidence: String) {
        var scene = QuorumPolicyTests.Scene()
        scene.a = .up(QuorumPolicyTests.primary(primary))
        scene.b = .up(QuorumPolicyTests.replica(replica))
        _ = scene.look()
        _ = scene.look()
        let seen = Observation(a: scene.a, b: scene.b, router: .noAnswer(""))
        let diagnosis = scene.policy.diagnosis(TimedObservation(seen: seen, askedAt: scene.now, now: scene.now))
        let conditions = scene.explain()
        return (conditions[.loss]?.holds, conditions[.data]?.holds, diagnosis.summary)
    }

    @Test func theReplicaAloneAcknowledges() {
        let (loss, data, evidence) = conditions()
        #expect(loss == true && data == nil && !evidence.contains("acknowledge"))
    }

    @Test func aThirdServerThatAcknowledgesMakesNoPromise() {
        let (loss, _, evidence) = conditions(primary: {
            $0.quorum?.semiSync.clients = 2
            $0.quorum?.replicas = [Fixture.uuidB, StrangerTests.uuid]
        })
        #expect(loss == false && evidence.contains("a server that is not b acknowledges"))
        // The replica has connected again, and its connection of before is not known to be dead.
        let (same, _, _) = conditions(primary: {
            $0.quorum?.semiSync.clients = 2
            $0.quorum?.replicas = [Fixture.uuidB]
        })
        #expect(same == true)
        // The only one that acknowledges is not the replica.
        let (other, _, why) = conditions(replica: { $0.quorum?.semiSync.acknowledges = false })
        #expect(other == false && why.contains("a server that is not b acknowledges"))
    }

    /// The servers are not asked in one instant: the replica's receiver may stop, or start, between the two answers, as when
    /// the primary dies in the middle of a look.
    @Test func aReplicaThatWasAskedAMomentLaterIsNoThirdServer() {
        var scene = QuorumPolicyTests.Scene()
        let silent = ServerView.up(QuorumPolicyTests.replica { $0.quorum?.semiSync.acknowledges = false })
        for _ in 0..<2 { _ = scene.look() }
        #expect(scene.policy.durable.sync)
        for _ in 0..<3 {
            scene.b = silent
            _ = scene.look()
            #expect(scene.policy.durable.sync, "one look's word")
            scene.b = .up(QuorumPolicyTests.replica())
            _ = scene.look()
        }
        scene.b = silent
        for _ in 0..<2 { _ = scene.look() }
        #expect(!scene.policy.durable.sync, "two in a row")
    }

    /// What is not clear promises nothing new: a third server may acknowledge while the replica is away.
    @Test func aReplicaThatIsSilentIsNotTakenForTheOneThatAcknowledges() {
        var scene = QuorumPolicyTests.Scene()
        scene.b = .up(QuorumPolicyTests.replica { $0.quorum?.semiSync.acknowledges = false })
        _ = scene.look()
        #expect(!scene.policy.durable.sync, "after the first look")
        for _ in 0..<2 { _ = scene.look() }
        scene.b = .downSoft("it stands still")
        _ = scene.look()
        #expect(!scene.policy.durable.sync)
        scene.b = .up(QuorumPolicyTests.replica())
        _ = scene.look()
        #expect(scene.policy.durable.sync)
        // A lost answer takes nothing away either.
        scene.b = .downSoft("one lost answer")
        _ = scene.look()
        #expect(scene.policy.durable.sync)
    }

    @Test func aFilteredReplicaIsNotPromoted() {
        let filtered: (inout ServerFacts) -> Void = { $0.quorum?.filtered = "replication filters" }
        let (_, data, evidence) = conditions(replica: filtered)
        #expect(data == false && evidence.contains("b may lack rows whose GTIDs it has (replication filters)"))
        let (_, accepted, _) = conditions(replica: {
            filtered(&$0)
            $0.quorum?.lossAccepted = true
        })
        #expect(accepted == true)
    }

    /// Its process may come back and take writes from a router that has not been closed.
    @Test func aPrimaryThatMayStartOpenIsVotedAgainstWithAClosedRouter() {
        func died(startsClosed: Bool) -> (Step, Orders) {
            var scene = QuorumPolicyTests.Scene()
            scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.bootsClosed = startsClosed })
            let step = scene.look().step
            scene.a = .downHard("refused")
            scene.b = .up(QuorumPolicyTests.replica(receiver: .connecting))
            _ = scene.look()
            return (step, scene.look())
        }
        let (nothing, dead) = died(startsClosed: true)
        #expect(nothing == .none(.nothingToDo) && dead.locks.vote == .dead && dead.router == .keep)
        let (persist, silent) = died(startsClosed: false)
        #expect(persist == .startClosed(.a) && silent.locks.vote == nil && silent.router == .close)
    }
}
