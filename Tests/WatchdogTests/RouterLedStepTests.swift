import MySQLWire
import Testing

@testable import Watchdog

/// Router-led mode: what one agent, web1, does next after one look.
@Suite struct RouterLedStepTests {
    private let own = LocalStatus(agent: "web1")
    private static let fail = ["OPER fail", "TARG 10.0.0.2:3306"]
    private static let repair = ["OPER repl", "TARG 10.0.0.1:3306"]

    private func step(_ seen: Observation, _ local: LocalStatus, agents: [String] = []) -> Step {
        var configuration = Fixture.configuration()
        configuration.agents = agents
        return RouterLedPolicy(configuration).nextStep(seen, Diagnoser(configuration).diagnose(seen), local)
    }

    /// A ledger with these events; an agent's rows are of the session with its number.
    private func rows(
        _ events: [String], routes: [String: ServerID] = [:], age: Int64 = 0, dead: Set<String> = []
    ) -> [LedgerRow] {
        var master = ""
        return events.enumerated().compactMap { index, event in
            guard let signal = Signal(event) else { return nil }
            let agent: String
            switch signal {
            case .scan(let host), .folo(let host), .maok(let host), .fook(let host): agent = host
            case .mast(let host): (agent, master) = (host, host)
            case .oper, .targ: agent = master
            }
            return LedgerRow(
                id: UInt64(index + 1), signal: signal, agent: agent, epoch: 3,
                seen: routes[agent].map { $0 == .a ? Fixture.uuidA : Fixture.uuidB } ?? "",
                session: UInt64(agent.dropFirst(3)) ?? 0, alive: !dead.contains(agent), age: age)
        }
    }

    private func set(_ text: String) -> GTIDSet { GTIDSet(text) ?? GTIDSet() }

    /// a is primary, b its replica, and the ledger lies on one of them.
    private func seen(
        _ ledger: [LedgerRow]?, on server: ServerID, router: ServerID?,
        _ change: (_ a: inout ServerFacts, _ b: inout ServerFacts) -> Void = { _, _ in }
    ) -> Observation {
        var a = Fixture.facts(.a) { $0.executed = set("\(Fixture.uuidA):1-10") }
        var b = Fixture.facts(.b) {
            $0.executed = set("\(Fixture.uuidA):1-10")
            $0.channels = [Fixture.channel(from: .a)]
        }
        if server == .a { a.ledger = ledger } else { b.ledger = ledger }
        change(&a, &b)
        let routed = router.map { RouterView.leadsTo(uuid: $0 == .a ? Fixture.uuidA : Fixture.uuidB) }
        return Observation(a: .up(a), b: .up(b), router: routed ?? .noAnswer("refused"))
    }

    private func member(_ server: ServerID, holdsLock: Bool = false, routerFailed: Bool = false) -> LocalStatus {
        LocalStatus(agent: "web1", server: server, session: 1, holdsLock: holdsLock, routerFailed: routerFailed)
    }

    private func broken(_ facts: inout ServerFacts) {
        facts.channels[0].applierErrno = 1062
        facts.channels[0].applierRuns = false
    }

    /// web1 leads a failover to b.
    private func failover(
        _ events: [String], routes: [String: ServerID] = [:], age: Int64 = 0, dead: Set<String> = [],
        router: ServerID? = .b, routerFailed: Bool = false, agents: [String] = [],
        _ change: (_ a: inout ServerFacts, _ b: inout ServerFacts) -> Void = { _, _ in }
    ) -> Step {
        let ledger = rows(["MAST web1"] + events, routes: routes, age: age, dead: dead)
        return step(
            seen(ledger, on: .b, router: router, change), member(.b, holdsLock: true, routerFailed: routerFailed),
            agents: agents)
    }

    /// web1 leads the repair of b.
    private func repair(
        _ events: [String], routes: [String: ServerID] = [:], age: Int64 = 0, router: ServerID? = .a,
        agents: [String] = [], _ change: (_ a: inout ServerFacts, _ b: inout ServerFacts) -> Void = { _, _ in }
    ) -> Step {
        let ledger = rows(["MAST web1"] + events, routes: routes, age: age)
        return step(seen(ledger, on: .a, router: router, change), member(.a, holdsLock: true), agents: agents)
    }

    // MARK: Before an operation

