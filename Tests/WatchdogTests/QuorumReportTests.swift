import MySQLWire
import Testing

@testable import Watchdog

/// What an agent says: of its votes, of what holds a failover back, and of what an operator has to decide.
@Suite("Quorum mode, reports and holds") struct QuorumReportTests {
    private typealias Scene = QuorumPolicyTests.Scene

    @Test func explainNamesVotersAndWhatIsMissing() throws {
        var scene = Scene()
        _ = scene.look()
        QuorumPolicyTests.die(&scene, votes: [0])
        _ = scene.look()
        let quorum = try #require(scene.explain()[.quorum])
        #expect(!quorum.holds)
        #expect(
            quorum.text
                == "1 of 3 agents have lost a (web1), 2 are needed; no vote from web2, web3")
        #expect(scene.explain()[.loss]?.holds == true)
    }

    /// One that is asked twice within a moment cannot tell how long a server has been silent: others have waited for it.
    @Test func explainSaysWhoMissesAPrimaryAndWhoStillHearsIt() throws {
        func lost(
            _ primary: ServerView, votes: [Int] = [], receiver: ReplicationChannel.Receiver = .on, asked: Bool = false
        ) throws -> FailoverCondition {
            var scene = Scene()
            _ = scene.look()
            scene.a = primary
            scene.b = .up(
                QuorumPolicyTests.replica(votes: votes, receiver: receiver) { $0.quorum?.failoverAsked = asked })
            return try #require(scene.explain()[.lost])
        }
        let silent = ServerView.downSoft("no answer")
        let missed = try lost(silent, votes: [1, 2])
        #expect(missed.holds && missed.text.contains("a majority of the agents has lost it"), "\(missed.text)")
        let answers = try lost(.up(QuorumPolicyTests.primary()), votes: [1, 2])
        #expect(!answers.holds && !answers.text.contains("has lost it"), "\(answers.text)")
        let heard = "; b is connected to it (failover goes in spite of it)"
        #expect(try lost(silent, votes: [1]).text.hasSuffix(heard))
        #expect(try !lost(silent, votes: [1], receiver: .connecting).text.hasSuffix(heard))
        #expect(try !lost(silent, votes: [1], asked: true).text.hasSuffix(heard))
        #expect(try !lost(.up(QuorumPolicyTests.primary())).text.hasSuffix(heard))
    }

    @Test func aPrimaryThatIsHalfACopyIsNamedAsOne() {
        for isHalf in [true, false] {
            var durable = DurableState()
            (durable.epoch, durable.primary) = (3, Fixture.uuidA)
            var scene = Scene(durable: durable)
            scene.a = .up(
                QuorumPolicyTests.primary {
                    if isHalf { $0.rebuilding = RebuildMarker(source: Fixture.uuidB, epoch: 3, saved: "x") }
                })
            #expect(scene.look().step.reason?.code == (isHalf ? .halfMadeCopy : .primaryIncomplete))
        }
    }

    @Test func explainSaysWhatTheReplicaCannotApply() throws {
        var scene = Scene()
        _ = scene.look()
        QuorumPolicyTests.die(&scene)
        scene.b = .up(
            QuorumPolicyTests.replica(receiver: .connecting) {
                $0.channels[0].applierErrno = 1062
                $0.channels[0].retrieved = GTIDSet("\(Fixture.uuidA):5-13") ?? GTIDSet()
            })
        _ = scene.look()
        let condition = try #require(scene.explain()[.applier])
        #expect(
            !condition.holds && condition.text.contains("3 transactions (\(Fixture.uuidA):11-13)"), "\(condition.text)")
    }

    @Test func aPauseABlockPeriodAndAsynchronousReplicationHoldAFailoverBackAndSaySo() {
        func hold(_ control: Control, sync: Bool = true, _ rules: (inout QuorumRules) -> Void = { _ in }) -> Step {
            var scene = Scene(rules)
            if !sync { scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.semiSync = SemiSync() }) }
            _ = scene.look()
            QuorumPolicyTests.die(&scene)
            _ = scene.look()
            scene.b = .up(
                QuorumPolicyTests.replica(votes: [0, 1], receiver: .connecting) { $0.quorum?.control = control })
            return scene.look().step
        }
        var control = Control()
        #expect(hold(control) == .scan(on: .b))
        control.paused = true
        #expect(hold(control).reason?.code == .paused)
        control = Control()
        control.lastFailover = 60_000
        #expect(
            hold(control) { $0.blockPeriod = 3_600_000 }
                == .scan(on: .b), "epoch 0 is acknowledged: no failover is on record")
        guard case .none(let why) = hold(Control(), sync: false) else {
            Issue.record("an asynchronous primary was replaced without asking")
            return
        }
        #expect(why.code == .lossNotAccepted)
        #expect("\(why)".contains("replication was asynchronous") && "\(why)".contains("max_lost_transactions = 0"))
        #expect(hold(Control(), sync: false) { $0.maxLost = 100 } == .scan(on: .b))
    }

    @Test func agentsOfAnotherConfigurationAreNamedWithTheDifference() {
        var scene = Scene()
        let other = "repl-watchdog protocol=2 agents=00000000 servers=11111111 safety=22222222"
        scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.strangers = ["web3": other] })
        let observation = TimedObservation(
            seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: 1, now: 1)
        _ = scene.look()
        let text = scene.policy.diagnosis(observation).evidence.joined(separator: "; ")
        #expect(text.contains("web3 goes by another configuration (agents, servers, safety)"))
    }

    @Test func aRouterThatCannotBeTurnedIsNamedOnEveryHost() {
        var scene = Scene()
        _ = scene.look()
        func diagnosis(_ stuck: AgentSet) -> Diagnosis {
            let b = ServerView.up(QuorumPolicyTests.replica { $0.quorum?.routersStuck = stuck })
            return scene.policy.diagnosis(
                TimedObservation(seen: Observation(a: scene.a, b: b, router: .noAnswer("")), askedAt: 1, now: 1))
        }
        let well = diagnosis(AgentSet())
        #expect(well.exitStatus == 0 && well.stuckRouters.isEmpty && well.reason != .routerStuck)
        let stuck = diagnosis(AgentSet([1, 2]))
        #expect(stuck.state == .ok && stuck.exitStatus == 1 && stuck.reason == .routerStuck)
        #expect(stuck.evidence.contains { $0.hasPrefix("web2, web3: the router there could not be turned to a") })
    }

    @Test func aPauseIsSaidOnce() {
        for health in [true, false] {
            var scene = Scene()
            _ = scene.look()
            let paused = { (facts: inout ServerFacts) -> Void in facts.quorum?.control.paused = true }
            scene.a = .up(QuorumPolicyTests.primary(paused))
            scene.b = .up(
                QuorumPolicyTests.replica {
                    paused(&$0)
                    // A rebuild is due, which the pause holds up.
                    if !health { $0.channels[0].applierErrno = 1062 }
                })
            _ = scene.look()
            let diagnosis = scene.policy.diagnosis(
                TimedObservation(
                    seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now, now: scene.now
                ))
            #expect(diagnosis.evidence.count { $0.contains("paused by an operator") } == 1, "\(diagnosis.summary)")
        }
    }

    /// Clients that are not served are a fault, whatever is under way; and nobody reads on after OK.
    @Test func aRouterProblemOutweighsAnOperation() {
        var diagnosis = Diagnosis(.failover, primary: .a, [])
        #expect(diagnosis.exitStatus(underWay: true) == 1 && diagnosis.exitStatus(underWay: false) == 2)
        diagnosis.routerProblem = "this host's router does not answer"
        #expect(diagnosis.exitStatus(underWay: true) == 2)
        diagnosis = Diagnosis(.ok, primary: .a, [], code: .noMajority)
        func text() -> String {
            StatusReport(
                state: diagnosis.state, exitStatus: diagnosis.exitStatus, cluster: "shop", agent: "web1",
                diagnosis: diagnosis, seen: Fixture.healthy(), ledger: nil,
                addresses: Fixture.configuration().servers, router: "127.0.0.1:7001", next: .none(.nothingToDo)
            ).text()
        }
        #expect(text().hasPrefix("OK (no-majority)"))
        diagnosis.closed = [.a]
        #expect(text().hasPrefix("CRITICAL (no-majority)"), "\(text())")
    }

    /// `status` is read at a glance; `explain` has the room.
    @Test func whatHoldsUpLoginsIsToldByExplain() {
        let frozen = ServerProbe.classify(
            MySQLError(.timeout, phase: .greeting, server: "10.0.0.1:3306", message: "no answer"))
        var scene = Scene()
        _ = scene.look()
        scene.a = frozen
        let observation = TimedObservation(
            seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: 1, now: 1)
        let report = StatusReport(
            state: .down, exitStatus: 2, cluster: "shop", agent: "web1", diagnosis: scene.policy.diagnosis(observation),
            seen: observation.seen, ledger: nil, addresses: Fixture.configuration().servers, router: "127.0.0.1:7001",
            next: .none(.nothingToDo))
        #expect(!report.text().contains("CREATE USER") && report.text().contains("(see check)"), "\(report.text())")
        #expect(report.details.count == 1 && report.details[0].contains("CREATE USER"), "\(report.details)")
    }

    @Test func aReplicaThatTakesWritesIsNamed() {
        var scene = Scene()
        _ = scene.look()
        func diagnosis(_ change: (inout ServerFacts) -> Void) -> Diagnosis {
            let b = ServerView.up(QuorumPolicyTests.replica(change))
            return scene.policy.diagnosis(
                TimedObservation(seen: Observation(a: scene.a, b: b, router: .noAnswer("")), askedAt: 1, now: 1))
        }
        let open = diagnosis { ($0.readOnly, $0.superReadOnly) = (false, false) }
        #expect(open.exposed && open.exitStatus == 2 && open.summary.contains("b is not closed (read_only = OFF)"))
        let half = diagnosis { $0.superReadOnly = false }
        #expect(!half.exposed && half.summary.contains("b is not closed (super_read_only = OFF)"))
        // The ledger of an operation lies on it.
        let busy = diagnosis {
            ($0.superReadOnly, $0.ledger) = (false, [LedgerRow(id: 1, signal: .scan(host: "web1"), agent: "web1")])
        }
        #expect(!busy.exposed && !busy.summary.contains("is not closed"))
    }

    @Test func aPrimaryWithoutTheRecordOfItsPromotionIsNamed() {
        var durable = DurableState()
        durable.epoch = 3
        durable.primary = Fixture.uuidA
        var scene = Scene(durable: durable)
        #expect(scene.look().locks.seesPrimary == nil)
        let diagnosis = scene.policy.diagnosis(
            TimedObservation(seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: 1, now: 1))
        #expect(diagnosis.incomplete && diagnosis.exitStatus == 2)
        #expect(diagnosis.summary.contains("repl_watchdog.history of a lacks epoch 3"))
    }

    /// "All is well" is said where all is well, and nowhere else.
    @Test func theStateHasTheReasonThatCountsMost() {
        func reason(_ scene: Scene) -> Reason.Code? {
            scene.policy.diagnosis(
                TimedObservation(
                    seen: Observation(a: scene.a, b: scene.b, router: .noAnswer("")), askedAt: scene.now, now: scene.now
                )
            ).reason
        }
        var scene = Scene()
        _ = scene.look()
        #expect(reason(scene) == .nothingToDo)
        QuorumPolicyTests.die(&scene, votes: [0, 1])
        #expect(reason(scene) == .serverSilent)
        for _ in 0..<3 { _ = scene.look() }
        #expect(reason(scene) == .primaryDead)
        QuorumPolicyTests.die(&scene, votes: [0])
        #expect(reason(scene) == .noMajority)
        scene = Scene()
        _ = scene.look()
        scene.b = .up(QuorumPolicyTests.replica { $0.channels[0].applierErrno = 1062 })
        #expect(reason(scene) == .replicationBroken)
        scene.b = .up(QuorumPolicyTests.replica { ($0.readOnly, $0.superReadOnly) = (false, false) })
        #expect(reason(scene) == .openReplica)
    }

    /// A lying disk: what the primary made is on its replica alone now. A rebuild would end it.
    @Test func aReplicaThatHoldsWhatThePrimaryLostIsLeftToAnOperator() {
        for (executed, wanted) in [("1-10", Reason.Code.sourceRefuses), ("1-8", nil), ("1-11", .lostByPrimary)] {
            var scene = Scene()
            scene.a = .up(
                QuorumPolicyTests.primary { $0.purged = GTIDSet("\(Fixture.uuidA):1-9") ?? GTIDSet() })
            _ = scene.look()
            scene.b = .up(
                QuorumPolicyTests.replica(receiver: .off) {
                    $0.channels[0].receiverErrno = 13114
                    $0.executed = GTIDSet("\(Fixture.uuidA):\(executed)") ?? GTIDSet()
                })
            _ = scene.look()
            let step = scene.look().step
            guard let wanted else {
                #expect(step == .scan(on: .a), "\(step)")
                continue
            }
            #expect(step.reason?.code == wanted, "\(step)")
            guard wanted == .lostByPrimary, case .none(let why) = step else { continue }
            #expect("\(why)".contains("holds \(Fixture.uuidA):11, which a made and has lost"), "\(why)")
        }
    }

    /// A rebuild whose cause remains is not repeated for ever.
    @Test func aReplicaThatBreaksAgainAndAgainIsLeftToAnOperator() {
        for (rebuilds, wanted) in [(2, true), (3, false)] {
            var scene = Scene { $0.rebuildsPerDay = 3 }
            scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.control.rebuildsToday = rebuilds })
            scene.b = .up(QuorumPolicyTests.replica { $0.channels[0].applierErrno = 1062 })
            _ = scene.look()
            let orders = scene.look()
            if wanted {
                #expect(orders.step == .scan(on: .a), "\(orders.step)")
            } else {
                guard case .none(let why) = orders.step else {
                    Issue.record("\(orders.step)")
                    continue
                }
                #expect(why.code == .rebuiltTooOften, "\(why)")
            }
        }
    }
}
