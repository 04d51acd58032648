import MySQLWire
import Testing

@testable import Watchdog

/// What holds for the commands of every step, whatever the step rests on.
@Suite("Plans of steps") struct OperationPlanTests {
    static let modes = [Configuration.Mode.routerLed, .quorum]

    /// A context of either mode: A is primary, B its replica, an operation lies on `ledger`.
    private func context(
        _ mode: Configuration.Mode, _ kind: OperationKind = .failover, ledger: ServerID = .b,
        _ change: (inout Observation) -> Void = { _ in }
    ) -> OperationContext {
        var configuration = Fixture.configuration()
        configuration.mode = mode
        configuration.agents = ["web1", "web2", "web3"]
        var seen = Fixture.healthy()
        change(&seen)
        let rows = [
            LedgerRow(id: 1, signal: .mast(host: "web1"), agent: "web1", epoch: 3, session: 8),
            LedgerRow(id: 2, signal: .oper(kind), agent: "web1", epoch: 3, session: 8),
        ]
        var context = OperationContext(
            configuration, seen: seen, ledger: Ledger(server: ledger, rows: rows), nextEpoch: 4)
        context.primary = mode == .quorum ? .a : nil
        context.joined = ledger
        return context
    }

    private static let steps: [Step] = [
        .scan(on: .b), .lock(on: .b), .master(on: .b), .withdraw(.nothingToDo), .follow(on: .b),
        .announce(.failover, target: .b),
        .fence(.a), .drain(from: .a, to: .b), .promote(.b, undrained: ""), .open(.b), .stopReceiver(.b),
        .applyRelayLog(.b), .promoteWithoutSource(.b, reason: .onRecord), .confirmMaster, .confirmFollower,
        .terminate(missing: [], keepClosed: true), .terminate(missing: [], keepClosed: false), .abort(.nothingToDo),
    ]
    /// Those whose ledger lies on the primary.
    private static let repairs: [Step] = [
        .open(.a), .resume(.b, from: .a), .rebuild(.b, from: .a, why: .replicationBroken("")),
        .terminate(missing: [], keepClosed: false),
        .abort(.nothingToDo),
    ]

    private func plans(_ mode: Configuration.Mode) -> [(Step, ServerID, OperationPlan)] {
        var plans = Self.steps.map { ($0, ServerID.b, OperationPlan($0, context(mode))) }
        plans += Self.repairs.map { ($0, .a, OperationPlan($0, context(mode, .recover, ledger: .a))) }
        // The other server does not answer.
        let silent = context(mode, .recover, ledger: .a) { $0.b = .downSoft("silent") }
        plans += Self.repairs.prefix(1).map { ($0, .a, OperationPlan($0, silent)) }
        // The other server is a deposed primary with a ledger on it.
        let deposed = context(mode, .recover, ledger: .a) {
            $0.b = .up(
                Fixture.facts(.b) { $0.ledger = [LedgerRow(id: 1, signal: .scan(host: "web1"), agent: "web1")] })
        }
        plans.append((.terminate(missing: [], keepClosed: false), .a, OperationPlan(Self.repairs[3], deposed)))
        return plans
    }

    @Test(arguments: modes) func theOtherServerIsTouchedUnderItsLockOnly(_ mode: Configuration.Mode) {
        for (step, ledger, plan) in plans(mode) {
            var locked: ServerID?
            for command in plan.commands {
                switch command {
                case .lockServer(let id): locked = id
                case .unlockServer: locked = nil
                default: break
                }
                guard case .other(let id) = command.path(ledger: ledger) else { continue }
                #expect(locked == id, "\(mode) \(step): \(command.name)")
            }
            #expect(locked == nil, "\(mode) \(step): the lock is kept")
        }
    }