    /// A rebuild would meet the same wall; but half a copy is of no use as it is.
    @Test func aReplicaThatDoesNotReachItsSourceIsNotRebuilt() {
        func step(half: Bool) -> Step {
            self.step(
                seen(nil, on: .a, router: .a) { _, b in
                    b.channels[0].receiver = .connecting
                    if half { b.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x") }
                }, own)
        }
        #expect(step(half: false).reason?.code == .sourceUnreachable)
        #expect(step(half: true) == .scan(on: .a))
    }

    /// It is this host's trouble: nobody else is moved for it, and no place in the queue is held.
    @Test func aRouterThatCannotFollowAPromotionMovesNobody() {
        func step(_ local: LocalStatus) -> Step {
            self.step(
                seen(nil, on: .a, router: .b) { a, _ in a.promotion = Promotion(epoch: 2, primary: Fixture.uuidA) },
                local)
        }
        #expect(step(own) == .route(to: .a))
        let failed = step(LocalStatus(agent: "web1", routerFailed: true))
        guard case .none(let why) = failed, why.code == .routerStuck else { return _ = Issue.record("\(failed)") }
        #expect(step(member(.b, routerFailed: true)) == .withdraw(why))
    }

    @Test func whoseRouterIsSilentLeavesAnUnfinishedOperationToOthers() {
        func step(_ local: LocalStatus, router: ServerID?) -> Step {
            self.step(
                seen(rows(["MAST web2"] + Self.fail, dead: ["web2"]), on: .b, router: router), local)
        }
        #expect(step(own, router: nil) == .wait(.until(.router)))
        #expect(step(member(.b), router: nil) == .withdraw(.until(.router)))
        #expect(step(own, router: .b) == .scan(on: .b))
    }

    /// What agents left that died before they announced anything is cleared away under the operation lock: others may
    /// come to consider an operation at the same moment.
    @Test func leftoversAreClearedAwayUnderTheLock() {
        func step(_ events: [String], _ local: LocalStatus) -> Step {
            self.step(seen(rows(["SCAN web9"] + events, dead: ["web9"]), on: .b, router: .a), local)
        }
        #expect(step([], own) == .scan(on: .b))
        #expect(step(["SCAN web1"], member(.b)) == .lock(on: .b))
        #expect(step(["SCAN web1"], member(.b, holdsLock: true)) == .terminate(missing: [], keepClosed: false))
        // The lock of the other server is of no use here.
        #expect(step([], member(.a, holdsLock: true)) == .scan(on: .b))
        // Whoever sees no need makes room for those who do.
        #expect(step(["SCAN web2"], own) == .wait(.until(.others)))
        #expect(step(["SCAN web1", "SCAN web2"], member(.b, holdsLock: true)).isWithdrawal)
    }

    // MARK: Following

    /// web2 leads.
    private func follower(
        _ events: [String], on server: ServerID = .b, promoted: Bool = false, router: ServerID = .a,
        routerFailed: Bool = false, session: UInt64 = 1
    ) -> Step {
        var local = member(server, routerFailed: routerFailed)
        local.session = session
        return step(
            seen(rows(["MAST web2"] + events), on: server, router: router) { _, b in
                if promoted { (b.channels, b.promotion) = ([], Promotion(epoch: 3, primary: Fixture.uuidB)) }
            }, local)
    }

    @Test func aFollowerTurnsItsRouterAfterThePromotionAndConfirms() {
        let follows = ["FOLO web1"] + Self.fail
        #expect(follower([]) == .follow(on: .b))
        #expect(follower(["FOLO web1"]) == .wait(.until(.master("web2", .leads))))
        #expect(follower(["FOLO web1"], session: 8) == .follow(on: .b), "its session of before is gone")
        #expect(follower(follows) == .wait(.until(.master("web2", .promotes(.b)))))
        #expect(follower(follows, promoted: true) == .route(to: .b))
        #expect(follower(follows, promoted: true, routerFailed: true) == .wait(.until(.routerMended)))
        // It does not wait until the other server is a replica.
        #expect(follower(follows, promoted: true, router: .b) == .confirmFollower)
        #expect(
            follower(follows + ["FOOK web1"], promoted: true, router: .b)
                == .wait(.until(.master("web2", .bringsBack))))
        #expect(follower(Self.fail + ["FOOK web1"], promoted: true, router: .b, session: 8).isWait, "nothing twice")
    }

