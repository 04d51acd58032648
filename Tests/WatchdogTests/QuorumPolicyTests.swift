import MySQLWire
import Testing

@testable import Watchdog

/// One agent's mind, look by look.
@Suite("Quorum mode, one agent") struct QuorumPolicyTests {
    static let agents = ["web1", "web2", "web3"]

    /// What the world looks like to web1.
    struct Scene {
        var policy: QuorumPolicy
        var now: Int64 = 0
        var a: ServerView
        var b: ServerView
        var pongA: Int64?
        var routerClosed = false

        /// - Parameter knows: both servers have answered this agent before.
        init(
            _ change: (inout QuorumRules) -> Void = { _ in }, durable: DurableState = DurableState(), knows: Bool = true
        ) {
            var durable = durable
            durable.isInformed = knows
            // The replica of `replica` was seen to have everything.
            if durable == DurableStateTests.informed { (durable.sync, durable.replicaStarted) = (true, 100) }
            var rules = QuorumRules(agents: agents, own: 0)
            change(&rules)
            var configuration = Fixture.configuration()
            configuration.mode = .quorum
            configuration.agents = agents
            policy = QuorumPolicy(rules: rules, configuration: configuration, durable: durable)
            a = .up(QuorumPolicyTests.primary())
            b = .up(QuorumPolicyTests.replica())
        }

        /// Looks once, `after` milliseconds later.
        mutating func look(_ after: Int64 = 100, _ local: LocalStatus = LocalStatus(agent: "web1")) -> Orders {
            now += after
            if a.facts != nil { pongA = now }
            return policy.decide(
                TimedObservation(
                    seen: Observation(a: a, b: b, router: .leadsTo(uuid: Fixture.uuidA)), askedAt: now, now: now,
                    pongA: a.facts == nil ? nil : pongA, pongB: now, routerClosed: routerClosed), local)
        }

        func explain() -> [FailoverCondition.Code: FailoverCondition] {
            let observation = TimedObservation(
                seen: Observation(a: a, b: b, router: .noAnswer("")), askedAt: now, now: now, pongB: now)
            return Dictionary(uniqueKeysWithValues: policy.explanation(observation).conditions.map { ($0.code, $0) })
        }
    }

    static func primary(_ change: (inout ServerFacts) -> Void = { _ in }) -> ServerFacts {
        var quorum = QuorumFacts()
        quorum.seesPrimary = AgentSet([0, 1, 2])
        quorum.semiSync.installed = true
        quorum.semiSync.enabled = true
        quorum.semiSync.active = true
        quorum.semiSync.clients = 1
        quorum.semiSync.acknowledgers = [Fixture.uuidB]
        quorum.semiSync.withoutFallback = true
        return Fixture.facts(.a) {
            $0.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
            $0.quorum = quorum
            change(&$0)
        }
    }

    static func replica(
        votes: [Int] = [], receiver: ReplicationChannel.Receiver = .on, _ change: (inout ServerFacts) -> Void = { _ in }
    ) -> ServerFacts {
        var quorum = QuorumFacts()
        quorum.dead = AgentSet(votes)
        quorum.started = 100
        return Fixture.facts(.b) {
            $0.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
            $0.readOnly = true
            $0.superReadOnly = true
            $0.channels = [Fixture.channel(from: .a) { $0.receiver = receiver }]
            $0.quorum = quorum
            change(&$0)
        }
    }

    static func die(_ scene: inout Scene, votes: [Int] = []) {
        scene.a = .downHard("refused")
        scene.b = .up(Self.replica(votes: votes, receiver: .connecting))
    }

    @Test func inPeaceTheRouterLeadsToThePrimaryAndNothingIsDone() {
        var scene = Scene()
        let orders = scene.look()
        #expect(orders.router == .point(to: .a) && orders.locks.seesPrimary == .a && orders.locks.vote == nil)
        #expect(orders.step == .none(.nothingToDo))
    }

