import MySQLWire
import Testing

@testable import Watchdog

/// What an operation master does, and what an agent promises before it becomes one.
@Suite("Quorum mode, the operation master") struct QuorumLeadTests {
    typealias Scene = QuorumPolicyTests.Scene

    /// web1 leads, and these follow.
    static func rows(
        _ kind: OperationKind? = nil, on server: ServerID, epoch: UInt64 = 3, followers: [String] = ["web2", "web3"],
        sync: Bool = true
    ) -> [LedgerRow] {
        var rows = [LedgerRow(id: 1, signal: .mast(host: "web1"), agent: "web1", epoch: epoch, session: 9, sync: sync)]
        for (index, name) in followers.enumerated() {
            rows.append(
                LedgerRow(
                    id: UInt64(index + 2), signal: .folo(host: name), agent: name, epoch: epoch, session: 20, sync: sync
                ))
        }
        guard let kind else { return rows }
        rows.append(LedgerRow(id: 8, signal: .oper(kind), agent: "web1", epoch: epoch, session: 9))
        let socket = Fixture.configuration().servers[server].description
        rows.append(LedgerRow(id: 9, signal: .targ(socket: socket), agent: "web1", epoch: epoch, session: 9))
        return rows
    }

    static func leader(on server: ServerID) -> LocalStatus {
        LocalStatus(agent: "web1", server: server, session: 9, holdsLock: true)
    }

    /// An agent that knows which server is primary.
    static func scene(_ rules: (inout QuorumRules) -> Void = { _ in }) -> Scene {
        var durable = DurableState()
        (durable.primary, durable.sync) = (Fixture.uuidA, true)
        durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
        durable.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
        var scene = Scene(rules, durable: durable)
        _ = scene.look()
        return scene
    }

    private static func closed(_ change: (inout ServerFacts) -> Void = { _ in }) -> ServerFacts {
        QuorumPolicyTests.primary {
            ($0.readOnly, $0.superReadOnly) = (true, true)
            change(&$0)
        }
    }

    /// a is gone, and two of three have voted.
    static func lost(_ rows: [LedgerRow]?, _ change: (inout ServerFacts) -> Void = { _ in }) -> Scene {
        var scene = scene()
        scene.a = .downHard("refused")
        scene.b = .up(QuorumPolicyTests.replica(votes: [0, 1], receiver: .connecting))
        _ = scene.look()
        scene.b = .up(
            QuorumPolicyTests.replica(votes: [0, 1, 2], receiver: .off) {
                $0.ledger = rows
                change(&$0)
            })
        if let master = rows?.first { scene.policy.durable.promise = .init(epoch: master.epoch, on: .b) }
        return scene
    }

    // MARK: Before it is announced

    @Test func whatIsNotNeededAnyMoreEndsWithoutATrace() {
        func step(on server: ServerID, isStranger: Bool = false) -> Step {
            var scene = Self.scene()
            let rows = Self.rows(on: server)
            scene.a = .up(QuorumPolicyTests.primary { if server == .a { $0.ledger = rows } })
            scene.b = .up(
                QuorumPolicyTests.replica {
                    if server == .b { $0.ledger = rows }
                    if isStranger { $0.gtidMode = false }
                })
            scene.policy.durable.promise = server == .b ? .init(epoch: 3, on: .b) : nil
            return scene.look(100, Self.leader(on: server)).step
        }
        #expect(step(on: .a) == .terminate(missing: [], keepClosed: true))
        guard case .abort(let why) = step(on: .b), why.code == .notNeeded else {
            Issue.record("\(step(on: .b))")
            return
        }
        // Which server is the primary is not clear: nothing is closed, nothing cleared.
        guard case .abort(let doubt) = step(on: .a, isStranger: true), doubt.code == .withoutGTIDs else {
            Issue.record("\(step(on: .a, isStranger: true))")
            return
        }
    }

