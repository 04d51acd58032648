import MySQLWire
import Testing

@testable import Watchdog

/// A change of the list of agents that is half done: five are to decide where three did.
@Suite("Two lists of agents") struct AgentListTests {
    static let old = AgentList(digest: "00000000", names: ["web1", "web4", "web5"])

    /// web1, web2 and web3 go by the new list and have lost the primary; what do those of the old one say?
    private func condition(votes: Int, names: [String] = old.names) -> FailoverCondition? {
        var scene = QuorumPolicyTests.Scene()
        let list = AgentList(digest: Self.old.digest, names: names)
        scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.lists = [list] })
        _ = scene.look()
        scene.a = .downHard("refused")
        scene.b = .up(
            QuorumPolicyTests.replica(votes: [0, 1, 2], receiver: .connecting) {
                $0.quorum?.listCounts = [list.digest: ListCount(votes: votes)]
            })
        for _ in 0..<3 { _ = scene.look() }
        let condition = scene.explain()[.lists]
        let wants = { if case .scan = scene.look().step { true } else { false } }()
        #expect(wants == condition?.holds)
        return condition
    }

    @Test func bothMajoritiesHaveToAgree() {
        #expect(condition(votes: 1)?.holds == false)
        #expect(condition(votes: 2)?.holds == true)
        #expect(condition(votes: 3, names: [])?.holds == false)
    }

    @Test func nobodyGoesOnAloneWithOneMajority() {
        func step(_ async: Int) -> Step {
            var scene = QuorumPolicyTests.Scene()
            _ = scene.look()
            scene.a = .up(
                QuorumPolicyTests.primary {
                    $0.quorum?.lists = [Self.old]
                    $0.quorum?.listCounts = [Self.old.digest: ListCount(async: async)]
                    $0.quorum?.semiSync.clients = 0
                    $0.quorum?.async = AgentSet([0, 1, 2])
                })
            scene.b = .downHard("refused")
            _ = scene.look()
            return scene.look(6_000).step
        }
        #expect(step(1) == .none(.nothingToDo))
        #expect(step(2) == .disableSemiSync(.a))
    }

    /// An agent that is started with another list remembers the one before, and both until nobody goes by them.
    @Test func aListCountsUntilNobodyGoesByIt() throws {
        var durable = DurableState()
        durable = durable.under(Self.old).under(AgentList(digest: "11111111", names: QuorumPolicyTests.agents))
        #expect(durable.foreign == [Self.old])
        var scene = QuorumPolicyTests.Scene(
            durable: try #require(DurableStateFile.parse(DurableStateFile.text(durable))))
        func say(_ facts: inout ServerFacts, _ lists: [AgentList], _ here: [Int]) {
            facts.quorum?.lists = lists
            facts.quorum?.here = AgentSet(here)
        }
        func asked(_ lists: [AgentList], here: [Int] = [0]) {
            scene.a = .up(QuorumPolicyTests.primary { say(&$0, lists, here) })
            scene.b = .up(QuorumPolicyTests.replica { say(&$0, lists, here) })
        }
        asked([])
        _ = scene.look(0)
        _ = scene.look(29_000)
        #expect(scene.policy.durable.foreign == [Self.old])
        asked([Self.old])
        _ = scene.look(900)
        asked([])
        _ = scene.look(5_000)
        _ = scene.look(24_000)
        #expect(scene.policy.durable.foreign == [Self.old])
        _ = scene.look(2_000)
        #expect(scene.policy.durable.foreign.isEmpty)
        // Where every agent of the own list is seen to go by it, the other has no majority left.
        asked([Self.old], here: [0, 1, 2])
        _ = scene.look(100)
        scene.b = .downHard("refused")
        scene.a = .up(QuorumPolicyTests.primary { say(&$0, [], [0, 1, 2]) })
        _ = scene.look(9_000)
        #expect(scene.policy.durable.foreign == [Self.old])
        _ = scene.look(1_100)
        #expect(scene.policy.durable.foreign.isEmpty)
    }

    @Test func agentsTellTheirList() throws {
        var configuration = Fixture.configuration()
        configuration.mode = .quorum
        configuration.agents = ["web1", "web2"]
        let list = try #require(AgentList(program: configuration.programName))
        #expect(list == ConfigurationDigest(configuration).own && list.names == ["web1", "web2"])
        #expect(AgentList(program: "repl-watchdog") == nil)
        // Too long for what a server keeps of its clients: nobody of it is seen to agree.
        configuration.agents = (1...64).map { "a-host-with-a-long-name-\($0)" }
        #expect(AgentList(program: configuration.programName)?.names == [])
    }
}