    @Test func onceRefusedIsNoVoteTwiceIsOne() {
        var scene = Scene()
        _ = scene.look()
        Self.die(&scene)
        #expect(scene.look().locks.vote == nil)
        let orders = scene.look()
        #expect(orders.locks.vote == .dead && orders.locks.voteOn == .b && orders.locks.seesPrimary == nil)
        // The router leads to a dead process: it need not be closed.
        #expect(orders.router == .keep)
    }

    @Test func aReceiverThatIsStillConnectedSpeaksForThePrimary() {
        var scene = Scene()
        _ = scene.look()
        scene.a = .downHard("refused")
        _ = scene.look()
        #expect(scene.look().locks.vote == nil)
    }

    @Test func silenceIsAVoteOnlyAfterAWhileAndWithTheRouterClosed() {
        var scene = Scene()
        _ = scene.look()
        scene.a = .downSoft("silent")
        scene.b = .up(Self.replica(receiver: .connecting))
        #expect(scene.look(3_000).router != .close)
        let late = scene.look(1_500)
        #expect(late.router == .close && late.locks.vote == nil)
        scene.routerClosed = true
        #expect(scene.look().locks.vote == .unreachable)
    }

    /// The survivor of a loss that an operator has to decide is not asked twenty times a second for the whole night.
    @Test func whatDoesNotChangeIsLookedAtOftenForAWhileOnly() {
        var scene = Scene()
        #expect(!scene.look().urgent)
        Self.die(&scene)
        for _ in 0..<100 { #expect(scene.look(200).urgent) }
        for _ in 0..<100 { _ = scene.look(200) }
        #expect(!scene.look(200).urgent)
        let mast = LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 7, session: 9)
        scene.b = .up(Self.replica(votes: [1, 2], receiver: .connecting) { $0.ledger = [mast] })
        #expect(scene.look(1_000).urgent)
    }

    @Test(arguments: [
        ServerView.refusing("too many connections"), .ownFault("wrong password"), .ownFault("no such host"),
    ])
    func whatProvesNothingIsNoVote(_ view: ServerView) {
        var scene = Scene()
        _ = scene.look()
        scene.a = view
        scene.b = .up(Self.replica(receiver: .connecting))
        for _ in 0..<20 { #expect(scene.look(1_000).locks.vote == nil) }
    }

    @Test func withoutBothServersTheRouterIsClosedWhenTheLeaseIsOver() {
        var scene = Scene { $0.bound = true }
        _ = scene.look()
        scene.a = .downSoft("silent")
        scene.b = .downSoft("silent")
        #expect(scene.look(2_900).router == .keep)
        #expect(scene.look(200).router == .close)
    }

    @Test func aCampaignIsFollowedWithAPromiseThatOutlivesTheProcess() throws {
        var scene = Scene()
        _ = scene.look()
        Self.die(&scene)
        _ = scene.look()
        let mast = LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 7, session: 9)
        scene.b = .up(Self.replica(votes: [0, 1], receiver: .connecting) { $0.ledger = [mast] })
        let orders = scene.look()
        #expect(orders.step == .follow(on: .b))
        #expect(scene.policy.durable.promise == DurableState.Promise(epoch: 7, on: .b))

        // The primary is back, the process is a new one: it stays away from it until b says how the failover attempt ended.
        let durable = try #require(DurableStateFile.parse(DurableStateFile.text(scene.policy.durable)))
        var later = Scene(durable: durable)
        later.b = .downSoft("silent")
        let away = later.look()
        #expect(away.locks.seesPrimary == nil && away.router != .point(to: .a))
        later.b = .up(Self.replica())
        let back = later.look()
        #expect(later.policy.durable.promise == nil && back.locks.seesPrimary == .a && back.router == .point(to: .a))
    }

