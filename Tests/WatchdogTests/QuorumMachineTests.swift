import MySQLWire
import Testing

@testable import Watchdog

@Suite("The loop of quorum mode as a machine")
struct QuorumMachineTests {
    typealias Command = QuorumMachine.Command

    /// One agent whose commands are answered at once, unless a test answers them itself.
    struct Host {
        var machine: QuorumMachine
        var now: Int64 = 0
        var a: ServerView? = .up(QuorumPolicyTests.primary())
        var b: ServerView? = .up(QuorumPolicyTests.replica())
        var pong: PerServer<Int64> = [.a: 0, .b: 0]
        var diskTakes = true
        var routerClosed = false
        /// What the ledger session holds.
        var status = LocalStatus(agent: "web1")

        /// The failover attempt whose fence command was run.
        var fenced: (epoch: UInt64, done: Bool)?
        var hanging: (on: ServerID, since: Int64)?

        init(_ durable: DurableState = DurableState(), _ change: (inout QuorumRules) -> Void = { $0.bound = true }) {
            let policy = QuorumPolicyTests.Scene(change, durable: durable).policy
            machine = QuorumMachine(policy: policy, written: durable)
        }

        /// One round, and every command of it in order.
        mutating func round(after time: Int64 = 1_000) -> [Command] {
            now += time
            return follow(machine.handle(.begin, at: now))
        }

        mutating func follow(_ first: [Command]) -> [Command] {
            var commands = first
            var next = 0
            while next < commands.count {
                commands += answer(commands[next])
                next += 1
            }
            return commands
        }

        private mutating func answer(_ command: Command) -> [Command] {
            switch command {
            case .probe: []
            case .listen(let time): listen(time)
            case .describe(let asks):
                machine.handle(
                    .described(
                        QuorumMachine.LocalView(
                            status: asks ? status : nil, pong: pong, router: .leadsTo(uuid: Fixture.uuidA),
                            routerClosed: routerClosed, routerFailed: false, hanging: hanging, fenced: fenced)), at: now
                )
            case .giveBackLocks: machine.handle(.gaveBackLocks, at: now)
            case .write: machine.handle(.written(diskTakes), at: now)
            case .takeLocks: machine.handle(.tookLocks, at: now)
            default: []
            }
        }

        /// The servers that say something do so; then the time is over.
        private mutating func listen(_ time: Int64) -> [Command] {
            for id in ServerID.allCases {
                guard let view = id == .a ? a : b else { continue }
                let next = machine.handle(.answered(id, view), at: now)
                if !next.isEmpty { return next }
            }
            now += time
            return machine.handle(.listened, at: now)
        }
    }

    /// A replica on which something is to be done: its own commits would wait.
    static let waiting = ServerView.up(QuorumPolicyTests.replica { $0.quorum?.semiSync.enabled = true })
    static let quiet: [Command] = [.probe(.a), .probe(.b), .listen(40), .describe(asksSession: true), .giveBackLocks]
    static let ending: [Command] = [
        .takeLocks, .pointRouter(.a, uuid: Fixture.uuidA), .report(isIdle: true), .leave, .rest(1_000),
    ]

    @Test("a quiet round: look, locks, lease, router, rest; what it learns first goes to disk before all of that")
    func aQuietRound() {
        var host = Host()
        #expect(host.round() == Self.quiet + [.write, .lease(until: 4_000)] + Self.ending)
        #expect(host.round() == Self.quiet + [.lease(until: 5_000)] + Self.ending)
        #expect(host.machine.orders.locks.seesPrimary == .a)
    }

    @Test("how far the primary was seen is written after five seconds, for nothing rests on it")
    func whatMayBeLostIsWrittenSeldom() {
        var host = Host()
        _ = host.round()
        host.a = .up(QuorumPolicyTests.primary { $0.executed = GTIDSet("\(Fixture.uuidA):1-11") ?? GTIDSet() })
        #expect(!host.round(after: 5_000).contains(.write))
        #expect(host.round(after: 1).contains(.write))
    }

