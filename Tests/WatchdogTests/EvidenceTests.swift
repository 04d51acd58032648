import MySQLWire
import Testing

@testable import Watchdog

/// What speaks against a primary, and what speaks for it.
@Suite struct EvidenceTests {
    private typealias Scene = QuorumPolicyTests.Scene

    private static func primary(_ change: (inout ServerFacts) -> Void) -> ServerFacts {
        QuorumPolicyTests.primary(change)
    }

    /// An open one goes on: it may wait for an acknowledgement, or have been asked a moment earlier.
    @Test func onlyAClosedPrimaryCanBeIncomplete() {
        func isLost(readOnly: Bool, superReadOnly: Bool) -> Bool? {
            var scene = Scene()
            _ = scene.look()
            scene.a = .up(
                Self.primary {
                    ($0.readOnly, $0.superReadOnly) = (readOnly, superReadOnly)
                    $0.executed = GTIDSet("\(Fixture.uuidA):1-9") ?? GTIDSet()
                })
            _ = scene.look()
            return scene.explain()[.lost]?.holds
        }
        #expect(isLost(readOnly: true, superReadOnly: true) == true)
        #expect(isLost(readOnly: true, superReadOnly: false) == true)
        #expect(isLost(readOnly: false, superReadOnly: true) == true)
        #expect(isLost(readOnly: false, superReadOnly: false) == false)
    }