    @Test(arguments: modes) func nothingOfAnotherServerIsWipedBeforeItIsSavedAndMarked(_ mode: Configuration.Mode)
        throws
    {
        let plan = OperationPlan(
            .rebuild(.b, from: .a, why: .replicationBroken("")), context(mode, .recover, ledger: .a))
        let names = plan.commands.map(\.name)
        let order: [Command.Name] = [
            .requireRoom, .requireCopyable, .lockServer, .fenceWrites, .stopReplication, .requireRebuildable, .saveData,
            .markForRebuild, .resetChannel, .copyData, .nameSource, .startReplication, .removeMarker, .unlockServer,
        ]
        #expect(names.filter(order.contains) == order)
        // Router-led: it took writes, and does so again where nothing was done to it.
        #expect(plan.onFailure.map(\.name) == (mode == .routerLed ? [.reopenUnmarked] : []))
    }

    @Test(arguments: modes) func aPromotionIsOnRecordBeforeTheChannelGoes(_ mode: Configuration.Mode) throws {
        for (step, checks) in [
            (Step.promote(.b, undrained: ""), [Command.Name.requireFenced, .stopReplication, .requireDrained]),
            (.promoteWithoutSource(.b, reason: .onRecord), [.allowRecord, .stopReplication, .requireApplied]),
        ] {
            let names = OperationPlan(step, context(mode)).commands.map(\.name)
            let order = checks + [.recordPromotion, .resetChannel]
            #expect(names.filter(order.contains) == order, "\(step)")
            #expect(names.last == .resetChannel)
        }
    }

    /// `repl_watchdog.history` counts as a switchover what an operator asked for, and nothing else.
    @Test func theRecordOfAPromotionSaysWhoAskedForIt() {
        for (mode, expected) in [(Configuration.Mode.routerLed, PromotionReason.routersMoved), (.quorum, .switchover)] {
            let commands = OperationPlan(.promote(.b, undrained: ""), context(mode)).commands
            let reasons = commands.compactMap { command -> PromotionReason? in
                if case .recordPromotion(_, _, let reason, _) = command { reason } else { nil }
            }
            #expect(reasons == [expected], "\(mode)")
        }
    }

