import Logging
import MySQLWire

/// The loop of router-led mode: does what `RouterLedMachine` says.
actor RouterLedLoop {
    private let configuration: Configuration
    private let logger: Logger
    private let observer: Observer
    private let executor: Executor
    private let participation: Participation
    private var machine: RouterLedMachine
    private var memory: FollowedEpoch
    private var lastState: ClusterState?
    private var lastStep: Step?
    private var lastError: AgentError?
    private var eventsDue = Deadline.after(.zero)
    private let started = ContinuousClock.now

    init(configuration: Configuration, logger: Logger) throws(AgentError) {
        self.configuration = configuration
        self.logger = logger
        let router = LocalRouter(configuration: configuration)
        observer = Observer(configuration: configuration, router: router)
        executor = Executor(configuration: configuration, router: router, logger: logger)
        participation = Participation(configuration: configuration, executor: executor, logger: logger)
        machine = RouterLedMachine(configuration)
        memory = try FollowedEpoch(configuration)
    }

    func untilAtRest(deadline: Deadline) async throws(AgentError) -> PassReport {
        while true {
            let outcome = await round()
            switch outcome {
            case .settled:
                guard let diagnosis = machine.diagnosis else { break }
                return PassReport(diagnosis, underWay: false)
            case .acted:
                if deadline.hasPassed { throw AgentError(.timeout, "the operation did not end in time") }
            case .waiting:
                if deadline.hasPassed, let diagnosis = machine.diagnosis {
                    return PassReport(diagnosis, underWay: true)
                }
                await pause(.milliseconds(300))
            case .failed(let gaveUp):
                if let lastError, gaveUp || deadline.hasPassed { throw lastError }
                await pause(.milliseconds(500))
            }
            if Task.isCancelled { throw AgentError(.timeout, "the pass was cancelled") }
        }
    }

    /// - Parameter leaving: ends it too, between two steps.
    func untilCancelled(or leaving: Flag = Flag()) async {
        while !Task.isCancelled, !leaving.isUp {
            let began = ContinuousClock.now
            switch await round() {
            case .acted: continue
            case .waiting: await pause(min(configuration.agent.interval, .milliseconds(300)))
            case .settled, .failed:
                await pause(configuration.agent.interval - began.duration(to: .now))
            }
        }
    }

    /// Gives up this agent's part: the session ends, and with it the locks.
    func leave() async {
        await participation.leave()
    }

    private func pause(_ duration: Duration) async {
        if duration > .zero { try? await Task.sleep(for: duration) }
    }

    // MARK: Commands

    /// Milliseconds since the loop began.
    private var now: Int64 { started.duration(to: .now).milliseconds }

    private func round() async -> RouterLedMachine.Outcome {
        var commands = machine.handle(.begin, at: now)
        var next = 0
        while next < commands.count {
            if case .end(let outcome) = commands[next] {
                if outcome == .settled { await keepEvents() }
                return outcome
            }
            commands += await perform(commands[next])
            next += 1
        }
        return .waiting
    }

    private func perform(_ command: RouterLedMachine.Command) async -> [RouterLedMachine.Command] {
        switch command {
        case .look:
            let seen = await observer.look()
            return machine.handle(.looked(seen), at: now)
        case .note(let epoch):
            do {
                try memory.note(epoch: epoch)
            } catch {
                logger.log(.epochNotWritten, ["error": "\(error)"])
            }
        case .describe:
            var status = LocalStatus(agent: configuration.agent.name, epoch: memory.epoch)
            await participation.describe(&status)
            return machine.handle(.described(status), at: now)
        case .report: report()
        case .pause(let time): await pause(.milliseconds(time))
        case .perform(let step):
            let result = await perform(step)
            return machine.handle(.performed(result, server: participation.session?.server), at: now)
        case .leave: await leave()
        case .handOver(let waited):
            logger.log(.handedOver, ["waited": "\(waited)"])
            await leave()
        case .end: break
        }
        return []
    }

    // MARK: Reports

    private func report() {
        if let diagnosis = machine.diagnosis, diagnosis.state != lastState {
            lastState = diagnosis.state
            logger.log(
                .state,
                [
                    "state": "\(diagnosis.state.rawValue)", "why": "\(diagnosis.evidence.joined(separator: "; "))",
                    "reason": "\(diagnosis.reason?.rawValue ?? "-")",
                ])
        }
        guard let step = machine.step else { return }
        defer { lastStep = step }
        guard step.lasting != lastStep?.lasting else { return }
        if case .none = step { return }
        step.log(to: logger)
    }

    /// Every ten seconds at most, while all is well.
    private func keepEvents() async {
        guard let diagnosis = machine.diagnosis, diagnosis.state == .ok, eventsDue.hasPassed,
            let primary = diagnosis.primary
        else { return }
        eventsDue = .after(.seconds(10))
        do {
            try await executor.keepEvents(primary)
        } catch {
            logger.log(.eventsNotListed, ["error": "\(error)"])
        }
    }

    // MARK: Steps

    private func perform(_ step: Step) async -> RouterLedMachine.Result {
        guard let seen = machine.seen else { return .failed("nothing was seen yet") }
        do {
            if case .route(let server) = step {
                try await route(to: server, seen)
            } else {
                try await participation.perform(
                    step,
                    OperationContext(
                        configuration, seen: seen, ledger: seen.activeLedger,
                        nextEpoch: machine.nextEpoch))
            }
            return .done
        } catch {
            if case .abort = step, lastStep != step {
                logger.log(.abortFailed, ["error": "\(error)"])
                return .failed("\(error)")
            }
            lastError = error
            logger.log(.stepFailed, ["step": "\(step)", "error": "\(error)"])
            return if case .workingDirectory = error.cause { .hopeless("\(error)") } else { .failed("\(error)") }
        }
    }

    private func route(to server: ServerID, _ seen: Observation) async throws(AgentError) {
        guard let uuid = seen.facts(server)?.uuid else {
            throw AgentError(.refused, "\(executor.name(server)) does not answer: the router stays as it is")
        }
        let executor = executor
        if let session = participation.session {
            try await executor.keeping([session.connection]) { () async throws(AgentError) in
                try await executor.route(to: server, uuid: uuid)
            }
        } else {
            try await executor.route(to: server, uuid: uuid)
        }
    }
}
