import MySQLWire
import Testing

@testable import Watchdog

/// Before the replica is promoted no router may lead to the old primary any more.
@Suite("Quorum mode, before a promotion") struct QuorumFenceTests {
    private typealias Scene = QuorumPolicyTests.Scene

    /// a is gone, web1 leads, and of all agents these have voted and follow.
    private struct Attempt {
        var votes = [0, 1]
        var followers = ["web2"]
        var sync = true
        var foreign: [AgentList] = []
        var fenced: Bool?
        var receiver = ReplicationChannel.Receiver.off
        var rules: (inout QuorumRules) -> Void = { _ in }
        /// Milliseconds after the first look that saw this.
        var later: Int64 = 0

        func step(_ change: (inout Scene) -> Void = { _ in }) -> Step {
            var durable = DurableState()
            (durable.primary, durable.sync, durable.foreign) = (Fixture.uuidA, sync, foreign)
            durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
            durable.promise = .init(epoch: 3, on: .b)
            durable.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
            var scene = Scene(
                {
                    // What may be lost is another question.
                    $0.maxLost = 1_000
                    rules(&$0)
                }, durable: durable)
            scene.a = .downHard("refused")
            scene.b = .up(
                QuorumPolicyTests.replica(votes: votes, receiver: receiver) {
                    $0.ledger = QuorumLeadTests.rows(.failover, on: .b, followers: followers)
                })
            change(&scene)
            var local = QuorumLeadTests.leader(on: .b)
            local.fenced = fenced
            _ = scene.look(100, local)
            let step = scene.look(100, local).step
            return later == 0 ? step : scene.look(later, local).step
        }

        func with(_ change: (inout Attempt) -> Void) -> Attempt {
            var attempt = self
            change(&attempt)
            return attempt
        }
    }

    private func promotes(_ step: Step) -> Bool {
        if case .promoteWithoutSource(.b, _) = step { true } else { false }
    }

    private func waits(_ step: Step, for agents: [String]) -> Bool {
        guard case .wait(.until(.routersClosed(of: agents, _))) = step else { return false }
        return true
    }

    private let everybody = Attempt(votes: [0, 1, 2], followers: ["web2", "web3"])

    @Test func whereEverybodyHasTurnedAwayNothingIsWaitedFor() {
        #expect(promotes(everybody.step()))
        #expect(promotes(everybody.with { $0.rules = { $0.fenceCommand = true } }.step()))
        #expect(everybody.with { $0.receiver = .connecting }.step() == .stopReceiver(.b))
    }

    /// A promise that was made for a switchover leaves the router open; a vote does not.
    @Test func aPromiseWithoutAVoteClosesNoRouter() {
        #expect(waits(everybody.with { $0.votes = [0, 1] }.step(), for: ["web3"]))
        #expect(waits(everybody.with { $0.followers = ["web2"] }.step(), for: ["web3"]))
    }

    @Test func aRouterThatIsNotProvenClosedIsWaitedFor() {
        for (isBound, attempt) in [(false, Attempt()), (true, Attempt(sync: false, rules: { $0.bound = true }))] {
            let limit = QuorumRules(agents: ["web1", "web2", "web3"], own: 0, bound: isBound).fenceWait
            #expect(waits(attempt.step(), for: ["web3"]))
            #expect(waits(attempt.with { $0.later = limit - 200 }.step(), for: ["web3"]))
            #expect(promotes(attempt.with { $0.later = limit }.step()))
        }
        // Neither the supervisor closes it nor would the primary's commits wait: only a person can say so.
        let limit: Int64 = 60_000
        guard case .wait(.until(.fenceProof(of: ["web3"]))) = Attempt(sync: false, later: limit).step() else {
            Issue.record("\(Attempt(sync: false, later: limit).step())")
            return
        }
    }

    /// Any host's `explain` says whose router it is.
    @Test(arguments: [true, false]) func whoIsWaitedForIsSaid(_ sync: Bool) {
        func said(_ attempt: Attempt) -> String {
            var seen = ""
            _ = attempt.step { scene in
                scene.policy.durable.sync = sync
                for _ in 0..<2 { _ = scene.look() }
                let observation = TimedObservation(
                    seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now,
                    now: scene.now,
                    pongB: scene.now)
                seen = scene.policy.diagnosis(observation).summary
            }
            return seen
        }
        let waits = said(Attempt(sync: sync, receiver: .connecting))
        #expect(waits.contains("web1 leads the failover to b and waits for web3, whose routers may lead to a still"))
        #expect(waits.contains(sync ? "9000 ms at most" : "nothing proves that they are closed"), "\(waits)")
        #expect(!said(everybody.with { $0.receiver = .connecting }).contains("waits for"))
        // Whoever has promised and not voted keeps its router open.
        #expect(said(everybody.with { ($0.votes, $0.receiver) = ([0, 1], .connecting) }).contains("waits for web3"))
        #expect(!said(Attempt(followers: [], receiver: .connecting)).contains("waits for"))
        // What comes next has begun.
        #expect(!said(Attempt(sync: sync)).contains("waits for"))
    }

    @Test func theFenceCommandIsRunOnceAndTakesTheWaitAway() {
        let attempt = Attempt(rules: { $0.fenceCommand = true })
        #expect(attempt.step() == .fenceCommand(.a))
        #expect(promotes(attempt.with { $0.fenced = true }.step()))
        #expect(waits(attempt.with { $0.fenced = false }.step(), for: ["web3"]))
    }

    /// An agent that goes by another list may be one that this list does not name.
    @Test func anAgentOfAnotherListIsWaitedForAsWell() {
        func step(_ list: AgentList) -> Step {
            everybody.with { $0.foreign = [list] }.step { scene in
                guard var facts = scene.b.facts else { return }
                facts.quorum?.listCounts[list.digest] = ListCount(votes: 2)
                scene.b = .up(facts)
            }
        }
        #expect(waits(step(AgentList(digest: "x", names: ["web1", "web2", "web9"])), for: ["web9"]))
        #expect(promotes(step(AgentList(digest: "x", names: ["web1", "web2"]))))
        // One whose names cannot be told never agrees.
        #expect(step(AgentList(digest: "x", names: [])).reason?.code == .listsDisagree)
    }

    /// It is closed, and whoever opens it sees what it lacks.
    @Test func aPrimaryThatCameBackIncompleteHasNoRoutersToWaitFor() {
        let step = Attempt().step { scene in
            scene.a = .up(
                QuorumPolicyTests.primary {
                    ($0.readOnly, $0.superReadOnly) = (true, true)
                    $0.executed = GTIDSet("\(Fixture.uuidA):1-9") ?? GTIDSet()
                })
        }
        #expect(promotes(step))
    }
}
