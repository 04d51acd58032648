import Logging
import MySQLWire

/// The loop around the parts: look, diagnose, decide, do one step, look again. Nothing about an operation's progress
/// is kept here; an agent that is killed after any step, or another one, goes on from what the servers say.
actor RouterLedLoop {
    private let configuration: Configuration
    private let logger: Logger
    private let observer: Observer
    private let diagnoser: Diagnoser
    private let policy: RouterLedPolicy
    private let executor: Executor
    private var memory: FollowedEpoch
    private let participation: Participation
    private var lastState: ClusterState?
    private var eventsKept = Deadline.after(.zero)
    private var lastStep: Step?
    private var patience = RouterLedPatience()
    private let started = ContinuousClock.now

    init(configuration: Configuration, logger: Logger) throws(AgentError) {
        self.configuration = configuration
        self.logger = logger
        let router = LocalRouter(configuration: configuration)
        observer = Observer(configuration: configuration, router: router)
        diagnoser = Diagnoser(configuration)
        policy = RouterLedPolicy(configuration)
        executor = Executor(configuration: configuration, router: router, logger: logger)
        participation = Participation(configuration: configuration, executor: executor, logger: logger)
        memory = try FollowedEpoch(directory: configuration.workingDirectory)
    }

    /// What one round came to.
    private enum Outcome {
        case settled(PassReport)
        case acted
        case waiting(Diagnosis)
        case failed(AgentError, gaveUp: Bool)
    }

    func untilAtRest(deadline: Deadline) async throws(AgentError) -> PassReport {
        while true {
            let outcome = await round()
            switch outcome {
            case .settled(let report): return report
            case .acted:
                if deadline.hasPassed { throw AgentError(.timeout, "the operation did not end in time") }
            case .waiting(let diagnosis):
                if deadline.hasPassed {
                    return PassReport(diagnosis, underWay: true)
                }
                await pause(.milliseconds(300))
            case .failed(let error, let gaveUp):
                if gaveUp || deadline.hasPassed { throw error }
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

    // MARK: One round

    /// Milliseconds since the loop began.
    private var now: Int64 { started.duration(to: .now).milliseconds }

    private func round() async -> Outcome {
        let seen = await observer.look()
        let diagnosis = diagnoser.diagnose(seen)
        report(diagnosis)
        remember(seen, diagnosis)
        let standing = await standing()
        let wanted = policy.nextStep(seen, diagnosis, standing)
        let previous = lastStep
        guard let step = patience.admit(wanted, standing, at: now) else {
            logger.log(.handedOver, ["waited": "\(wanted)"])
            await leave()
            return .waiting(diagnosis)
        }
        switch step {
        case .none:
            await leave()
            report(step)
            await keepEvents(diagnosis)
            return .settled(PassReport(diagnosis, underWay: false))
        case .wait:
            report(step)
            return .waiting(diagnosis)
        default:
            report(step)
        }
        // A step that does not change what is seen is not repeated at full speed.
        if step == previous { await pause(.milliseconds(300)) }
        do {
            try await perform(step, seen, standing)
            patience.succeeded(step, at: now)
            return .acted
        } catch {
            return await failed(error, step, seen)
        }
    }

    /// Every ten seconds at most, while all is well.
    private func keepEvents(_ diagnosis: Diagnosis) async {
        guard diagnosis.state == .ok, eventsKept.hasPassed, let primary = diagnosis.primary else { return }
        eventsKept = .after(.seconds(10))
        do {
            try await executor.keepEvents(primary)
        } catch {
            logger.log(.eventsNotListed, ["error": "\(error)"])
        }
    }

    private func report(_ diagnosis: Diagnosis) {
        guard diagnosis.state != lastState else { return }
        lastState = diagnosis.state
        logger.log(
            .state,
            [
                "state": "\(diagnosis.state.rawValue)", "why": "\(diagnosis.evidence.joined(separator: "; "))",
                "reason": "\(diagnosis.reason?.rawValue ?? "-")",
            ])
    }

    private func report(_ step: Step) {
        defer { lastStep = step }
        guard step.lasting != lastStep?.lasting else { return }
        if case .none = step { return }
        step.log(to: logger)
    }

    /// A router that leads to the primary of the promotion on record has followed it.
    private func remember(_ seen: Observation, _ diagnosis: Diagnosis) {
        guard let primary = diagnosis.primary, policy.turned(seen, to: primary), let facts = seen.facts(primary),
            let promotion = facts.promotion, promotion.primary == facts.uuid
        else { return }
        do {
            try memory.note(epoch: promotion.epoch)
        } catch {
            logger.log(.epochNotWritten, ["error": "\(error)"])
        }
    }

    private func standing() async -> LocalStatus {
        var standing = LocalStatus(
            agent: configuration.agent.name, epoch: memory.epoch, routerFailed: patience.routerFailed(at: now))
        await participation.describe(&standing)
        return standing
    }

    // MARK: Failure

    private func failed(_ error: AgentError, _ step: Step, _ seen: Observation) async -> Outcome {
        logger.log(.stepFailed, ["step": "\(step)", "error": "\(error)"])
        let hopeless = if case .workingDirectory = error.cause { true } else { false }
        guard patience.failed(step, hopeless: hopeless, at: now) else { return .failed(error, gaveUp: false) }
        if RouterLedPatience.putsBack(policy.activeLedger(seen), seen, on: participation.session?.server) {
            do {
                try await participation.perform(
                    .abort(.because(.stepFailed("\(error)"))),
                    context(seen, LocalStatus(agent: configuration.agent.name)))
            } catch {
                logger.log(.abortFailed, ["error": "\(error)"])
            }
        }
        await leave()
        return .failed(error, gaveUp: true)
    }

    // MARK: Steps

    private func perform(_ step: Step, _ seen: Observation, _ standing: LocalStatus) async throws(AgentError) {
        if case .route(let server) = step {
            try await route(to: server, seen)
            return
        }
        try await participation.perform(step, context(seen, standing))
    }

    private func context(_ seen: Observation, _ standing: LocalStatus) -> OperationContext {
        OperationContext(
            configuration, seen: seen, ledger: policy.activeLedger(seen), nextEpoch: policy.nextEpoch(seen, standing))
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
