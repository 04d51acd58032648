import Logging
import MySQLWire
import Synchronization

/// The loop of quorum mode: look, ask `QuorumPolicy`, carry its orders out. Whatever takes longer than a look (the
/// router, a rebuild) goes on beside it, so that votes and leases are kept up meanwhile.
actor QuorumLoop {
    private let configuration: Configuration
    private let logger: Logger
    private let rules: QuorumRules
    private let looks: PerServer<ServerLook>
    private let participation: Participation
    private let executor: Executor
    private let controller: RouterController
    private let durableFile: DurableStateWriter
    private var policy: QuorumPolicy
    private var written: DurableState
    private var writtenAt = ContinuousClock.now
    private var pendingProbes: [ServerID: PendingProbe] = [:]
    private var silent: [ServerID: ServerView] = [:]
    private var recorded: [ServerID: Bool] = [:]
    private var closingTried = Deadline.after(.zero)
    private var listsAsked: [ServerID: Deadline] = [:]
    private var lockSessions: [ServerID: LockSession] = [:]
    private var pingers: [ServerID: Task<Void, Never>] = [:]
    private var opening: [ServerID: Task<Void, Never>] = [:]
    private let started = ContinuousClock.now
    private let wake: WakeSignal
    /// Making the agents' tables, and when that may be tried again.
    private var events: (task: Task<Void, Never>?, next: Deadline) = (nil, .after(.seconds(2)))
    private var tables: (task: Task<Void, Never>?, next: Deadline) = (nil, .after(.zero))
    private var lastStep: Step?
    private var lastState: String?
    private var fenced: (epoch: UInt64, done: Bool)?
    private var runningStep: Task<Void, Never>?
    private var backoff = StepBackoff.quorum
    private let leaseGuard: LeaseGuard
    private let writes: WriteProbe
    private var hung: ServerID?
    /// Since when a server that answers an older session has greeted no new one.
    private var closedToNew: [ServerID: (trouble: LoginTrouble, since: ContinuousClock.Instant)] = [:]
    private var toldClosedToNew: [ServerID: LoginTrouble] = [:]
    private var lastStanding: LocalStatus

    /// Looks follow each other this closely while something is under way.
    private static let quick = Duration.milliseconds(60)

    /// - Parameter lease: the end of that by which the router is open already.
    init(
        configuration: Configuration, logger: Logger, lease: ContinuousClock.Instant? = nil
    ) throws(AgentError) {
        self.configuration = configuration
        self.logger = logger
        let rules = QuorumRules(configuration)
        self.rules = rules
        let probe = QuorumProbe(configuration)
        let timeout = configuration.agent.probeTimeout
        looks = [.a: ServerLook(probe, timeout: timeout), .b: ServerLook(probe, timeout: timeout)]
        let router = LocalRouter(configuration: configuration)
        executor = Executor(configuration: configuration, router: router, logger: logger)
        participation = Participation(configuration: configuration, executor: executor, logger: logger)
        let wake = WakeSignal()
        self.wake = wake
        controller = RouterController(configuration, router, logger) { wake.raise() }
        leaseGuard = LeaseGuard(controller)
        leaseGuard.set(lease)
        writes = WriteProbe(configuration)
        lastStanding = LocalStatus(agent: configuration.agent.name)
        let file = DurableStateFile(directory: configuration.workingDirectory, mode: .quorum)
        durableFile = DurableStateWriter(file)
        written = try file.read()
        policy = QuorumPolicy(
            rules: rules, configuration: configuration, durable: written.under(ConfigurationDigest(configuration).own))
    }

    /// - Parameter leaving: ends it too, as soon as no step is under way.
    /// - Returns: the end of the lease by which the router is open; nil while it needs none.
    @discardableResult
    func untilCancelled(or leaving: Flag = Flag()) async -> ContinuousClock.Instant? {
        let leaseGuard = leaseGuard
        let writes = writes
        let watching = Task { await leaseGuard.watch() }
        let writing = Task { await writes.watch() }
        let asking = Task { await controller.ask() }
        while !Task.isCancelled, !leaving.isUp || runningStep != nil {
            let began = ContinuousClock.now
            let urgent = await round()
            let rest = (urgent ? Self.quick : configuration.agent.interval) - began.duration(to: .now)
            await wake.wait(max(rest, .milliseconds(10)))
        }
        runningStep?.cancel()
        await runningStep?.value
        for task in [tables.task, events.task] {
            task?.cancel()
            await task?.value
        }
        writing.cancel()
        await writing.value
        await asking.value
        await controller.rest()
        await participation.leave()
        for id in ServerID.allCases { await looks[id]?.close() }
        for lockSession in lockSessions.values { lockSession.close() }
        for pinger in pingers.values { pinger.cancel() }
        watching.cancel()
        await watching.value
        return leaseGuard.end
    }

    private func clock(_ instant: ContinuousClock.Instant = .now) -> Int64 {
        started.duration(to: instant).milliseconds
    }

    // MARK: One round

    private func round() async -> Bool {
        for id in ServerID.allCases where pendingProbes[id] == nil { pendingProbes[id] = look(at: id) }
        let (a, askedA) = await take(.a)
        let (b, askedB) = await take(.b)
        let seen = await Observation(a: a, b: b, router: controller.view)
        let observation = TimedObservation(
            seen: seen, askedAt: min(askedA, askedB), now: clock(), pongA: lockSessions[.a]?.pong.map { clock($0) },
            pongB: lockSessions[.b]?.pong.map { clock($0) }, routerClosed: await controller.isClosed,
            stall: stall(seen))
        var standing = lastStanding
        // What is decided without knowing what this agent holds now is not done, even if the step has ended meanwhile.
        let busy = runningStep != nil
        if !busy {
            standing = LocalStatus(agent: configuration.agent.name)
            await participation.describe(&standing)
            lastStanding = standing
        }
        standing.routerFailed = await controller.failed
        if let epoch = seen.activeLedger?.master?.epoch, fenced?.epoch == epoch { standing.fenced = fenced?.done }
        openLockSessions(seen)

        var orders = policy.decide(observation, standing)
        // The disk may be slow, and others must not count a lock meanwhile that this agent would not take now.
        if isToBeWritten(policy.durable) { await giveBack(orders.locks) }
        do {
            try await remember(policy.durable)
        } catch {
            // What is not on disk is not promised: nothing that rests on it may be done.
            logger.log(.stateNotWritten, ["error": "\(error)"])
            orders.step = .none(.stateNotWritten)
            orders.locks = .init()
        }
        let primary = policy.primary
        writes.aim(at: primary.flatMap { seen.facts($0)?.readOnly == false ? $0 : nil })
        leaseGuard.set(
            orders.router == .close || policy.lease.isNeedless
                ? nil : started.advanced(by: .milliseconds(policy.lease.until)))
        await giveBack(orders.locks)
        if orders.router == .close { await controller.close() }
        await take(orders.locks)
        // Disk and locks may have taken their time: the lease was reckoned before.
        if case .point(let id) = orders.router, clock() < policy.lease.until, let uuid = seen.facts(id)?.uuid {
            await controller.point(to: id, uuid: uuid)
        }
        report(observation, orders)
        keepTables(observation)
        keepEvents(observation)
        let acted = busy ? false : await carryOut(orders.step, observation)
        return orders.urgent || acted
    }

    /// The primary's writes hang, or nobody new is greeted there, which is as good as hanging for an application.
    private func stall(_ seen: Observation) -> (ServerID, Int64)? {
        for id in ServerID.allCases {
            guard let trouble = seen.facts(id)?.quorum?.login else {
                closedToNew[id] = nil
                continue
            }
            closedToNew[id] = (trouble, closedToNew[id]?.since ?? .now)
        }
        if let hanging = writes.hanging { return (hanging.server, clock() - clock(hanging.since)) }
        guard let primary = policy.primary, let new = closedToNew[primary], case .notGreeted = new.trouble else {
            return nil
        }
        return (primary, clock() - clock(new.since))
    }

    /// A question to one server that is under way.
    private struct PendingProbe {
        let asked: Int64
        let answer = Answer()
        var task: Task<Void, Never>?

        final class Answer: Sendable {
            private let box = Mutex<ServerView?>(nil)
            var view: ServerView? { box.withLock { $0 } }
            func put(_ view: ServerView) { box.withLock { $0 = view } }
        }
    }

    private func look(at id: ServerID) -> PendingProbe {
        var pending = PendingProbe(asked: clock())
        guard let look = looks[id] else { return pending }
        let answer = pending.answer
        let options = configuration.connectionOptions(configuration.servers[id])
        let lists = (listsAsked[id] ?? .after(.zero)).hasPassed
        if lists { listsAsked[id] = .after(.seconds(5)) }
        let about = QuorumProbe.About(
            recorded: recorded[id] ?? false, member: policy.durable.uuids[id] ?? "",
            members: Set(ServerID.allCases.compactMap { policy.durable.uuids[$0] }), lists: lists,
            foreign: policy.durable.foreign)
        pending.task = Task { answer.put(await look.look(options, about)) }
        return pending
    }

    /// What a server says. One that was silent the last time is not waited for: what it says counts when it comes, from
    /// the moment when it was asked, and until then it is silent still.
    private func take(_ id: ServerID) async -> (ServerView, Int64) {
        guard let pending = pendingProbes[id] else { return (.downSoft("not asked"), clock()) }
        if let last = silent[id] {
            let end = Deadline.after(.milliseconds(40))
            while pending.answer.view == nil, !end.hasPassed { try? await Task.sleep(for: .milliseconds(4)) }
            guard pending.answer.view != nil else { return (last, clock()) }
        } else {
            await pending.task?.value
        }
        pendingProbes[id] = nil
        let view = pending.answer.view ?? .downSoft("no answer")
        if let quorum = view.facts?.quorum { recorded[id] = quorum.recorded }
        switch view {
        case .downSoft, .stalled: silent[id] = view
        case .up, .refusing, .downHard, .ownFault: silent[id] = nil
        }
        return (view, pending.asked)
    }

    /// Disk before deed; what may be lost (how far the primary was seen) only every few seconds.
    private func remember(_ durable: DurableState) async throws(AgentError) {
        guard isToBeWritten(durable) else { return }
        try await durableFile.write(durable)
        written = durable
        writtenAt = .now
    }

    private func isToBeWritten(_ durable: DurableState) -> Bool {
        durable.differsInPromises(from: written) || durable != written && writtenAt.duration(to: .now) > .seconds(5)
    }

    // MARK: Posts

    /// Opens a lock session where a server answers and none is held; beside the loop.
    private func openLockSessions(_ seen: Observation) {
        for id in ServerID.allCases {
            if let lockSession = lockSessions[id], lockSession.pong == nil {
                lockSessions[id] = nil
                pingers[id]?.cancel()
            }
            guard lockSessions[id] == nil, opening[id] == nil, seen.facts(id) != nil else { continue }
            opening[id] = Task { await self.open(id) }
        }
    }

    private func open(_ id: ServerID) async {
        defer { opening[id] = nil }
        do {
            guard
                let lockSession = try await LockSession.open(
                    configuration, id, logger: logger, deadline: .after(configuration.agent.probeTimeout))
            else {
                logger.log(.nameTaken, ["server": "\(executor.name(id))"])
                return
            }
            guard !Task.isCancelled, lockSessions[id] == nil else { return lockSession.close() }
            lockSessions[id] = lockSession
            let wake = wake
            pingers[id] = Task {
                await lockSession.ping()
                wake.raise()
            }
            wake.raise()
        } catch {
            logger.log(.lockSessionFailed, ["server": "\(executor.name(id))", "error": "\(error)"])
        }
    }

    private func wanted(_ locks: Orders.Locks, _ id: ServerID) -> Set<QuorumLocks.Kind> {
        var set: Set<QuorumLocks.Kind> = []
        if locks.seesPrimary == id { set.insert(.seesPrimary) }
        if locks.async == id { set.insert(.async) }
        if locks.voteOn == id, let vote = locks.vote { set.insert(vote == .unreachable ? .unreachable : .dead) }
        return set
    }

    /// Locks that are not wanted any more. A session that cannot give one back is closed: the server takes it.
    private func giveBack(_ locks: Orders.Locks) async {
        for (id, lockSession) in lockSessions {
            for kind in await lockSession.held.subtracting(wanted(locks, id)) {
                do { try await lockSession.hold(kind, false) } catch { lockSession.close() }
            }
        }
    }

    private func take(_ locks: Orders.Locks) async {
        for (id, lockSession) in lockSessions {
            for kind in wanted(locks, id).subtracting(await lockSession.held) {
                do {
                    try await lockSession.hold(kind, true)
                } catch {
                    logger.log(.lockNotTaken, ["lock": "\(kind)", "error": "\(error)"])
                }
            }
        }
    }

    // MARK: What is kept on the servers

    /// Beside the loop, and not more often than each minute: what keeps them from being made may last.
    private func keepTables(_ observation: TimedObservation) {
        guard tables.task == nil, tables.next.hasPassed, runningStep == nil,
            let primary = policy.tablesWanted(observation)
        else {
            return
        }
        tables = (Task { await self.makeTables(primary) }, .after(.seconds(60)))
    }

    /// Beside the loop too, and every ten seconds at most: what has changed since is not on record yet.
    private func keepEvents(_ observation: TimedObservation) {
        guard events.task == nil, events.next.hasPassed, runningStep == nil,
            let primary = policy.quietPrimary(observation)
        else {
            return
        }
        events = (Task { await self.listEvents(primary) }, .after(.seconds(10)))
    }

    private func listEvents(_ primary: ServerID) async {
        do {
            try await executor.keepEvents(primary)
        } catch {
            logger.log(.eventsNotListed, ["error": "\(error)"])
        }
        events.task = nil
    }

    private func makeTables(_ primary: ServerID) async {
        do {
            try await executor.makeTables(primary)
        } catch {
            logger.log(.tablesNotMade, ["error": "\(error)"])
        }
        tables.task = nil
    }

    // MARK: Steps

    /// - Returns: whether something was done, so that the next look should come at once.
    private func carryOut(_ step: Step, _ observation: TimedObservation) async -> Bool {
        guard runningStep == nil else { return false }
        switch step {
        case .none:
            await participation.leave()
            return false
        case .wait: return true
        default: if backoff.holdsBack(step, at: clock()) { return false }
        }
        let context = context(observation.seen)
        // Whatever a server makes of it, the loop goes on.
        runningStep = Task { await self.finish(step, context) }
        return true
    }

    /// What the plan of a step rests on.
    private func context(_ seen: Observation) -> OperationContext {
        var context = OperationContext(
            configuration, seen: seen, ledger: seen.activeLedger, nextEpoch: policy.nextEpochForMaster(seen))
        context.witness = Witness(executed: policy.durable.executed, sync: policy.durable.sync)
        context.primary = policy.primary
        context.foreign = policy.durable.foreign
        return context
    }

    private func finish(_ step: Step, _ context: OperationContext) async {
        await attempt(step, context)
        runningStep = nil
        wake.raise()
    }

    private func attempt(_ step: Step, _ context: OperationContext) async {
        do {
            switch step {
            case .disableSemiSync, .enableSemiSync, .disableSemiSyncOnReplica, .startClosed, .fenceCommand:
                for command in OperationPlan(step, context).commands { try await carryOut(command) }
            default: try await participation.perform(step, context)
            }
            backoff.succeeded(step, at: clock())
        } catch {
            logger.log(.stepFailed, ["step": "\(step)", "error": "\(error)"])
            if backoff.failed(at: clock()) {
                await participation.leave()
            } else {
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    /// Those that belong to no operation: over a lock session, or on this host.
    private func carryOut(_ command: Command) async throws(AgentError) {
        switch command {
        case .runFenceCommand(let server, let epoch): fenced = (epoch, await executor.fenceCommand(server))
        case .disableSemiSyncIfAgreed(let server):
            guard let lockSession = lockSessions[server] else { break }
            try await executor.disableSemiSync(server, lockSession: lockSession, foreign: policy.durable.foreign)
        case .enableSemiSyncIfOpen(let server):
            guard let lockSession = lockSessions[server] else { break }
            try await executor.enableSemiSync(server, lockSession: lockSession)
        case .disableSemiSyncIfClosed(let server):
            guard let lockSession = lockSessions[server] else { break }
            try await executor.disableSemiSyncOnReplica(server, lockSession: lockSession)
        case .persistClosedIfAllowed(let server):
            // Wanted, and no reason to hold anything else up: its privilege may be missing.
            guard closingTried.hasPassed, let lockSession = lockSessions[server] else { break }
            closingTried = .after(.seconds(60))
            await executor.startClosed(server, lockSession: lockSession)
        default: throw AgentError(.refused, "\(command.name) belongs to an operation")
        }
    }

    // MARK: Reports

    /// Writes that hang change no state by themselves: they are reported, and what follows is `stalled_after`.
    private func reportHang() {
        let now = writes.hanging?.server
        guard now != hung else { return }
        if let now {
            logger.log(
                .writesHang,
                [
                    "server": "\(executor.name(now))",
                    "remedy": "see its disks, the binary log's as well, and who holds a global read lock",
                ])
        } else if let hung {
            logger.log(.writesGoOn, ["server": "\(executor.name(hung))"])
        }
        hung = now
    }

    private func reportLogins() {
        for id in ServerID.allCases where closedToNew[id]?.trouble.kind != toldClosedToNew[id]?.kind {
            let trouble = closedToNew[id]?.trouble
            toldClosedToNew[id] = trouble
            if let trouble {
                logger.log(.loginsFail, ["server": "\(executor.name(id))", "why": "\(trouble.text)"])
            } else {
                logger.log(.loginsWork, ["server": "\(executor.name(id))"])
            }
        }
    }

    private func report(_ observation: TimedObservation, _ orders: Orders) {
        let diagnosis = policy.diagnosis(observation)
        if diagnosis.state.rawValue != lastState {
            lastState = diagnosis.state.rawValue
            logger.log(
                .state,
                [
                    "state": "\(diagnosis.state.rawValue)", "why": "\(diagnosis.evidence.joined(separator: "; "))",
                    "reason": "\(diagnosis.reason?.rawValue ?? "-")",
                ])
        }
        reportHang()
        reportLogins()
        guard orders.step.lasting != lastStep?.lasting else { return }
        lastStep = orders.step
        orders.step.log(to: logger)
    }
}