    @Test func aPrimaryIsOpenedAgainOnlyWhereNobodyCanBeReplacingIt() {
        func names(_ ledger: ServerID, _ kind: OperationKind, other: Bool) -> [Command.Name] {
            let context = context(.quorum, kind, ledger: ledger) {
                if !other { $0.b = .downSoft("silent") }
            }
            return OperationPlan(.open(ledger), context).commands.map(\.name)
        }
        #expect(
            names(.a, .recover, other: true) == [
                .lockServer, .requireNoFailover, .persistClosed, .enableSemiSync, .liftSuperReadOnly, .liftReadOnly,
                .unlockServer,
            ])
        #expect(
            names(.a, .recover, other: false) == [
                .persistClosed, .enableSemiSync, .requireMajority, .liftSuperReadOnly, .liftReadOnly,
            ])
        #expect(names(.b, .failover, other: true) == [.persistClosed, .liftSuperReadOnly, .liftReadOnly])
    }

    @Test func aNewPrimaryLetsInWhomTheOldOneLetIn() {
        func lifts(_ kind: OperationKind, isOffline: Bool, oldAdmitted: Bool?) -> Bool {
            var context = context(.quorum, kind) { $0.b = .up(Fixture.facts(.b) { $0.isOffline = isOffline }) }
            context.admitted[.a] = oldAdmitted
            context.admitted[.b] = true
            let names = OperationPlan(.open(.b), context).commands.map(\.name)
            return names.contains(.liftOfflineMode) && names.last == .liftReadOnly
        }
        #expect(lifts(.failover, isOffline: true, oldAdmitted: true))
        #expect(!lifts(.failover, isOffline: false, oldAdmitted: true))
        #expect(!lifts(.failover, isOffline: true, oldAdmitted: false))
        #expect(!lifts(.failover, isOffline: true, oldAdmitted: nil))
        #expect(!lifts(.recover, isOffline: true, oldAdmitted: true))
    }

    @Test func nothingIsRolledBackBehindAPromotion() {
        let plan = OperationPlan(.abort(.nothingToDo), context(.quorum))
        #expect(plan.commands.first?.name == .requireNotPromoted)
        #expect(plan.commands.suffix(2).map(\.name) == [.closeServer, .leave])
        // Without the knowledge of who is primary nothing is closed.
        var unknown = context(.quorum)
        unknown.primary = nil
        #expect(!OperationPlan(.abort(.nothingToDo), unknown).commands.map(\.name).contains(.closeServer))
    }

    /// The look that asked may be older than the mark of a rebuild: it is looked for once more, under the lock.
    @Test func aServerThatMayBeHalfACopyIsNotOpenedByARollback() {
        let plan = OperationPlan(.abort(.nothingToDo), context(.routerLed, .recover, ledger: .a))
        #expect(plan.commands.map(\.name).prefix(3) == [.lockServer, .reopenUnmarked, .unlockServer])
        #expect(!plan.commands.map(\.name).contains(.liftReadOnly))
    }

    private func names(_ step: Step, _ context: OperationContext) -> [Command.Name] {
        OperationPlan(step, context).commands.map(\.name)
    }

    /// What only quorum mode does: semi-synchronous replication, and the count of rebuilds.
    @Test func routerLedModeLeavesSemiSyncAlone() {
        let quorum: Set<Command.Name> = [
            .requireNothingErrant, .disableSemiSync, .disableSemiSyncWhenAgreed, .noteRebuild,
        ]
        for step in Self.repairs[1...2] {
            let own = Set(names(step, context(.quorum, .recover, ledger: .a)))
            let common = Set(names(step, context(.routerLed, .recover, ledger: .a)))
            #expect(own.subtracting(common).isSubset(of: quorum) && common.isSubset(of: own), "\(step)")
            #expect(common.isDisjoint(with: quorum) && own.contains(.disableSemiSync), "\(step)")
        }
        let rebuild = Set(names(Self.repairs[2], context(.quorum, .recover, ledger: .a)))
        #expect(rebuild.isSuperset(of: [.disableSemiSyncWhenAgreed, .noteRebuild]))
    }

    /// At the end in quorum mode the other server is touched only to clear an old ledger off it, and never the primary.
    @Test func anOldLedgerIsClearedOffADeposedServerOnly() {
        func end(_ joined: ServerID, _ other: ServerFacts) -> [Command.Name] {
            var context = context(.quorum, .recover, ledger: joined) { $0[joined.other] = .up(other) }
            context.primary = .a
            return names(.terminate(missing: [], keepClosed: true), context)
        }
        let rows = [LedgerRow(id: 1, signal: .scan(host: "web1"), agent: "web1")]
        func facts(_ id: ServerID, _ ledger: [LedgerRow]?, closed: Bool = false) -> ServerFacts {
            Fixture.facts(id) { ($0.ledger, $0.readOnly, $0.superReadOnly) = (ledger, closed, closed) }
        }
        #expect(end(.a, facts(.b, nil)) == [.clearLedger, .leave])
        #expect(
            end(.a, facts(.b, rows)) == [
                .lockServer, .fenceWrites, .clearStaleLedger, .closeServer, .unlockServer, .clearLedger, .leave,
            ])
        #expect(!end(.a, facts(.b, rows, closed: true)).contains(.fenceWrites))
        #expect(end(.b, facts(.a, rows)) == [.clearLedger, .closeServer, .leave])
    }

    /// In router-led mode it takes writes again at the end, where it answers and an operation was announced.
    @Test func theOtherServerIsOpenedAtTheEndOfAnOperationOnly() {
        let end = Step.terminate(missing: [], keepClosed: false)
        #expect(names(end, context(.routerLed)).contains(.liftReadOnly))
        #expect(!names(end, context(.routerLed) { $0.a = .downSoft("silent") }).contains(.liftReadOnly))
        var scanned = context(.routerLed)
        scanned.ledger = Ledger(server: .b, rows: [LedgerRow(id: 1, signal: .scan(host: "web1"), agent: "web1")])
        #expect(names(end, scanned) == [.clearLedger, .leave])
        #expect(!names(.abort(.nothingToDo), scanned).contains(.reopenUnmarked))
    }

    /// Another agent goes on in a higher epoch with a promotion that is on record already; an older one, or one of the other
    /// server, is none of this operation's.
    @Test func aPromotionOnRecordIsGoneThroughWithInItsOwnEpoch() {
        func recordedIn(_ promotion: Promotion?) -> UInt64? {
            var context = context(.quorum) { seen in
                seen.b = .up(
                    Fixture.facts(.b) {
                        $0.channels = [Fixture.channel(from: .a)]
                        $0.promotion = promotion
                    })
            }
            context.ledger?.rows.append(
                LedgerRow(id: 3, signal: .mast(host: "web2"), agent: "web2", epoch: 5, session: 9))
            for case .requireApplied(_, let epoch, _) in OperationPlan(
                .promoteWithoutSource(.b, reason: .onRecord), context
            ).commands { return epoch }
            return nil
        }
        let new = recordedIn(nil)
        #expect(recordedIn(Promotion(epoch: 4, primary: Fixture.uuidB)) == 4)
        #expect(recordedIn(Promotion(epoch: 3, primary: Fixture.uuidB)) == 3)
        #expect(recordedIn(Promotion(epoch: 2, primary: Fixture.uuidB)) == new)
        #expect(recordedIn(Promotion(epoch: 4, primary: Fixture.uuidA)) == new)
        #expect(new != 4 && new != 3)
    }

    @Test func everyCommandBelongsToAPlan() {
        var names: Set<Command.Name> = []
        for mode in Self.modes {
            for (_, _, plan) in plans(mode) { names.formUnion((plan.commands + plan.onFailure).map(\.name)) }
        }
        for step: Step in [
            .disableSemiSync(.a), .enableSemiSync(.a), .disableSemiSyncOnReplica(.b), .startClosed(.a),
            .fenceCommand(.a),
        ] { names.formUnion(OperationPlan(step, context(.quorum)).commands.map(\.name)) }
        // A primary that a majority has given up: a read lock there keeps no agent from announcing itself.
        let lost = context(.quorum) {
            $0.b = .up(
                Fixture.facts(.b) {
                    var quorum = QuorumFacts()
                    quorum.dead = AgentSet([0, 1])
                    $0.quorum = quorum
                })
        }
        names.formUnion(OperationPlan(.scan(on: .b), lost).commands.map(\.name))
        var offline = context(.quorum) { $0.b = .up(Fixture.facts(.b) { $0.isOffline = true }) }
        offline.admitted[.a] = true
        names.formUnion(OperationPlan(.open(.b), offline).commands.map(\.name))
        #expect(Set(Command.Name.allCases).subtracting(names) == [])
    }

    /// Before the server becomes half a copy, and by the name that the policy counts.
    @Test func aRebuildIsOnRecordBeforeItBegins() throws {
        let plan = OperationPlan(
            .rebuild(.b, from: .a, why: .replicationBroken("")),
            context(.quorum, .recover, ledger: .a) {
                $0.a = .up(Fixture.facts(.a) { $0.promotion = Promotion(epoch: 7, primary: Fixture.uuidA) })
                $0.b = .up(Fixture.facts(.b) { $0.channels = [Fixture.channel(from: .a) { $0.applierErrno = 1062 }] })
            })
        let names = plan.commands.map(\.name)
        let note = try #require(plan.commands.first { $0.name == .noteRebuild })
        #expect(note == .noteRebuild(.b, on: .a, epoch: 3, cause: "b.replication-broken.1062.7"))
        #expect(try #require(names.firstIndex(of: .noteRebuild)) < #require(names.firstIndex(of: .markForRebuild)))
    }
}
