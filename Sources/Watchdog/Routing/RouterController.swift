import Logging
import MySQLWire

/// Moves the local router beside the agent's loop, as `RouterMachine` says: stopping and starting it takes longer than a
/// look may.
actor RouterController {
    private let router: LocalRouter
    private let configuration: Configuration
    private let logger: Logger
    private let started: ContinuousClock.Instant
    private var machine: RouterMachine
    /// The command that is under way.
    private var work: Task<Void, Never>?
    /// The last order; nil once the router is to be closed.
    private var pointed: (id: ServerID, uuid: String)?
    private var fileWatch = RouterFileWatch()
    /// Wakes the loop when what is known of the router has changed.
    private let wake: @Sendable () -> Void

    /// - Parameters:
    ///   - started: where the agent's clock begins.
    ///   - lease: by which an earlier loop of this process has left the router open.
    init(
        _ configuration: Configuration, _ router: LocalRouter, _ logger: Logger, started: ContinuousClock.Instant,
        lease: ContinuousClock.Instant?, wake: @escaping @Sendable () -> Void
    ) {
        self.configuration = configuration
        self.router = router
        self.logger = logger
        self.started = started
        self.wake = wake
        machine = RouterMachine(probeTimeout: configuration.agent.probeTimeout.milliseconds)
        machine.lease(until: lease.map { started.duration(to: $0).milliseconds })
    }

    private var now: Int64 { started.duration(to: .now).milliseconds }

    // MARK: What is known

    var isClosed: Bool { machine.isClosed }
    var view: RouterView { machine.view }
    var hasFailed: Bool { machine.hasFailed }

    /// When the router is to be closed, for whoever takes it over; nil while it needs no lease.
    var handedLease: ContinuousClock.Instant? {
        machine.handedLease(at: now).map { started.advanced(by: .milliseconds($0)) }
    }

    // MARK: Orders

    func start() { carryOut(machine.start()) }
    func close() {
        pointed = nil
        carryOut(machine.close(at: now))
    }
    func point(to id: ServerID, uuid: String) {
        pointed = (id, uuid)
        carryOut(machine.point(to: id, uuid: uuid, at: now))
    }
    func lease(until end: Int64?) { machine.lease(until: end) }

    /// - Returns: whether all is well: false where a close does not come to its end.
    func tick() -> Bool {
        carryOut(machine.tick(at: now))
        return !machine.isOverdue(at: now)
    }

    var isPastLimit: Bool { machine.isPastLimit(at: now) }

    /// Ends what is under way, unless that closes the router: then it waits.
    func rest() async {
        while let work {
            carryOut(machine.rest(at: now))
            await work.value
        }
    }

    // MARK: Commands

    private func carryOut(_ commands: [RouterMachine.Command]) {
        for command in commands {
            switch command {
            case .cancel: work?.cancel()
            case .wake: wake()
            case .report(let report): log(report)
            case .ask, .seeClosed, .stop, .turn:
                work = Task {
                    let outcome = await self.outcome(of: command)
                    self.work = nil
                    self.carryOut(self.machine.ended(outcome, at: self.now))
                }
            }
        }
    }

    private func log(_ report: RouterMachine.Report) {
        let address = "\(configuration.router.address)"
        switch report {
        case .closed: logger.log(.routerClosed, ["address": "\(address)"])
        case .stillOpen: logger.log(.routerStillOpen, ["address": "\(address)"])
        case .notProvenClosed:
            logger.log(
                .routerNotProvenClosed,
                [
                    "address": "\(address)",
                    "remedy": "router.stop must end with status 0, also where the router is stopped already",
                ])
        }
    }

    private func outcome(of command: RouterMachine.Command) async -> RouterMachine.Outcome {
        switch command {
        case .ask(let limit):
            let outcome = await ask(.after(.milliseconds(limit)))
            if let pointed, outcome == .leads(to: pointed.uuid) { await keepFile(pointed.id) }
            return outcome
        case .seeClosed(let limit): return await seeClosed(.after(.milliseconds(limit)))
        case .stop(let limit): return await stop(.after(.milliseconds(limit)))
        case .turn(let id, let uuid, let limit): return await turn(id, uuid, .after(.milliseconds(limit)))
        case .cancel, .report, .wake: return .silent
        }
    }

    private func ask(_ deadline: Deadline) async -> RouterMachine.Outcome {
        do {
            return .leads(to: try await router.identity(deadline: deadline).lowercased())
        } catch {
            return error.code == .refused ? .refused : .silent
        }
    }

    private func seeClosed(_ deadline: Deadline) async -> RouterMachine.Outcome {
        let outcome = await ask(deadline)
        let address = configuration.router.address
        guard outcome == .refused, let client = await RouterConnections.first(at: address) else { return outcome }
        logger.log(.routerServesClients, ["address": "\(address)", "client": "\(client)"])
        return .served
    }

    private func stop(_ deadline: Deadline) async -> RouterMachine.Outcome {
        do {
            try await router.stop(deadline: deadline)
            return .stopped
        } catch {
            logger.log(.routerNotClosed, ["error": "\(error)"])
            return .notStopped
        }
    }

    private func turn(_ id: ServerID, _ uuid: String, _ deadline: Deadline) async -> RouterMachine.Outcome {
        let target = configuration.servers[id]
        do {
            if let deviation = try? await deviation(id), fileWatch.look(id, isRight: false) { log(deviation) }
            let report = try await router.turn(
                to: target, other: configuration.servers[id.other], expectedUUID: uuid, deadline: deadline)
            logger.log(
                .routerTurned,
                [
                    "server": "\(id) (\(target))", "file_changed": "\(report.changedFile)",
                    "restarted": "\(report.restarted)",
                ])
            _ = fileWatch.look(id, isRight: true)
            return .turned
        } catch {
            if !Task.isCancelled { logger.log(.routerNotTurned, ["error": "\(error)"]) }
            return .notTurned
        }
    }

    // MARK: The file of a router that leads where it should

    private func deviation(_ id: ServerID) async throws(RouterError) -> LocalRouter.Deviation? {
        try await router.deviation(from: configuration.servers[id], other: configuration.servers[id.other])
    }

    /// Writes the file again where somebody else has changed it. The router is left alone: what it was started with is
    /// right, and a restart would cost everybody's sessions.
    private func keepFile(_ id: ServerID) async {
        do {
            let deviation = try await deviation(id)
            guard fileWatch.look(id, isRight: deviation == nil), let deviation, !Task.isCancelled else { return }
            _ = try await router.setDestinations(deviation.wanted)
            log(deviation)
        } catch {
            if fileWatch.isLineDue(at: now) { logger.log(.routerFileNotKept, ["error": "\(error)"]) }
        }
    }

    private func log(_ deviation: LocalRouter.Deviation) {
        guard fileWatch.isLineDue(at: now) else { return }
        logger.log(
            .routerFileChanged,
            [
                "file": "\(configuration.router.configFile)", "found": "\(deviation.found)",
                "wanted": "\(deviation.wanted.map(\.description).joined(separator: ","))",
            ])
    }
}
