import Logging
import MySQLWire

/// The loop of quorum mode: does what `QuorumMachine` says. Whatever takes longer than a look (the router, a rebuild)
/// goes on beside it, so that votes and leases are kept up meanwhile.
actor QuorumLoop {
    private let configuration: Configuration
    private let logger: Logger
    private let started: ContinuousClock.Instant
    private let wake: WakeSignal
    private let looks: QuorumLooks
    private let participation: Participation
    private let executor: Executor
    private let controller: RouterController
    private let lockSessions: LockSessions
    private let durableFile: DurableStateWriter
    private let writes: WriteProbe
    private var machine: QuorumMachine
    private var report: QuorumLog
    private var runningStep: Task<Void, Never>?
    private var fenced: (epoch: UInt64, done: Bool)?
    /// Making the agents' tables, listing the events, and when that may be tried again.
    private var tables: (task: Task<Void, Never>?, next: Deadline) = (nil, .after(.zero))
    private var events: (task: Task<Void, Never>?, next: Deadline) = (nil, .after(.seconds(2)))

    /// What a loop leaves to the one that goes on with another configuration.
    struct Handover: Sendable {
        /// The end of the lease by which the router is open; nil while it needs none.
        var lease: ContinuousClock.Instant?
        /// Of each server: a configuration that is read again, and again, must not keep this host out of a failover.
        var servers = PerServer<QuorumPolicy.Handover>()
    }

    init(configuration: Configuration, logger: Logger, handover: Handover = Handover()) throws(AgentError) {
        self.configuration = configuration
        self.logger = logger
        let (started, wake) = (ContinuousClock.now, WakeSignal())
        self.started = started
        self.wake = wake
        looks = QuorumLooks(configuration)
        let router = LocalRouter(configuration: configuration)
        executor = Executor(configuration: configuration, router: router, logger: logger)
        participation = Participation(configuration: configuration, executor: executor, logger: logger)
        controller = RouterController(configuration, router, logger, started: started, lease: handover.lease) {
            wake.raise()
        }
        lockSessions = LockSessions(configuration, logger) { wake.raise() }
        writes = WriteProbe(configuration)
        report = QuorumLog(executor, logger)
        let file = DurableStateFile(configuration)
        durableFile = DurableStateWriter(file)
        let written = try file.read()
        let policy = QuorumPolicy(
            rules: QuorumRules(configuration), configuration: configuration,
            durable: written.under(ConfigurationDigest(configuration).own), handed: handover.servers)
        machine = QuorumMachine(policy: policy, written: written)
    }

    /// - Parameter leaving: ends it too, as soon as no step is under way.
    @discardableResult
    func untilCancelled(or leaving: Flag = Flag()) async -> Handover {
        let leaseGuard = LeaseGuard(controller, isBound: configuration.router.bound, logger)
        let writes = writes
        let watching = Task { await leaseGuard.watch() }
        let writing = Task { await writes.watch() }
        await controller.start()
        while !Task.isCancelled, !leaving.isUp || machine.isBusy {
            let rest = await round()
            await wake.wait(.milliseconds(rest))
        }
        runningStep?.cancel()
        await runningStep?.value
        for task in [tables.task, events.task] {
            task?.cancel()
            await task?.value
        }
        writing.cancel()
        await writing.value
        await controller.rest()
        await participation.leave()
        await looks.close()
        await lockSessions.close()
        watching.cancel()
        await watching.value
        await controller.rest()
        return await Handover(lease: controller.handedLease, servers: machine.handover)
    }

    private func clock(_ instant: ContinuousClock.Instant = .now) -> Int64 {
        started.duration(to: instant).milliseconds
    }

    // MARK: Commands

    /// - Returns: how long to rest, in milliseconds.
    private func round() async -> Int64 {
        hear()
        var commands = machine.handle(.begin, at: clock())
        var rest: Int64 = 0
        var next = 0
        while next < commands.count {
            if case .rest(let time) = commands[next] { rest = time }
            commands += await perform(commands[next])
            next += 1
        }
        return rest
    }

    private func perform(_ command: QuorumMachine.Command) async -> [QuorumMachine.Command] {
        switch command {
        case .probe(let id):
            let seated = await lockSessions[id]?.pong != nil
            looks.begin(id, machine.policy.durable, seated: seated)
        case .listen(let time): return await listen(time)
        case .describe(let asksSession):
            let view = await describe(asksSession)
            return machine.handle(.described(view), at: clock())
        case .openLockSession(let id):
            await lockSessions.open(id, as: machine.orders.locks.isDouble ? .double : .present)
        case .giveBackLocks:
            await lockSessions.say(routerStuck: controller.hasFailed)
            await lockSessions.giveBack(machine.orders.locks)
            return machine.handle(.gaveBackLocks, at: clock())
        case .write:
            let fine = await write()
            return machine.handle(.written(fine), at: clock())
        case .takeLocks:
            await lockSessions.take(machine.orders.locks)
            return machine.handle(.tookLocks, at: clock())
        case .lease(let end): await controller.lease(until: end)
        case .closeRouter: await controller.close()
        case .pointRouter(let id, let uuid): await controller.point(to: id, uuid: uuid)
        case .report(let isIdle): tell(isIdle)
        case .begin(let step): begin(step)
        case .leave: await participation.leave()
        case .coolDown(let time):
            try? await Task.sleep(for: .milliseconds(time))
            return machine.handle(.cooledDown, at: clock())
        case .rest: break
        case .wake: wake.raise()
        }
        return []
    }

    // MARK: Look

    /// Takes in the answers that have come.
    private func hear() {
        for id in ServerID.allCases {
            // Nothing follows from an answer while no round listens.
            if let view = looks.take(id) { _ = machine.handle(.answered(id, view), at: clock()) }
        }
    }

    private func listen(_ time: Int64) async -> [QuorumMachine.Command] {
        var end: Deadline? = .after(.milliseconds(time))
        while !Task.isCancelled {
            for id in ServerID.allCases {
                guard let view = looks.take(id) else { continue }
                let next = machine.handle(.answered(id, view), at: clock())
                if !next.isEmpty { return next }
            }
            if end?.hasPassed == true {
                end = nil
                let next = machine.handle(.listened, at: clock())
                if !next.isEmpty { return next }
            }
            // Each look ends by its own deadline.
            await looks.answered.wait(end?.remaining ?? .seconds(1))
        }
        return []
    }

    private func describe(_ asksSession: Bool) async -> QuorumMachine.LocalView {
        var status: LocalStatus?
        if asksSession {
            var standing = LocalStatus(agent: configuration.agent.name)
            await participation.describe(&standing)
            status = standing
        }
        var pong = PerServer<Int64>()
        let pongs = await lockSessions.pongs
        for id in ServerID.allCases { pong[id] = pongs[id].map { clock($0) } }
        return await QuorumMachine.LocalView(
            status: status, pong: pong, router: controller.view, routerClosed: controller.isClosed,
            routerFailed: controller.hasFailed, hanging: writes.hanging.map { ($0.server, clock($0.since)) },
            fenced: fenced)
    }

    private func write() async -> Bool {
        do {
            try await durableFile.write(machine.policy.durable)
            return true
        } catch {
            logger.log(.stateNotWritten, ["error": "\(error)"])
            return false
        }
    }

    // MARK: Reports, and what is kept on the servers

    private func tell(_ isIdle: Bool) {
        guard let observation = machine.observation else { return }
        let policy = machine.policy
        writes.aim(at: policy.primary.flatMap { observation.seen.facts($0)?.readOnly == false ? $0 : nil })
        report.tell(machine, observation, hanging: writes.hanging?.server)
        guard isIdle else { return }
        // Beside the loop, and not more often than each minute: what keeps them from being made may last.
        if tables.task == nil, tables.next.hasPassed, let primary = policy.tablesWanted(observation) {
            tables = (Task { await self.makeTables(primary) }, .after(.seconds(60)))
        }
        // Beside the loop too, and every ten seconds at most: what has changed since is not on record yet.
        if events.task == nil, events.next.hasPassed, let primary = policy.quietPrimary(observation) {
            events = (Task { await self.listEvents(primary) }, .after(.seconds(10)))
        }
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

    private func begin(_ step: Step) {
        guard let observation = machine.observation else { return }
        var context = OperationContext(
            configuration, seen: observation.seen, ledger: observation.seen.activeLedger,
            nextEpoch: machine.nextEpochForMaster)
        machine.complete(&context)
        runningStep = Task { [context] in
            let fine = await self.attempt(step, context)
            var commands = self.machine.handle(.stepEnded(fine), at: self.clock())
            while let command = commands.first { commands = commands.dropFirst() + (await self.perform(command)) }
        }
    }

    private func attempt(_ step: Step, _ context: OperationContext) async -> Bool {
        do {
            switch step {
            case .disableSemiSync, .enableSemiSync, .disableSemiSyncOnReplica, .startClosed, .fenceCommand:
                for command in OperationPlan(step, context).commands { try await carryOut(command) }
            default: try await participation.perform(step, context)
            }
            return true
        } catch {
            logger.log(.stepFailed, ["step": "\(step)", "error": "\(error)"])
            return false
        }
    }

    /// Those that belong to no operation: over a lock session, or on this host.
    private func carryOut(_ command: Command) async throws(AgentError) {
        let foreign = machine.policy.durable.foreign
        switch command {
        case .runFenceCommand(let server, let epoch): fenced = (epoch, await executor.fenceCommand(server))
        case .disableSemiSyncIfAgreed(let server):
            guard let lockSession = await lockSessions[server] else { break }
            try await executor.disableSemiSync(server, lockSession: lockSession, foreign: foreign)
        case .enableSemiSyncIfOpen(let server):
            guard let lockSession = await lockSessions[server] else { break }
            try await executor.enableSemiSync(server, lockSession: lockSession)
        case .disableSemiSyncIfClosed(let server):
            guard let lockSession = await lockSessions[server] else { break }
            try await executor.disableSemiSyncOnReplica(server, lockSession: lockSession)
        case .persistClosedIfAllowed(let server):
            guard let lockSession = await lockSessions[server] else { break }
            await executor.startClosed(server, lockSession: lockSession)
        default: throw AgentError(.refused, "\(command.name) belongs to an operation")
        }
    }
}