    /// A deposed server that nobody has met since may be open beside the primary that is to be opened again.
    @Test func anOpenReplicaIsFencedBeforeThePrimaryIsOpenedAgain() {
        func step(open: Bool, half: Bool = false) -> Step {
            var scene = Self.scene()
            scene.a = .up(Self.closed { $0.ledger = Self.rows(on: .a) })
            scene.b = .up(
                QuorumPolicyTests.replica {
                    if open { ($0.readOnly, $0.superReadOnly) = (false, false) }
                    if half { $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x") }
                })
            return scene.look(100, Self.leader(on: .a)).step
        }
        #expect(step(open: false) == .open(.a))
        #expect(step(open: true) == .fence(.b))
        // Half a copy is kept out of use by its marker.
        #expect(step(open: true, half: true) == .open(.a))
    }

    // MARK: Promises

    @Test func whoLeadsAFailoverPromisesFirst() {
        func promise(_ scene: Scene, on server: ServerID) -> (Step, DurableState.Promise?) {
            var scene = scene
            let step = scene.look(100, Self.leader(on: server)).step
            return (step, scene.policy.durable.promise)
        }
        let scan = [LedgerRow(id: 1, signal: .scan(host: "web1"), agent: "web1", session: 9)]
        let (step, failover) = promise(Self.lost(scan), on: .b)
        #expect(step == .master(on: .b) && failover == DurableState.Promise(epoch: 1, on: .b))
        // Look after look the same: one that grew would outlive the promotion of its own attempt.
        var scene = Self.lost(scan)
        for _ in 0..<3 { _ = scene.look(100, Self.leader(on: .b)) }
        #expect(scene.policy.durable.promise?.epoch == 1)
        // Nobody turns away from a primary that is opened again.
        scene = Self.scene()
        scene.a = .up(Self.closed { $0.ledger = scan })
        let (again, none) = promise(scene, on: .a)
        #expect(again == .master(on: .a) && none == nil)
        // A promotion that is on record needs no promise any more.
        let record = Promotion(epoch: 3, primary: Fixture.uuidB)
        let left = Self.rows(.failover, on: .b).map { row in
            var row = row
            row.alive = false
            return row
        }
        let (resumed, kept) = promise(
            Self.lost(left + [LedgerRow(id: 12, signal: .scan(host: "web1"), agent: "web1", session: 9)]) {
                $0.promotion = record
            }, on: .b)
        #expect(resumed == .master(on: .b) && kept == nil)
    }

    // MARK: A failover

    @Test func whatNoRuleProvidesForEndsAFailover() {
        func step(_ change: (inout ServerFacts) -> Void = { _ in }) -> Step {
            var scene = Self.lost(Self.rows(.failover, on: .b), change)
            return scene.look(100, Self.leader(on: .b)).step
        }
        guard case .promoteWithoutSource(.b, _) = step() else {
            Issue.record("\(step())")
            return
        }
        for (code, change) in [
            (Reason.Code.withoutGTIDs, { $0.gtidMode = false }),
            (.halfMadeCopy, { $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x") }),
            (.replicatesFromNobody, { $0.channels = [] }),
        ] as [(Reason.Code, (inout ServerFacts) -> Void)] {
            guard case .abort(let why) = step(change), why.code == code else {
                Issue.record("\(code): \(step(change))")
                continue
            }
        }
    }

    /// An operator's pause holds what has not been announced; what has is gone through with.
    @Test func aPauseDoesNotStopWhatIsUnderWay() {
        func step(_ kind: OperationKind?) -> Step {
            var scene = Self.lost(Self.rows(kind, on: .b)) { $0.quorum?.control.paused = true }
            return scene.look(100, Self.leader(on: .b)).step
        }
        guard case .promoteWithoutSource(.b, _) = step(.failover) else {
            Issue.record("\(step(.failover))")
            return
        }
        guard case .abort(let why) = step(nil), why.code == .paused else {
            Issue.record("\(step(nil))")
            return
        }
        // One that lies on the other server is another operation.
        var scene = Self.lost(nil) { $0.quorum?.control.paused = true }
        #expect(scene.look().step.reason?.code == .paused)
    }

    @Test func theBlockPeriodHoldsWhatHasNotBegunUnlessAnOperatorAsks() {
        func step(
            _ kind: OperationKind?, asked: Bool = false, acknowledged: UInt64 = 0, today: Int? = nil
        ) -> Step {
            var scene = Self.lost(Self.rows(kind, on: .b, epoch: 6)) {
                $0.quorum?.control.lastFailover = today == nil ? 60_000 : nil
                $0.quorum?.control.failoversToday = today ?? 0
                $0.quorum?.control.acknowledged = acknowledged
                $0.quorum?.failoverAsked = asked
                $0.promotion = Promotion(epoch: 5, primary: Fixture.uuidA)
            }
            var rules = scene.policy.rules
            (rules.blockPeriod, rules.failoversPerDay) = (3_600_000, 3)
            var durable = scene.policy.durable
            durable.epoch = 5
            scene.policy = QuorumPolicy(rules: rules, configuration: scene.policy.configuration, durable: durable)
            _ = scene.look(100, Self.leader(on: .b))
            return scene.look(100, Self.leader(on: .b)).step
        }
        guard case .abort(let why) = step(nil), why.code == .blockPeriod else {
            Issue.record("\(step(nil))")
            return
        }
        #expect(step(nil, asked: true) == .announce(.failover, target: .b))
        #expect(step(nil, acknowledged: 5) == .announce(.failover, target: .b))
        // So many within a day, and no more.
        #expect(step(nil, today: 2) == .announce(.failover, target: .b))
        guard case .abort(let often) = step(nil, today: 3), often.code == .blockPeriod else {
            Issue.record("\(step(nil, today: 3))")
            return
        }
        #expect(step(nil, asked: true, today: 3) == .announce(.failover, target: .b))
        guard case .promoteWithoutSource(.b, _) = step(.failover) else {
            Issue.record("\(step(.failover))")
            return
        }
    }

    @Test func aSwitchoverFencesThePrimaryThatAnswers() {
        func step(_ change: (inout ServerFacts) -> Void = { _ in }, asked: Bool = true) -> Step {
            var scene = Self.scene()
            scene.a = .up(QuorumPolicyTests.primary(change))
            scene.b = .up(
                QuorumPolicyTests.replica {
                    $0.ledger = Self.rows(.failover, on: .b)
                    $0.quorum?.switchoverAsked = asked
                })
            scene.policy.durable.promise = .init(epoch: 3, on: .b)
            return scene.look(100, Self.leader(on: .b)).step
        }
        #expect(step() == .fence(.a))
        let fenced: (inout ServerFacts) -> Void = { ($0.readOnly, $0.superReadOnly) = (true, true) }
        #expect(step(fenced) == .promote(.b, undrained: ""))
        #expect(
            step({
                fenced(&$0)
                $0.executed = GTIDSet("\(Fixture.uuidA):1-11") ?? GTIDSet()
            }) == .drain(from: .a, to: .b))
        guard case .abort(let why) = step(asked: false), why.code == .answersAgain else {
            Issue.record("\(step(asked: false))")
            return
        }
        // Which server is the primary is not clear any more.
        guard case .abort(let doubt) = step({ $0.gtidMode = false }), doubt.code == .withoutGTIDs else {
            Issue.record("\(step({ $0.gtidMode = false }))")
            return
        }
    }

    /// A master that has not promised holds its lock on the old primary still: it does not count itself, nor goes on.
    @Test func aMasterThatHasNotPromisedPromisesFirst() {
        for kind in [nil, OperationKind.failover] {
            var scene = Self.lost(Self.rows(kind, on: .b, followers: ["web2"]))
            for promise in [nil, DurableState.Promise(epoch: 2, on: .b), DurableState.Promise(epoch: 3, on: .a)] {
                scene.policy.durable.promise = promise
                let step = scene.look(100, Self.leader(on: .b)).step
                #expect(step == .wait(.until(.majority(["web2"]))))
                #expect(scene.policy.durable.promise == .init(epoch: 3, on: .b))
            }
            let next = scene.look(100, Self.leader(on: .b)).step
            #expect(next.reason?.code != .noMajority, "\(next)")
        }
    }

    /// What has arrived is applied first, for as long as that takes within the limit; what cannot be applied is given up by
    /// an operator only.
    @Test func whatTheReplicaReceivedIsAppliedFirst() {
        func step(errno: Int = 0, accepted: Bool = false, after time: Int64 = 100) -> Step {
            var scene = Self.lost(Self.rows(.failover, on: .b)) {
                $0.channels[0].retrieved = GTIDSet("\(Fixture.uuidA):5-12") ?? GTIDSet()
                $0.channels[0].applierErrno = errno
                $0.quorum?.lossAccepted = accepted
            }
            _ = scene.look(100, Self.leader(on: .b))
            return scene.look(time, Self.leader(on: .b)).step
        }
        #expect(step() == .applyRelayLog(.b))
        #expect(step(after: 60_000) == .applyRelayLog(.b))
        guard case .abort(let why) = step(after: 60_001), why.code == .applyTimeout else {
            Issue.record("\(step(after: 60_001))")
            return
        }
        guard case .abort(let broken) = step(errno: 1062), broken.code == .applierBroken else {
            Issue.record("\(step(errno: 1062))")
            return
        }
        let left = GTIDSet("\(Fixture.uuidA):11-12") ?? GTIDSet()
        #expect(step(errno: 1062, accepted: true) == .promoteWithoutSource(.b, reason: .lossAccepted(left)))
    }

    /// An attempt that ended because somebody knew of a loss is not made again for nothing; once the primary was there
    /// again the next one is.
    @Test func whatTheLastAttemptKnewToBeLostStaysKnown() {
        var scene = Self.lost(Self.rows(.failover, on: .b, sync: false))
        guard case .abort(let why) = scene.look(100, Self.leader(on: .b)).step, why.code == .lossNotAccepted else {
            Issue.record("an asynchronous primary was replaced without asking")
            return
        }
        scene.b = .up(QuorumPolicyTests.replica(votes: [0, 1, 2], receiver: .off))
        for _ in 0..<3 { #expect(scene.look().step.reason?.code == .lossNotAccepted) }
        scene.a = .up(QuorumPolicyTests.primary())
        scene.b = .up(QuorumPolicyTests.replica())
        _ = scene.look()
        scene.a = .downHard("refused")
        scene.b = .up(QuorumPolicyTests.replica(votes: [0, 1, 2], receiver: .off))
        _ = scene.look()
        #expect(scene.look().step == .scan(on: .b))
    }

    @Test func aSwitchoverIsCalledOffWhereTheReplicaCannotApply() {
        var scene = Self.scene()
        scene.a = .up(QuorumPolicyTests.primary())
        scene.b = .up(
            QuorumPolicyTests.replica {
                $0.ledger = Self.rows(.failover, on: .b)
                $0.quorum?.switchoverAsked = true
                $0.channels[0].applierErrno = 1062
            })
        scene.policy.durable.promise = .init(epoch: 3, on: .b)
        guard case .abort(let why) = scene.look(100, Self.leader(on: .b)).step, why.code == .applierBroken else {
            Issue.record("a switchover to a replica that cannot apply goes on")
            return
        }
    }

    // MARK: After the promotion

    /// b is promoted by this operation, and open.
    private static func promoted(
        _ more: [LedgerRow] = [], _ change: (inout ServerFacts) -> Void = { _ in }
    ) -> Scene {
        var scene = lost(rows(.failover, on: .b) + more) {
            ($0.readOnly, $0.superReadOnly, $0.channels) = (false, false, [])
            $0.promotion = Promotion(epoch: 3, primary: Fixture.uuidB)
            $0.quorum?.seesPrimary = AgentSet([0, 1, 2])
            change(&$0)
        }
        _ = scene.look()
        return scene
    }

    /// What is confirmed is that this host's clients get there.
    @Test func theMasterConfirmsWhenItsRouterLeadsThere() {
        func step(leads uuid: String, closed: Bool = false, failed: Bool = false) -> Step {
            var scene = Self.promoted()
            var local = Self.leader(on: .b)
            local.routerFailed = failed
            scene.now += 100
            return scene.policy.decide(
                TimedObservation(
                    seen: Observation(a: scene.a, b: scene.b, router: .leadsTo(uuid: uuid)), askedAt: scene.now,
                    now: scene.now, pongB: scene.now, routerClosed: closed), local
            ).step
        }
        #expect(step(leads: Fixture.uuidB) == .confirmMaster)
        #expect(step(leads: Fixture.uuidB, closed: true) == .wait(.until(.routerTurned)))
        #expect(step(leads: Fixture.uuidA) == .wait(.until(.routerTurned)))
        // A router that cannot be turned is this host's trouble.
        #expect(step(leads: Fixture.uuidA, failed: true) == .confirmMaster)
    }

    @Test func theOperationEndsWhenFollowersThatLiveHaveConfirmed() {
        func step(_ confirmed: [String], dead: [String] = [], after time: Int64 = 100) -> Step {
            var more = [LedgerRow(id: 20, signal: .maok(host: "web1"), agent: "web1", epoch: 3, session: 9)]
            for (index, name) in confirmed.enumerated() {
                more.append(
                    LedgerRow(
                        id: 21 + UInt64(index), signal: .fook(host: name), agent: name, epoch: 3, session: 20))
            }
            var scene = Self.promoted(more) {
                $0.ledger = $0.ledger?.map { row in
                    var row = row
                    if dead.contains(row.agent) { row.alive = false }
                    return row
                }
            }
            _ = scene.look(100, Self.leader(on: .b))
            return scene.look(time, Self.leader(on: .b)).step
        }
        #expect(step(["web2", "web3"]) == .terminate(missing: [], keepClosed: true))
        #expect(step(["web2"]) == .wait(.until(.confirmations(["web3"]))))
        #expect(step(["web2"], dead: ["web3"]) == .terminate(missing: ["web3"], keepClosed: true))
        #expect(step(["web2"], after: 9_999) == .wait(.until(.confirmations(["web3"]))))
        #expect(step(["web2"], after: 10_000) == .terminate(missing: ["web3"], keepClosed: true))
    }

    @Test func whatIsNotClearIsNotOpened() {
        var scene = Self.promoted {
            $0.readOnly = true
            $0.gtidMode = false
        }
        #expect(scene.look(100, Self.leader(on: .b)).step == .wait(.ambiguous(.withoutGTIDs(.b))))
    }

    // MARK: Bringing the replica back

    private static func recovering(
        _ more: [LedgerRow] = [], _ replica: (inout ServerFacts) -> Void = { _ in }
    ) -> Scene {
        var scene = scene()
        scene.a = .up(QuorumPolicyTests.primary { $0.ledger = rows(.recover, on: .a, followers: []) + more })
        scene.b = .up(QuorumPolicyTests.replica(replica))
        return scene
    }

    @Test func aRecoveryThatIsDoneIsConfirmedAndEnds() {
        var scene = Self.recovering()
        #expect(scene.look(100, Self.leader(on: .a)).step == .confirmMaster)
        let done = LedgerRow(id: 20, signal: .maok(host: "web1"), agent: "web1", epoch: 3, session: 9)
        scene = Self.recovering([done])
        #expect(scene.look(100, Self.leader(on: .a)).step == .terminate(missing: [], keepClosed: true))
    }

    /// A receiver that does not reach its source is waited for; where nothing is heard of the replica for long either, the
    /// operation is no use.
    @Test func aReceiverThatDoesNotConnectIsWaitedFor() {
        var scene = Self.recovering { $0.channels[0].receiver = .connecting }
        for _ in 0..<30 {
            guard case .wait(.until(.replication)) = scene.look(1_000, Self.leader(on: .a)).step else {
                Issue.record("\(scene.look(100, Self.leader(on: .a)).step)")
                return
            }
        }
    }

    // MARK: Going on alone

    /// A replica whose path is cut is counted as a client for a while: commits that wait tell, unless it hears.
    @Test func commitsThatWaitCountOnlyWhereTheReplicaHearsNothing() {
        func leave(hears: Bool) -> ServerID? {
            var scene = Self.scene()
            scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.semiSync.waiting = 3 })
            var orders = Orders()
            for mark in 1...12 {
                scene.b = .up(QuorumPolicyTests.replica { $0.quorum?.receiverMark = hears ? UInt64(mark) : 1 })
                orders = scene.look(1_500)
            }
            return orders.locks.async
        }
        #expect(leave(hears: true) == nil)
        #expect(leave(hears: false) == .a)
    }
}