    /// An operation that its server's freeze had interrupted left rows there; the server was deposed since.
    @Test(arguments: [(epoch: UInt64(1), alive: false), (2, false), (2, true), (3, false)])
    func theLeftLedgerOfADeposedServerKeepsNoRouterClosed(_ row: (epoch: UInt64, alive: Bool)) {
        var durable = DurableState()
        (durable.epoch, durable.primary) = (2, Fixture.uuidB)
        var scene = Scene({ $0.bound = true }, durable: durable)
        let mast = LedgerRow(
            id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: row.epoch, session: 9, alive: row.alive)
        scene.a = .up(
            Self.primary {
                ($0.readOnly, $0.superReadOnly, $0.ledger) = (true, true, [mast])
                $0.quorum?.seesPrimary = AgentSet()
            })
        scene.b = .up(
            Self.primary {
                ($0.uuid, $0.serverID) = (Fixture.uuidB, 2)
                $0.promotion = Promotion(epoch: 2, primary: Fixture.uuidB)
            })
        let orders = scene.look()
        // Rows of somebody who works, or of an epoch that may still come to a promotion, are a failover attempt.
        let isOver = !row.alive && row.epoch <= 2
        #expect((orders.router == .point(to: .b)) == isOver, "\(orders)")
    }

    /// An agent that was away finds another primary, and its router where it was.
    @Test func aRouterThatLeadsToAReplacedServerIsClosedAtOnce() {
        var durable = DurableState()
        (durable.epoch, durable.primary) = (1, Fixture.uuidA)
        durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
        var scene = Scene(durable: durable)
        scene.a = .downSoft("silent")
        scene.b = .up(
            Self.primary {
                ($0.uuid, $0.serverID) = (Fixture.uuidB, 2)
                $0.promotion = Promotion(epoch: 2, primary: Fixture.uuidB)
                $0.quorum?.seesPrimary = AgentSet()
            })
        #expect(scene.look().router == .close)
    }