    /// What half a copy claims says nothing of what the primary had.
    @Test(arguments: [true, false]) func aReplicaThatHoldsMoreSpeaksAgainstAClosedPrimary(_ isHalf: Bool) {
        var durable = DurableState()
        durable.primary = Fixture.uuidA
        (durable.uuids[.a], durable.uuids[.b]) = (Fixture.uuidA, Fixture.uuidB)
        var scene = Scene(durable: durable)
        scene.a = .up(Self.primary { ($0.readOnly, $0.superReadOnly) = (true, true) })
        scene.b = .up(
            QuorumPolicyTests.replica(receiver: .off) {
                $0.executed = GTIDSet("\(Fixture.uuidA):1-11") ?? GTIDSet()
                if isHalf { $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x") }
            })
        _ = scene.look()
        #expect(scene.explain()[.lost]?.holds == !isHalf)
    }

    /// What it had made before it was deposed was given up with the promotion that made it primary again.
    @Test func whatAServerMadeInAnEarlierTermIsNotHeldAgainstIt() {
        var scene = Scene()
        _ = scene.look()
        scene.a = .downHard("refused")
        scene.b = .up(
            QuorumPolicyTests.replica {
                ($0.channels, $0.promotion) = ([], Promotion(epoch: 2, primary: Fixture.uuidB))
            })
        _ = scene.look()
        scene.a = .up(
            Self.primary {
                ($0.readOnly, $0.superReadOnly) = (true, true)
                $0.executed = GTIDSet("\(Fixture.uuidA):1-5") ?? GTIDSet()
                $0.promotion = Promotion(epoch: 3, primary: Fixture.uuidA)
            })
        scene.b = .up(
            QuorumPolicyTests.replica(receiver: .off) { $0.executed = GTIDSet("\(Fixture.uuidA):1-5") ?? GTIDSet() })
        _ = scene.look()
        #expect(scene.policy.primary == .a && scene.explain()[.lost]?.holds == false)
    }

    /// A primary that is silent to this agent alone: as long as its replica's receiver makes progress it is not lost.
    @Test func aReplicaThatHearsFromThePrimarySpeaksForIt() {
        var scene = Scene()
        func hear(_ mark: UInt64, _ receiver: ReplicationChannel.Receiver = .on) {
            scene.b = .up(QuorumPolicyTests.replica(receiver: receiver) { $0.quorum?.receiverMark = mark })
        }
        _ = scene.look()
        scene.a = .downSoft("silent")
        for mark in 1...60 {
            hear(UInt64(mark))
            #expect(scene.look(500).locks.vote == nil, "after \(mark) looks")
        }
        // No more progress: its word holds for three seconds.
        #expect(scene.look(2_000).locks.vote == nil)
        _ = scene.look(2_000)
        #expect(scene.explain()[.lost]?.holds == true)
        // A receiver that is not connected says nothing, whatever it heard before.
        var other = scene
        hear(99)
        _ = scene.look(100)
        #expect(scene.explain()[.lost]?.holds == false)
        other.b = .up(QuorumPolicyTests.replica(receiver: .connecting) { $0.quorum?.receiverMark = 99 })
        _ = other.look(100)
        #expect(other.explain()[.lost]?.holds == true)
    }

    /// It shuts down in order: its replica still hears from it, and nobody is let in any more.
    @Test func aServerThatRefusesForLongIsLostAlthoughItsReplicaHearsFromIt() {
        var scene = Scene()
        _ = scene.look()
        scene.a = .downHard("refused")
        var lost: [Bool] = []
        for mark in 1...25 {
            scene.b = .up(QuorumPolicyTests.replica { $0.quorum?.receiverMark = UInt64(mark) })
            _ = scene.look(100)
            lost.append(scene.explain()[.lost]?.holds == true)
        }
        // From the second second on.
        #expect(lost.firstIndex(of: true) == 20 && lost.suffix(5) == [true, true, true, true, true])
    }

    /// An agent's session there answers, though no new question does.
    @Test func anAnswerOverTheLockSessionIsASignOfLife() {
        func votes(pong: Bool) -> Bool {
            var scene = Scene()
            _ = scene.look()
            let seen = Observation(
                a: .downSoft("silent"), b: .up(QuorumPolicyTests.replica(receiver: .connecting)),
                router: .leadsTo(uuid: Fixture.uuidA))
            for time in stride(from: scene.now + 500, through: scene.now + 8_000, by: 500) {
                _ = scene.policy.decide(
                    TimedObservation(
                        seen: seen, askedAt: time, now: time, pongA: pong ? time - 100 : nil, pongB: time,
                        routerClosed: true), LocalStatus(agent: "web1"))
            }
            (scene.a, scene.b, scene.now) = (seen.a, seen.b, scene.now + 8_000)
            return scene.explain()[.lost]?.holds == true
        }
        #expect(votes(pong: false) && !votes(pong: true))
    }

    /// Writes that hang speak against an open primary that answers, where `stalled_after` is set.
    @Test func writesThatHangForLongCountLikeSilence() {
        func isLost(limit: Int64, hang: Int64, on server: ServerID = .a, closed: Bool = false) -> Bool? {
            var scene = Scene({ $0.stalledAfter = limit })
            _ = scene.look()
            let a = ServerView.up(Self.primary { ($0.readOnly, $0.superReadOnly) = (closed, closed) })
            let observation = TimedObservation(
                seen: Observation(a: a, b: scene.b, router: .noAnswer("")), askedAt: 200, now: 200, pongA: 200,
                pongB: 200, stall: (server, hang))
            _ = scene.policy.decide(observation, LocalStatus(agent: "web1"))
            return scene.policy.explanation(observation).conditions.first { $0.code == .lost }?.holds
        }
        #expect(isLost(limit: 5_000, hang: 5_000) == true)
        #expect(isLost(limit: 5_000, hang: 4_999) == false)
        #expect(isLost(limit: 0, hang: 60_000) == false)
        #expect(isLost(limit: 5_000, hang: 60_000, on: .b) == false)
        #expect(isLost(limit: 5_000, hang: 60_000, closed: true) == false)
    }

    @Test func aPromotionOfAnUnknownServerIsAnAmbiguity() {
        var scene = Scene()
        _ = scene.look()
        scene.b = .up(QuorumPolicyTests.replica { $0.quorum?.foreignRecord = .unclear("cccc") })
        #expect(scene.look().step == .none(.ambiguous(.unknownPromotion(.b, uuid: "cccc"))))
    }

    /// By its record the primary, by its channel a replica: unless an operation there is just bringing that about.
    @Test func aPrimaryThatReplicatesIsAnAmbiguity() {
        var durable = DurableState()
        (durable.epoch, durable.primary) = (3, Fixture.uuidA)
        (durable.uuids[.a], durable.uuids[.b]) = (Fixture.uuidA, Fixture.uuidB)
        func step(_ ledger: [LedgerRow]?) -> Step {
            var scene = Scene(durable: durable)
            scene.a = .up(
                Self.primary {
                    $0.channels = [Fixture.channel(from: .b)]
                    $0.promotion = Promotion(epoch: 3, primary: Fixture.uuidA)
                    $0.ledger = ledger
                })
            scene.b = .up(Fixture.facts(.b) { $0.quorum = QuorumFacts() })
            return scene.look().step
        }
        #expect(step(nil) == .none(.ambiguous(.primaryReplicates(.a, epoch: 3))))
        let rows = [LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 4, session: 8)]
        #expect(step(rows).reason?.code != .primaryReplicates)
    }
}
