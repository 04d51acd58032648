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
        func promises(_ acknowledgers: [String], clients: Int) -> (holds: Bool?, evidence: String) {
            let (loss, _, evidence) = conditions(primary: {
                $0.quorum?.semiSync.clients = clients
                $0.quorum?.semiSync.acknowledgers = acknowledgers
            })
            return (loss, evidence)
        }
        for others in [[Fixture.uuidB, StrangerTests.uuid], [StrangerTests.uuid], [Fixture.uuidB, "-"]] {
            let (holds, evidence) = promises(others, clients: others.count)
            #expect(holds == false && evidence.contains("a server that is not b acknowledges"), "\(others)")
        }
        // The replica has connected again, and its connection of before is not known to be dead.
        #expect(promises([Fixture.uuidB, Fixture.uuidB], clients: 2).holds == true)
        // One of them has just gone.
        #expect(promises([Fixture.uuidB, Fixture.uuidB], clients: 1).holds == true)
    }

    /// performance_schema is off, or has no room for all threads.
    @Test func aPrimaryThatDoesNotSayWhoAcknowledgesMakesNoPromise() {
        for names in [[], [Fixture.uuidB]] {
            let (loss, _, evidence) = conditions(primary: {
                $0.quorum?.semiSync.clients = names.count + 1
                $0.quorum?.semiSync.acknowledgers = names
            })
            #expect(loss == false && evidence.contains("a does not say who acknowledges"))
        }
    }

    /// What was promised holds while nobody acknowledges: commits wait.
    @Test func thePromiseIsTakenBackAtOnceAndMadeAgain() {
        var durable = DurableState()
        durable.operation = 1
        var scene = QuorumPolicyTests.Scene(durable: durable)
        func look(_ acknowledgers: [String]) -> Bool {
            scene.a = .up(
                QuorumPolicyTests.primary {
                    $0.quorum?.semiSync.clients = acknowledgers.count
                    $0.quorum?.semiSync.acknowledgers = acknowledgers
                })
            _ = scene.look()
            return scene.policy.durable.sync
        }
        #expect(!look([]))
        #expect(!look([Fixture.uuidB]))
        #expect(look([Fixture.uuidB]))
        #expect(look([]))
        #expect(!look([Fixture.uuidB, StrangerTests.uuid]))
        #expect(!look([]))
        #expect(!look([Fixture.uuidB]))
        #expect(look([Fixture.uuidB]))
        // Whatever the replica answers or does not.
        scene.b = .downSoft("it stands still")
        #expect(look([Fixture.uuidB]))
    }

    private static func replica(started: Int64, keeps: Bool = false, executed: Int = 10) -> ServerView {
        .up(
            QuorumPolicyTests.replica(votes: [0, 1, 2], receiver: .connecting) {
                $0.executed = GTIDSet("\(Fixture.uuidA):1-\(executed)") ?? GTIDSet()
                $0.quorum?.started = started
                $0.quorum?.keepsReceived = keeps
            })
    }

    /// What it had received and not applied went with its process, and the primary that has it is gone.
    @Test func aReplicaThatWasStartedAnewMayLackWhatItHasAcknowledged() {
        func loss(started: Int64, keeps: Bool = false) -> Bool? {
            var scene = QuorumPolicyTests.Scene()
            _ = scene.look()
            scene.a = .downHard("refused")
            scene.b = Self.replica(started: started, keeps: keeps)
            for _ in 0..<3 { _ = scene.look() }
            return scene.explain()[.loss]?.holds
        }
        #expect(loss(started: 100) == true)
        // Two clocks' seconds.
        #expect(loss(started: 98) == true && loss(started: 102) == true)
        #expect(loss(started: 103) == false)
        #expect(loss(started: 103, keeps: true) == true)
    }

    /// It has to be seen to have what the primary had after its new process was seen.
    @Test func aReplicaThatWasStartedAnewHasToCatchUp() {
        var scene = QuorumPolicyTests.Scene()
        _ = scene.look()
        func look(executed: Int) -> Int64? {
            scene.b = Self.replica(started: 200, executed: executed)
            _ = scene.look()
            return scene.policy.durable.replicaStarted
        }
        #expect(look(executed: 10) == 100)
        #expect(look(executed: 8) == 100)
        #expect(look(executed: 9) == 100)
        #expect(look(executed: 10) == 200)
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