    /// What was promised for a switchover says nothing of the router.
    @Test func aPromiseIsNoVoteWhileTheRouterLeadsToThePrimary() {
        var durable = DurableState()
        durable.primary = Fixture.uuidA
        durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
        durable.promise = DurableState.Promise(epoch: 7, on: .b)
        let mast = LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 7, session: 9)
        func vote(_ votes: [Int]) -> Orders.Vote? {
            var scene = Scene(durable: durable)
            scene.a = .downSoft("silent")
            scene.b = .up(Self.replica(votes: votes, receiver: .connecting) { $0.ledger = [mast] })
            _ = scene.look()
            return scene.look(5_000).locks.vote
        }
        #expect(vote([]) == nil)
        // It has voted with its router closed, and promised since: the vote stays.
        #expect(vote([0]) == .unreachable)
    }

    /// A promotion is on record, its master is gone, and this agent goes on with it.
    @Test func aResumedPromotionOpensOnlyWhatAMajoritySeesAsItShouldBe() {
        func step(alive: [Int], executed: String = "1-10", later: Int64 = 0) -> Step {
            var durable = DurableState()
            (durable.epoch, durable.primary) = (2, Fixture.uuidB)
            durable.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
            var scene = Scene(durable: durable)
            scene.a = .downHard("refused")
            scene.b = .up(
                Self.primary {
                    ($0.uuid, $0.serverID, $0.readOnly) = (Fixture.uuidB, 2, true)
                    $0.executed = GTIDSet("\(Fixture.uuidA):\(executed)") ?? GTIDSet()
                    $0.promotion = Promotion(epoch: 2, primary: Fixture.uuidB)
                    $0.quorum?.seesPrimary = AgentSet(alive)
                    $0.ledger = [
                        LedgerRow(
                            id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 2, session: 8, alive: false),
                        LedgerRow(
                            id: 2, signal: .oper(.failover), agent: "web2", epoch: 2, session: 8, alive: false),
                        LedgerRow(id: 3, signal: .mast(host: "web1"), agent: "web1", epoch: 3, session: 9),
                    ]
                })
            var local = LocalStatus(agent: "web1")
            (local.server, local.session, local.holdsLock) = (.b, 9, true)
            let first = scene.look(100, local).step
            return later == 0 ? first : scene.look(later, local).step
        }
        #expect(step(alive: [0, 1]) == .open(.b))
        #expect(step(alive: [0]) == .wait(.until(.majoritySees(.b))))
        #expect(step(alive: [0], later: 11_000) == .terminate(missing: [], keepClosed: true))
        #expect(step(alive: [0, 1], executed: "1-9") == .terminate(missing: [], keepClosed: true))
    }

    /// The server refuses an operation master without a row in its ledger, every time: it would hold the lock for nothing.
    @Test func whoHoldsTheLockOfALeftOperationAnnouncesItselfFirst() {
        func step(announced: Bool) -> Step {
            var durable = DurableState()
            (durable.epoch, durable.primary) = (2, Fixture.uuidB)
            var scene = Scene(durable: durable)
            scene.b = .up(
                Self.primary {
                    ($0.uuid, $0.serverID) = (Fixture.uuidB, 2)
                    $0.promotion = Promotion(epoch: 2, primary: Fixture.uuidB)
                    $0.quorum?.seesPrimary = AgentSet([0, 1, 2])
                    $0.ledger = [
                        LedgerRow(
                            id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 3, session: 8, alive: false),
                        LedgerRow(
                            id: 2, signal: .oper(.recover), agent: "web2", epoch: 3, session: 8, alive: false),
                    ]
                    if announced {
                        $0.ledger?.append(
                            LedgerRow(id: 3, signal: .scan(host: "web1"), agent: "web1", epoch: 0, session: 9))
                    }
                })
            scene.a = .downHard("refused")
            var local = LocalStatus(agent: "web1")
            (local.server, local.session, local.holdsLock) = (.b, 9, true)
            return scene.look(100, local).step
        }
        #expect(step(announced: true) == .master(on: .b))
        #expect(step(announced: false) == .scan(on: .b))
    }

    /// An agent without a memory beside a primary whose replica is away: it does not know which of the two it sees, and
    /// what an earlier operation left there is not its business.
    @Test func whoDoesNotKnowThePrimaryClearsNothing() {
        var scene = Scene()
        scene.b = .downHard("refused")
        scene.a = .up(
            Self.primary {
                $0.ledger = [LedgerRow(id: 1, signal: .scan(host: "web1"), agent: "web1", epoch: 0, session: 9)]
            })
        var local = LocalStatus(agent: "web1")
        guard case .none(let why) = scene.look(100, local).step, why == .ambiguous(.primaryUnknown)
        else { Issue.record("\(scene.look(100, local).step)"); return }
        (local.server, local.session, local.holdsLock) = (.a, 9, true)
        #expect(scene.look(100, local).step == .withdraw(why))
    }

    @Test func aMemoryThatWasCutShortIsNotTakenForAnEmptyOne() {
        var durable = DurableState()
        durable.promise = DurableState.Promise(epoch: 3, on: .b)
        let text = DurableStateFile.text(durable)
        #expect(DurableStateFile.parse(text) == durable)
        for length in [0, 1, text.count / 2, text.count - 5] {
            #expect(DurableStateFile.parse(String(text.prefix(length))) == nil)
        }
    }

    /// A replica that acknowledges and cannot apply is about to be rebuilt: leave is given before it is taken away, and is
    /// on disk by then. Without an operation it is not given.
    @Test(arguments: [true, false]) func leaveToGoOnAloneIsGivenBeforeARebuild(_ isMarked: Bool) {
        func leave(_ kind: OperationKind?, after time: Int64) -> (ServerID?, Bool) {
            var scene = Scene()
            _ = scene.look()
            scene.a = .up(
                Self.primary {
                    guard let kind else { return }
                    $0.ledger = [
                        LedgerRow(id: 1, signal: .mast(host: "web2"), agent: "web2", epoch: 3, session: 8),
                        LedgerRow(id: 2, signal: .oper(kind), agent: "web2", epoch: 3, session: 8),
                    ]
                })
            scene.b = .up(
                Self.replica {
                    // A rebuild that ended before its marker went leaves a half-made copy that replicates.
                    if isMarked {
                        $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x")
                    } else {
                        $0.channels[0].applierErrno = 1062
                    }
                })
            _ = scene.look()
            let orders = scene.look(time)
            return (orders.locks.async, scene.policy.durable.sync)
        }
        #expect(leave(.recover, after: 5_000) == (.a, false))
        #expect(leave(.recover, after: 4_000) == (nil, true))
        #expect(leave(nil, after: 60_000) == (nil, true))
    }

    /// A promise of an agent with other safety rules is one; an agent that may mean other servers promises nothing here.
    @Test func whoMeansOtherServersHasNotTurnedAway() {
        var scene = Scene()
        scene.policy.durable.promise = .init(epoch: 7, on: .b)
        let own = ConfigurationDigest(scene.policy.configuration)
        func promised(_ program: String) -> AgentSet {
            let mast = LedgerRow(id: 1, signal: .mast(host: "web1"), agent: "web1", epoch: 7, session: 9)
            let folo = LedgerRow(id: 2, signal: .folo(host: "web3"), agent: "web3", epoch: 7, session: 10)
            let ledger = Ledger(server: .b, rows: [mast, folo])
            let replica = Self.replica {
                $0.ledger = ledger.rows
                $0.quorum?.strangers = ["web3": program]
            }
            let observation = TimedObservation(
                seen: Observation(a: .downHard(""), b: .up(replica), router: .noAnswer("")), askedAt: 0, now: 0)
            return scene.policy.promised(Assessment(observation, scene.policy), ledger, mast)
        }
        let tail = "agents=\(own.agents) servers=\(own.servers)"
        #expect(promised("protocol=2 \(tail) safety=other") == AgentSet([0, 2]))
        #expect(promised("protocol=3 \(tail) safety=\(own.safety)") == AgentSet([0]))
        #expect(promised("protocol=2 agents=\(own.agents) servers=other safety=\(own.safety)") == AgentSet([0]))
        #expect(promised("") == AgentSet([0]))
    }

    @Test func aCommitThatWaitsLongerEachTimeHangs() {
        var (before, now) = (StuckCommits(), StuckCommits())
        #expect(!now.hang(since: before))
        (before.waits, now.waits) = ([7: 5], [8: 4])
        #expect(!now.hang(since: before), "another session's long statement")
        now.waits = [7: 4]
        #expect(!now.hang(since: before), "its next statement")
        now.waits = [7: 7]
        #expect(now.hang(since: before) && now.longest == 7_000)
    }

    @Test func aPrimaryThatLacksWhatWasSeenOnItIsNotOpened() {
        var scene = Scene()
        _ = scene.look()
        scene.a = .up(
            Self.primary {
                $0.readOnly = true
                $0.superReadOnly = true
                $0.executed = GTIDSet("\(Fixture.uuidA):1-8") ?? GTIDSet()
            })
        scene.b = .up(Self.replica(receiver: .connecting))
        let orders = scene.look()
        #expect(orders.locks.seesPrimary == nil && orders.locks.vote == .dead)
    }

    /// It would give the numbers of what it has lost to other transactions.
    @Test func aPrimaryThatLacksWhatItsReplicaHadIsNotOpenedWithoutTheReplica() {
        var scene = Scene()
        _ = scene.look()
        scene.a = .downHard("refused")
        scene.b = .up(
            Self.replica(receiver: .connecting) {
                $0.channels[0].retrieved = GTIDSet("\(Fixture.uuidA):1-11") ?? GTIDSet()
            })
        _ = scene.look()
        scene.b = .downSoft("silent")
        func sees(_ executed: String) -> ServerID? {
            var scene = scene
            scene.a = .up(
                Self.primary {
                    $0.readOnly = true
                    $0.superReadOnly = true
                    $0.executed = GTIDSet("\(Fixture.uuidA):\(executed)") ?? GTIDSet()
                })
            return scene.look().locks.seesPrimary
        }
        #expect(sees("1-10") == nil)
        #expect(sees("1-11") == .a)
    }
}
