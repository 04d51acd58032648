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
        let other = AgentList(digest: "22222222", names: ["web1", "web2", "web4"])
        asked([other], here: [0, 1, 2])
        _ = scene.look(100)
        scene.b = .downHard("refused")
        scene.a = .up(QuorumPolicyTests.primary { say(&$0, [], [0, 1, 2]) })
        _ = scene.look(9_000)
        #expect(scene.policy.durable.foreign == [other])
        _ = scene.look(1_100)
        #expect(scene.policy.durable.foreign.isEmpty)
    }

    /// Who goes by a list that does not name this host does not wait for its router, unless it was seen: every agent asks
    /// for lists every five seconds.
    @Test(arguments: [false, true]) func anAddedHostOpensItsRouterWhenTheOthersCanKnowOfIt(isBound: Bool) {
        func opens(_ other: AgentList, after time: Int64, hasOwnLock: Bool = true) -> Bool {
            var scene = QuorumPolicyTests.Scene({ $0.bound = isBound })
            func say(_ facts: inout ServerFacts) {
                facts.quorum?.lists = [other]
                facts.quorum?.here = AgentSet(hasOwnLock ? [0] : [])
            }
            scene.a = .up(QuorumPolicyTests.primary { say(&$0) })
            scene.b = .up(QuorumPolicyTests.replica { say(&$0) })
            _ = scene.look(0)
            for _ in 0..<time / 1_000 { _ = scene.look(1_000) }
            return scene.look(0).router == .point(to: .a)
        }
        let unknown = AgentList(digest: "33333333", names: ["web2", "web3", "web4"])
        #expect(!opens(unknown, after: 0))
        #expect(!opens(unknown, after: 9_000))
        #expect(opens(unknown, after: 10_000))
        #expect(!opens(unknown, after: 20_000, hasOwnLock: false))
        #expect(!opens(AgentList(digest: "44444444", names: []), after: 9_000))
        #expect(opens(Self.old, after: 0))
    }

    /// Who looks at one server alone must know of the host as well; a session that is opened again makes no stranger.
    @Test(arguments: ServerID.allCases) func anAddedHostIsKnownWhereItHasBeenConnected(late: ServerID) {
        var scene = QuorumPolicyTests.Scene({ $0.bound = true })
        let other = AgentList(digest: "33333333", names: ["web2", "web3", "web4"])
        func look(_ here: Set<ServerID>) -> Bool {
            func say(_ facts: inout ServerFacts, _ id: ServerID) {
                facts.quorum?.lists = [other]
                facts.quorum?.here = AgentSet(here.contains(id) ? [0] : [])
            }
            scene.a = .up(QuorumPolicyTests.primary { say(&$0, .a) })
            scene.b = .up(QuorumPolicyTests.replica { say(&$0, .b) })
            return scene.look(1_000).router == .point(to: .a)
        }
        for _ in 0..<15 { #expect(!look([late.other])) }
        for _ in 0..<10 { #expect(!look([.a, .b])) }
        #expect(look([.a, .b]))
        for _ in 0..<6 { #expect(look([late.other])) }
        #expect(look([.a, .b]))
        for _ in 0..<8 { _ = look([late.other]) }
        for _ in 0..<10 { #expect(!look([.a, .b])) }
        #expect(look([.a, .b]))
    }

    /// The primary's side of a partition is given a shorter list, in which it is a majority; the other side has promoted
    /// by the former one.
    @Test func aMajorityOfTheOwnListAloneOpensNoRouter() {
        func router(sees: Int) -> Orders.Router {
            var durable = DurableState()
            durable.foreign = [Self.old]
            var scene = QuorumPolicyTests.Scene({ $0.bound = true }, durable: durable)
            scene.a = .up(
                QuorumPolicyTests.primary {
                    $0.promotion = Promotion(epoch: 4, primary: Fixture.uuidA)
                    $0.quorum?.listCounts = [Self.old.digest: ListCount(sees: sees)]
                })
            scene.b = .downSoft("silent")
            for _ in 0..<20 { _ = scene.look(1_000) }
            return scene.look(1_000).router
        }
        #expect(router(sees: 1) == .close)
        #expect(router(sees: 2) == .point(to: .a))
    }

    @Test func aClosedPrimaryIsOpenedByBothMajorities() {
        func step(sees: Int) -> Step {
            var durable = DurableState()
            durable.foreign = [Self.old]
            var scene = QuorumPolicyTests.Scene(durable: durable)
            scene.a = .up(
                QuorumPolicyTests.primary {
                    ($0.readOnly, $0.superReadOnly) = (true, true)
                    $0.quorum?.listCounts = [Self.old.digest: ListCount(sees: sees)]
                })
            return scene.look().step
        }
        #expect(step(sees: 1) == .none(.held(.closedUnseen(.a))))
        #expect(step(sees: 2) == .scan(on: .a))
    }

    /// A vote may be taken back; a promise is on disk.
    @Test func aMajorityOfEachListHasPromised() {
        func step(followers: [String]) -> Step {
            var scene = QuorumLeadTests.lost(QuorumLeadTests.rows(nil, on: .b, followers: followers))
            scene.policy.durable.foreign = [Self.old]
            guard case .up(var facts) = scene.b else { return .none(.nothingToDo) }
            facts.quorum?.listCounts = [Self.old.digest: ListCount(votes: 3)]
            scene.b = .up(facts)
            var step = Step.none(.nothingToDo)
            for _ in 0..<3 { step = scene.look(100, QuorumLeadTests.leader(on: .b)).step }
            return step
        }
        #expect(step(followers: ["web2"]) == .wait(.until(.majority(["web1", "web2"]))))
        #expect(step(followers: ["web2", "web4"]) == .announce(.failover, target: .b))
    }

    /// {1, 2, 3} becomes {3, 4, 5}: those of the former list who are not in the new one are a majority of it.
    @Test func aListThatHasAMajorityElsewhereIsNotForgottenEarly() {
        var durable = DurableState()
        let other = AgentList(digest: "2", names: ["web3", "web8", "web9"])
        durable.foreign = [other]
        var scene = QuorumPolicyTests.Scene(durable: durable)
        scene.b = .downHard("refused")
        scene.a = .up(
            QuorumPolicyTests.primary {
                $0.quorum?.lists = []
                $0.quorum?.here = AgentSet([0, 1, 2])
            })
        for _ in 0..<60 { _ = scene.look(1_000) }
        #expect(scene.policy.durable.foreign == [other])
    }

    @Test func aListThatWasCutShortTellsNoNames() throws {
        var configuration = Fixture.configuration()
        configuration.mode = .quorum
        configuration.agents = ["web1", "web2", "web3"]
        let program = configuration.programName
        #expect(AgentList(program: program)?.names == configuration.agents)
        #expect(AgentList(program: String(program.dropLast(5)))?.names == [])
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