    @Test func aFollowerOfARepairConfirmsWhenTheMasterHas() {
        let follows = ["FOLO web1"] + Self.repair
        #expect(follower(follows, on: .a) == .wait(.until(.master("web2", .works))))
        #expect(follower(follows + ["MAOK web2"], on: .a) == .confirmFollower)
        #expect(
            follower(follows + ["MAOK web2", "FOOK web1"], on: .a) == .wait(.until(.master("web2", .bringsBack))))
    }

    // MARK: Before it is announced

    @Test func aMasterWaitsForThoseWhoAnnouncedThemselves() {
        let announce = Step.announce(.failover, target: .b)
        let waits = Step.wait(.until(.followers(["web2"])))
        #expect(failover(["SCAN web2"]) == waits)
        #expect(failover(["SCAN web2"], age: 4_999) == waits)
        #expect(failover(["SCAN web2"], age: 5_000) == announce)
        #expect(failover(["SCAN web2", "FOLO web2"]) == announce)
        // Others may be on their way.
        #expect(failover([], age: 1_999) == .wait(.until(.followers([]))))
        #expect(failover([], age: 2_000) == announce)
    }

    /// Going back costs a router's restart, a promotion would cost everybody's connections.
    @Test func aRouterGoesBackWhereOthersStayedAndNothingWasWritten() {
        let stayed = ["web2": ServerID.a]
        func step(_ routes: [String: ServerID], failed: Bool = false, wrote: Bool = false) -> Step {
            failover(["FOLO web2"], routes: routes, routerFailed: failed) { _, b in
                if wrote { b.executed = b.executed.union(set("\(Fixture.uuidB):1-3")) }
            }
        }
        #expect(step(stayed) == .route(to: .a))
        #expect(step(stayed, failed: true) == .abort(.because(.routers(.halfMoved))))
        #expect(step(stayed, wrote: true) == .announce(.failover, target: .b))
        #expect(step(["web2": .b]) == .announce(.failover, target: .b))
        // Its own row is older than its router's move.
        #expect(step(["web1": .a]) == .announce(.failover, target: .b))
        // Where the replica is repaired nobody goes anywhere.
        #expect(repair(["FOLO web2"], routes: ["web2": .b]) { _, b in broken(&b) } == .announce(.recover, target: .a))
    }

    // MARK: What cannot be fetched

    /// b has stopped at a conflict and lacks five transactions of a.
    private func conflict(
        _ events: [String], routes: [String: ServerID], agents: [String] = [], missing: Bool = true,
        stopped: Bool = true
    ) -> Step {
        failover(["FOLO web2"] + events, routes: routes, agents: agents) { a, b in
            if missing { a.executed = set("\(Fixture.uuidA):1-15") }
            b.executed = b.executed.union(set("\(Fixture.uuidB):1-3"))
            if stopped { broken(&b) }
        }
    }

    @Test func nothingIsLeftBehindWhileARouterMayLeadThere() {
        let missing = set("\(Fixture.uuidA):11-15")
        func unknown(_ agents: [String]) -> Step {
            .abort(.because(.routers(.unknown(target: .b, missing: missing, agents: agents))))
        }
        let all = ["web1", "web2", "web3"]
        // Before it is announced, and when a router is seen to lead elsewhere after that.
        for (events, goesOn) in [([], .announce(.failover, target: .b)), (Self.fail, .fence(.a))]
            as [([String], Step)]
        {
            let split = Step.abort(.because(.routers(.split(target: .b, missing: missing))))
            #expect(conflict(events, routes: ["web2": .a, "web3": .b]) == split)
            #expect(conflict(events, routes: ["web1": .b]) == unknown([]), "nobody else says where it leads")
            #expect(conflict(events, routes: ["web2": .b]) == goesOn)
            #expect(conflict(events, routes: ["web2": .b], agents: all) == unknown(["web3"]))
            #expect(conflict(events + ["FOLO web3"], routes: ["web2": .b, "web3": .b], agents: all) == goesOn)
            // What can be fetched is no matter of where routers lead.
            #expect(conflict(events, routes: ["web2": .a], missing: false) == goesOn)
            #expect(conflict(events, routes: ["web2": .a], stopped: false) == goesOn)
        }
    }

    // MARK: Failover

    @Test func whatMustNotBePromotedIsNot() {
        #expect(
            failover(Self.fail) { _, b in b.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x") }
                == .abort(.because(.halfMadeCopy(.b))))
        #expect(failover(Self.fail) { _, b in b.channels = [] } == .abort(.because(.replicatesFromNobody(.b))))
        let ledger = rows(["MAST web1"] + Self.fail)
        var silent = seen(ledger, on: .b, router: .b)
        silent.a = .downSoft("silent")
        #expect(
            step(silent, member(.b, holdsLock: true))
                == .wait(.until(.fetched(from: .a, reason: "does not answer: silent"))))
        #expect(
            failover(["TARG 10.0.0.1:3306", "OPER fail"])
                == .abort(.because(.routers(.otherTarget("10.0.0.1:3306")))))
    }

    @Test func aFailoverIsCalledOffWhenNoRouterLeadsToTheReplicaAnyMore() {
        #expect(failover(Self.fail, router: .a) == .abort(.because(.routers(.none(to: .b)))))
        #expect(failover(Self.fail, router: .b) == .fence(.a))
        #expect(failover(Self.fail + ["FOLO web2"], routes: ["web2": .b], router: .a) == .fence(.a))
        // On record: there is no way back.
        #expect(
            failover(Self.fail, router: .a) { _, b in b.promotion = Promotion(epoch: 3, primary: Fixture.uuidB) }
                == .fence(.a))
    }

    @Test func aFencedPrimaryIsDrainedAndThenTheReplicaIsPromoted() {
        func step(missing: Bool, stopped: Bool = false) -> Step {
            failover(Self.fail + ["FOLO web2"], routes: ["web2": .b]) { a, b in
                (a.readOnly, a.superReadOnly) = (true, true)
                if missing { a.executed = set("\(Fixture.uuidA):1-15") }
                if stopped { broken(&b) }
            }
        }
        #expect(step(missing: true) == .drain(from: .a, to: .b))
        #expect(step(missing: false) == .promote(.b, undrained: ""))
        #expect(step(missing: true, stopped: true) == .promote(.b, undrained: "\(Fixture.uuidA):11-15"))
    }

    /// b is on record as the new primary.
    private func promoted(
        _ events: [String] = [], routes: [String: ServerID] = [:], age: Int64 = 0, dead: Set<String> = [],
        router: ServerID = .b, routerFailed: Bool = false, agents: [String] = [],
        _ change: (_ a: inout ServerFacts, _ b: inout ServerFacts) -> Void = { _, _ in }
    ) -> Step {
        failover(
            Self.fail + events, routes: routes, age: age, dead: dead, router: router, routerFailed: routerFailed,
            agents: agents
        ) { a, b in
            (b.channels, b.promotion) = ([], Promotion(epoch: 3, primary: Fixture.uuidB))
            (a.readOnly, a.superReadOnly) = (true, true)
            a.channels = [Fixture.channel(from: .b)]
            change(&a, &b)
        }
    }

    /// A router that has not turned may still write to it.
    @Test func aDeposedPrimaryThatCameBackOpenIsFenced() {
        func step(half: Bool = false, replicates: Bool = false, closed: Bool = false) -> Step {
            promoted { a, _ in
                if !closed { (a.readOnly, a.superReadOnly) = (false, false) }
                if !replicates { a.channels = [] }
                if half { a.rebuilding = RebuildMarker(source: Fixture.uuidB, epoch: 3, saved: "x") }
            }
        }
        #expect(step() == .fence(.a))
        #expect(step(closed: true) == .resume(.a, from: .b))
        // It is on its way to be a replica.
        #expect(step(half: true) == .rebuild(.a, from: .b, why: .unfinishedCopy(source: Fixture.uuidB)))
        #expect(step(replicates: true) == .confirmMaster)
    }

    @Test func theNewPrimaryIsOpenedBeforeTheRouterIsTurned() {
        for closed in [true, false] {
            let step = promoted(router: .a) { _, b in (b.readOnly, b.superReadOnly) = (true, closed) }
            #expect(step == .open(.b))
        }
        #expect(promoted(router: .a) == .route(to: .b))
        // A router that cannot be turned keeps nobody else waiting.
        #expect(promoted(router: .a, routerFailed: true) == .confirmMaster)
    }

    // MARK: Bringing the other server back

    /// Their rows would go with it. Half a copy holds none.
    @Test func aServerThatRoutersLeadToIsNotReplaced() {
        let abort = Step.abort(.because(.routers(.leadToReplica(.b))))
        #expect(repair(Self.repair) { _, b in broken(&b) }.isRebuild)
        #expect(repair(Self.repair, router: .b) { _, b in broken(&b) } == abort)
        #expect(repair(Self.repair + ["FOLO web2"], routes: ["web2": .b]) { _, b in broken(&b) } == abort)
        #expect(repair(Self.repair + ["FOLO web2"], routes: ["web2": .a]) { _, b in broken(&b) }.isRebuild)
        #expect(
            repair(Self.repair, router: .b) { _, b in
                b.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x")
            }.isRebuild)
    }

    /// What keeps the replica from its source may pass; a repair does not wait for it for ever, a failover has no choice.
    @Test func aRepairIsCalledOffWhereTheSourceIsOutOfReach() {
        let cut: (inout ServerFacts) -> Void = { $0.channels[0].receiver = .connecting }
        let waits = repair(Self.repair, age: 60_000) { _, b in cut(&b) }
        #expect(waits.isWait && waits.reason?.code == .sourceUnreachable)
        guard case .abort(let why) = repair(Self.repair, age: 60_001, { _, b in cut(&b) }) else {
            Issue.record("it waits for ever")
            return
        }
        #expect(why.code == .sourceUnreachable)
        #expect(promoted(age: 600_000) { a, _ in cut(&a) }.isWait)
    }

    // MARK: The end

    @Test func theEndWaitsForEveryAgentThatMayStillConfirm() {
        let all = ["web1", "web2", "web3"]
        func failover(_ more: [String], age: Int64, dead: Set<String> = [], agents: [String] = all) -> Step {
            promoted(["FOLO web2", "MAOK web1"] + more, routes: ["web2": .b], age: age, dead: dead, agents: agents)
        }
        #expect(promoted(["FOLO web2"], agents: all) == .confirmMaster)
        #expect(failover([], age: 0) == .wait(.until(.confirmations(["web2", "web3"]))))
        #expect(failover([], age: 59_999) == .wait(.until(.confirmations(["web2", "web3"]))))
        #expect(failover([], age: 60_000) == .wait(.until(.confirmations(["web3"]))))
        // Of one that is gone nothing more is to come.
        #expect(failover([], age: 9_999, dead: ["web2"]) == .wait(.until(.confirmations(["web2", "web3"]))))
        #expect(failover([], age: 10_000, dead: ["web2"]) == .wait(.until(.confirmations(["web3"]))))
        #expect(failover(["FOOK web2"], age: 659_999) == .wait(.until(.confirmations(["web3"]))))
        // Nobody knows where the router of one leads that took no part.
        #expect(failover(["FOOK web2"], age: 660_000) == .terminate(missing: ["web3"], keepClosed: true))
        #expect(failover(["FOOK web2"], age: 0, agents: []) == .terminate(missing: [], keepClosed: false))
        // Its router was there already when it last wrote.
        #expect(failover([], age: 60_000, agents: []) == .terminate(missing: ["web2"], keepClosed: false))
        #expect(
            promoted(["FOLO web2", "MAOK web1"], routes: ["web2": .a], age: 60_000)
                == .terminate(missing: ["web2"], keepClosed: true))
    }

    /// No router moves: whoever takes no part has nothing to do, and nothing to wait for.
    @Test func aRepairEndsWithoutThoseWhoTookNoPart() {
        let all = ["web1", "web2", "web3"]
        func step(_ more: [String], age: Int64) -> Step {
            repair(Self.repair + ["FOLO web2", "MAOK web1"] + more, routes: ["web2": .a], age: age, agents: all)
        }
        #expect(step([], age: 59_999) == .wait(.until(.confirmations(["web2"]))))
        #expect(step([], age: 60_000) == .terminate(missing: ["web2"], keepClosed: false))
        #expect(step(["FOOK web2"], age: 0) == .terminate(missing: [], keepClosed: false))
        let elsewhere = repair(Self.repair + ["FOLO web2", "MAOK web1"], age: 60_000, agents: all)
        #expect(elsewhere == .terminate(missing: ["web2"], keepClosed: false))
    }
}

extension Step {
    fileprivate var isWait: Bool { if case .wait = self { true } else { false } }
    fileprivate var isWithdrawal: Bool { if case .withdraw = self { true } else { false } }
    fileprivate var isRebuild: Bool { if case .rebuild = self { true } else { false } }
}