    @Test("a full disk: no lock, no step, no way to elsewhere; a router that is right stays, on its own lease")
    func whatIsNotOnDiskIsNotPromised() {
        var host = Host()
        host.diskTakes = false
        // Nothing on disk says where a router of an earlier life may lead: it is left for one lease.
        #expect(
            host.round() == Self.quiet + [
                .write, .lease(until: 4_000), .giveBackLocks, .report(isIdle: true), .leave, .rest(1_000),
            ])
        #expect(
            host.round() == Self.quiet + [.write, .giveBackLocks, .report(isIdle: true), .leave, .rest(1_000)])
        #expect(host.machine.orders.locks == Orders.Locks())
        #expect(host.machine.orders.step == .none(.stateNotWritten))

        host.diskTakes = true
        _ = host.round()
        host.diskTakes = false
        // A new primary is on record: its path is not opened, and the old one's lease is not drawn out for it.
        let promotion = Promotion(epoch: 3, primary: Fixture.uuidB)
        host.a = .up(
            QuorumPolicyTests.primary {
                ($0.superReadOnly, $0.readOnly) = (true, true)
                $0.promotion = promotion
            })
        host.b = .up(
            QuorumPolicyTests.primary {
                $0.uuid = Fixture.uuidB
                $0.promotion = promotion
            })
        let commands = host.round()
        #expect(host.machine.policy.lease.server == .b)
        #expect(!commands.contains { if case .pointRouter = $0 { true } else { false } })
        #expect(!commands.contains { if case .lease(until: _?) = $0 { true } else { false } })
        host.diskTakes = true
        #expect(host.round().contains(.pointRouter(.b, uuid: Fixture.uuidB)))
    }

    @Test("a full disk does not close the router of a healthy primary")
    func aFullDiskKeepsTheServiceUp() {
        var host = Host()
        _ = host.round()
        host.diskTakes = false
        // What the agent knows of the replication changes.
        host.a = .up(QuorumPolicyTests.primary { $0.quorum?.semiSync.active = false })
        let commands = host.round()
        #expect(commands.contains(.write))
        #expect(commands.contains(.lease(until: host.now + 3_000)))
        #expect(commands.contains(.pointRouter(.a, uuid: Fixture.uuidA)))
    }

    @Test("a process that begins on a full disk keeps the router on the primary that the disk names")
    func aNewProcessOnAFullDisk() {
        var durable = DurableState()
        (durable.primary, durable.uuids[.a], durable.uuids[.b]) = (Fixture.uuidA, Fixture.uuidA, Fixture.uuidB)
        var host = Host(durable)
        host.diskTakes = false
        for _ in 0..<3 {
            let commands = host.round()
            #expect(commands.contains(.write))
            #expect(commands.contains(.lease(until: host.now + 3_000)))
            #expect(commands.contains(.pointRouter(.a, uuid: Fixture.uuidA)))
        }
    }

    @Test("a lease that nobody needs, for the primary's process is gone, has an end all the same")
    func aNeedlessLeaseHasAnEnd() {
        var host = Host()
        _ = host.round()
        host.a = .downHard("refused")
        host.b = .up(QuorumPolicyTests.replica { $0.channels[0].receiver = .connecting })
        host.pong[.a] = nil
        for _ in 0..<10 where !host.machine.policy.lease.isNeedless { _ = host.round(after: 300) }
        #expect(host.machine.policy.lease.isNeedless)
        #expect(host.round(after: 300).contains(.lease(until: host.now + 7_000)))
    }

    @Test("a server is told to start closed once in a minute; what else is kept on the servers is not held up by that")
    func startingClosed() {
        var host = Host()
        host.a = .up(QuorumPolicyTests.primary { $0.quorum?.bootsClosed = false })
        let first = host.round()
        #expect(first.suffix(3) == [.report(isIdle: true), .begin(.startClosed(.a)), .rest(60)])
        #expect(host.machine.handle(.stepEnded(true), at: host.now) == [.wake])
        #expect(host.round(after: 59_999).suffix(3) == [.report(isIdle: true), .leave, .rest(1_000)])
        #expect(host.round(after: 1).contains(.begin(.startClosed(.a))))
        #expect(host.round().contains(.report(isIdle: false)))
    }

    @Test("closing the router waits neither for the disk nor for a lock")
    func closingComesFirst() throws {
        var host = Host()
        _ = host.round()
        host.a = .downSoft("silent")
        host.pong[.a] = nil
        var commands: [Command] = []
        for _ in 0..<8 where !commands.contains(.closeRouter) { commands = host.round() }
        let close = try #require(commands.firstIndex(of: .closeRouter))
        let giveBack = try #require(commands.firstIndex(of: .giveBackLocks))
        #expect(close < giveBack && commands[close - 1] == .lease(until: nil))
        #expect(!commands.contains { if case .lease(until: _?) = $0 { true } else { false } })
    }

    @Test("what took so long that the lease is over opens no router")
    func aLateRoundOpensNothing() {
        var host = Host()
        _ = host.round()
        var commands = host.machine.handle(.begin, at: 2_000)
        #expect(commands == [.probe(.a), .probe(.b), .listen(40)])
        host.now = 2_000
        _ = host.machine.handle(.answered(.a, .up(QuorumPolicyTests.primary())), at: 2_001)
        commands = host.machine.handle(.answered(.b, .up(QuorumPolicyTests.replica())), at: 2_002)
        #expect(commands == [.describe(asksSession: true)])
        commands = host.machine.handle(
            .described(
                .init(
                    status: host.status, pong: host.pong, router: .noAnswer(""), routerClosed: false,
                    routerFailed: false)), at: 2_003)
        #expect(host.machine.orders.router == .point(to: .a))
        #expect(host.machine.handle(.gaveBackLocks, at: 2_004) == [.lease(until: 5_000), .takeLocks])
        // A lock session that does not answer.
        #expect(host.machine.handle(.tookLocks, at: 5_000) == [.report(isIdle: true), .leave, .rest(10)])
    }

    @Test("a server that was silent is not waited for; its answer counts from when it was asked")
    func aLateAnswerCountsFromItsQuestion() throws {
        var host = Host()
        _ = host.round()
        host.b = .downSoft("silent")
        _ = host.round()
        host.b = nil
        var commands = host.round()
        #expect(commands.prefix(4) == [.probe(.a), .probe(.b), .listen(40), .describe(asksSession: true)])
        let asked = host.now - 40
        #expect(host.machine.observation.map { if case .downSoft = $0.seen[.b] { true } else { false } } == true)
        #expect(host.machine.observation?.askedAt == asked)
        // Its question is under way still: it is not asked again, and the answer is old when it is taken.
        #expect(host.machine.handle(.answered(.b, .up(QuorumPolicyTests.replica())), at: host.now + 500).isEmpty)
        host.a = nil
        commands = host.machine.handle(.begin, at: host.now + 1_000)
        #expect(commands == [.probe(.a), .listen(40)])
        commands = host.machine.handle(.answered(.a, .up(QuorumPolicyTests.primary())), at: host.now + 1_001)
        #expect(commands == [.describe(asksSession: true)])
        host.now += 1_001
        _ = host.follow(commands)
        #expect(host.machine.observation?.askedAt == asked)
        #expect(host.machine.observation?.seen.facts(.b) != nil)
    }

    @Test("a server that answered the last time is waited for, and not so long that the lease is eaten up")
    func oneThatAnsweredIsWaitedFor() {
        var host = Host()
        _ = host.round()
        var commands = host.machine.handle(.begin, at: 2_000)
        #expect(commands == [.probe(.a), .probe(.b), .listen(40)])
        _ = host.machine.handle(.answered(.a, .up(QuorumPolicyTests.primary())), at: 2_001)
        #expect(host.machine.handle(.listened, at: 2_040) == [.listen(960)])
        // Nothing else begins a round meanwhile.
        #expect(host.machine.handle(.begin, at: 2_900).isEmpty)
        commands = host.machine.handle(.listened, at: 3_000)
        #expect(commands == [.describe(asksSession: true)])
        host.now = 3_000
        #expect(host.follow(commands).contains(.lease(until: 5_000)))
        #expect(host.machine.observation?.seen.facts(.b) == nil)
        // One that comes within that time counts at once.
        var other = Host()
        _ = other.round()
        _ = other.machine.handle(.begin, at: 2_000)
        _ = other.machine.handle(.answered(.a, .up(QuorumPolicyTests.primary())), at: 2_001)
        _ = other.machine.handle(.listened, at: 2_040)
        #expect(
            other.machine.handle(.answered(.b, .up(QuorumPolicyTests.replica())), at: 2_900)
                == [.describe(asksSession: true)])
    }

    @Test("while a step is under way, and in the round that knew nothing of its end, no step begins")
    func oneStepAtATime() throws {
        var host = Host()
        _ = host.round()
        host.b = Self.waiting
        var commands = host.round(after: 300)
        let step = Step.disableSemiSyncOnReplica(.b)
        #expect(commands.suffix(2) == [.begin(step), .rest(60)])
        #expect(host.machine.isBusy)
        let busy = host.round(after: 300)
        #expect(busy.contains(.describe(asksSession: false)))
        #expect(!busy.contains(.begin(step)) && !busy.contains(.leave))
        // It ends in the middle of a round that has not asked its session.
        host.now += 300
        commands = host.machine.handle(.begin, at: host.now)
        #expect(commands.first == .probe(.a))
        _ = host.machine.handle(.answered(.a, .up(QuorumPolicyTests.primary())), at: host.now)
        #expect(
            host.machine.handle(.answered(.b, Self.waiting), at: host.now) == [.describe(asksSession: false)])
        #expect(host.machine.handle(.stepEnded(true), at: host.now) == [.wake])
        let rest = host.follow([.describe(asksSession: false)])
        #expect(!rest.contains { if case .begin = $0 { true } else { false } })
        #expect(host.round().contains { if case .begin = $0 { true } else { false } })
    }

    @Test("a step that failed is tried again after a moment; after three failures the agent gives its part up")
    func failuresInARow() throws {
        var host = Host()
        _ = host.round()
        host.b = Self.waiting
        var failures: [[Command]] = []
        for _ in 0..<3 {
            #expect(host.round(after: 300).contains(.begin(.disableSemiSyncOnReplica(.b))))
            failures.append(host.machine.handle(.stepEnded(false), at: host.now))
            #expect(host.machine.isBusy)
            #expect(host.machine.handle(.cooledDown, at: host.now) == [.wake])
        }
        #expect(failures == [[.coolDown(200)], [.coolDown(200)], [.leave, .coolDown(0)]])
    }

    @Test("a lock session is opened where a server answers and none is there")
    func lockSessionsAreOpened() {
        var host = Host()
        host.pong = PerServer()
        #expect(
            host.round().filter { if case .openLockSession = $0 { true } else { false } } == [
                .openLockSession(.a), .openLockSession(.b),
            ])
        host.pong = [.a: 0]
        host.b = .refusing("full")
        #expect(!host.round().contains { if case .openLockSession = $0 { true } else { false } })
    }

    @Test("a primary that greets nobody new is stalled from the first look that saw it")
    func aPrimaryThatGreetsNobodyIsStalled() {
        var host = Host()
        _ = host.round()
        host.a = .up(QuorumPolicyTests.primary { $0.quorum?.login = .notGreeted("the deadline passed") })
        _ = host.round()
        #expect(host.machine.observation?.stall?.time == 0)
        _ = host.round()
        #expect(host.machine.observation?.stall?.on == .a && host.machine.observation?.stall?.time == 1_000)
        host.a = .up(QuorumPolicyTests.primary())
        _ = host.round()
        #expect(host.machine.observation?.stall == nil)
    }

    @Test("writes that hang are a stall, for as long as they have hung")
    func writesThatHang() {
        var host = Host()
        _ = host.round()
        #expect(host.machine.observation?.stall == nil)
        host.hanging = (.a, 500)
        _ = host.round()
        #expect(host.machine.observation?.stall?.on == .a && host.machine.observation?.stall?.time == host.now - 500)
    }

    @Test("what a fence command has done counts for the failover attempt that it was run for")
    func aFenceCommandCountsForItsAttempt() {
        var durable = DurableState()
        (durable.primary, durable.sync) = (Fixture.uuidA, true)
        durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
        durable.promise = .init(epoch: 3, on: .b)
        var host = Host(durable) {
            $0.maxLost = 1_000
            $0.fenceCommand = true
        }
        host.a = .downHard("refused")
        host.pong[.a] = nil
        host.b = .up(
            QuorumPolicyTests.replica(votes: [0, 1], receiver: .off) {
                $0.ledger = QuorumLeadTests.rows(.failover, on: .b, followers: ["web2"])
            })
        host.status = QuorumLeadTests.leader(on: .b)
        func begun() -> Step? {
            var begun: Step?
            for case .begin(let step) in host.round(after: 100) {
                begun = step
                _ = host.machine.handle(.stepEnded(true), at: host.now)
            }
            return begun
        }
        _ = begun()
        #expect(begun() == .fenceCommand(.a))
        let epoch = host.machine.observation?.seen.activeLedger?.master?.epoch ?? 0
        host.fenced = (epoch - 1, true)
        #expect(begun() == .fenceCommand(.a))
        host.fenced = (epoch, true)
        guard case .promoteWithoutSource(.b, _)? = begun() else {
            Issue.record("\(host.machine.orders.step)")
            return
        }
    }

    @Test("what a server was asked before a step had ended leads to no other step: it is looked at again first")
    func theWorldIsLookedAtAgainAfterEachStep() {
        func begun(_ commands: [Command]) -> Bool {
            commands.contains { if case .begin = $0 { true } else { false } }
        }
        var host = Host()
        host.b = Self.waiting
        #expect(begun(host.round()))
        // b has answered, a has not, when the step ends.
        _ = host.machine.handle(.begin, at: host.now)
        _ = host.machine.handle(.answered(.b, Self.waiting), at: host.now)
        host.now += 5
        #expect(host.machine.handle(.stepEnded(true), at: host.now) == [.wake])
        let late = host.follow(host.machine.handle(.answered(.a, .up(QuorumPolicyTests.primary())), at: host.now))
        #expect(!begun(late) && late.contains { if case .rest(let time) = $0 { time <= 60 } else { false } })
        #expect(begun(host.round(after: 20)))
    }

    @Test("a look that was asked for before the master's row was written does not end its promise")
    func aPromiseIsNotEndedByALookOfBefore() {
        var durable = DurableState()
        (durable.primary, durable.sync) = (Fixture.uuidA, true)
        durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
        var host = Host(durable)
        host.a = .downHard("refused")
        host.pong[.a] = nil
        let scan = LedgerRow(id: 1, signal: .scan(host: "web1"), agent: "web1", session: 9)
        let announced = ServerView.up(
            QuorumPolicyTests.replica(votes: [0, 1], receiver: .off) { $0.ledger = [scan] })
        host.b = announced
        host.status = QuorumLeadTests.leader(on: .b)
        for _ in 0..<6 where host.machine.orders.step != .master(on: .b) {
            _ = host.machine.handle(.stepEnded(true), at: host.now)
            _ = host.round(after: 500)
        }
        #expect(host.machine.orders.step == .master(on: .b))
        let promise = host.machine.policy.durable.promise
        #expect(promise?.on == .b)
        // While it is written, and after that by an answer to a question of before; the primary answers again meanwhile.
        host.a = .up(QuorumPolicyTests.primary())
        _ = host.round(after: 10)
        #expect(host.machine.policy.durable.promise == promise)
        _ = host.machine.handle(.begin, at: host.now)
        _ = host.machine.handle(.answered(.b, announced), at: host.now)
        host.now += 5
        _ = host.machine.handle(.stepEnded(true), at: host.now)
        _ = host.follow(host.machine.handle(.answered(.a, .up(QuorumPolicyTests.primary())), at: host.now))
        #expect(host.machine.policy.durable.promise == promise && host.machine.orders.locks.seesPrimary == nil)
        // Asked after it, the same answer says that there is no attempt.
        host.status = LocalStatus(agent: "web1")
        _ = host.round(after: 10)
        #expect(host.machine.policy.durable.promise == nil)
    }
}
