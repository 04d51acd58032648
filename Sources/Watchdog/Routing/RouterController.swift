import Logging
import MySQLWire

/// Moves the local router beside the agent's loop: stopping and starting it takes longer than a look may. One move at a
/// time; closing goes before everything.
actor RouterController {
    private let router: LocalRouter
    private let configuration: Configuration
    private let logger: Logger
    private var state = State.unknown
    private var verified = ContinuousClock.now
    private var move: (goal: Goal, task: Task<Void, Never>)?
    private var failures = 0
    /// The server that it could not be pointed to.
    private var failedFor = ""
    private var failedAt = ContinuousClock.now
    /// Wakes the loop when a move has ended.
    private let ended: @Sendable () -> Void

    enum State: Sendable, Hashable {
        case unknown
        /// Its port refuses connections.
        case closed
        /// Its port led to this server when last asked.
        case leads(uuid: String)
    }

    private enum Goal: Hashable {
        case close
        case point(ServerID, uuid: String)
    }

    /// How often a router that should be right is asked whether it is.
    private static let rhythm = Duration.seconds(5)
    private static let patience = 3

    init(
        _ configuration: Configuration, _ router: LocalRouter, _ logger: Logger,
        ended: @escaping @Sendable () -> Void
    ) {
        self.configuration = configuration
        self.router = router
        self.logger = logger
        self.ended = ended
    }

    var isClosed: Bool { state == .closed && move == nil }

    var view: RouterView {
        switch state {
        case .leads(let uuid): .leadsTo(uuid: uuid)
        case .closed: .noAnswer("closed by this agent")
        case .unknown: .noAnswer("not asked yet, or it does not answer")
        }
    }

    /// The router could not be moved several times over: an operation does not wait for it any longer.
    var failed: Bool { failures >= Self.patience }

    /// How long such a router is left alone before it is tried again: what kept it down may be mended soon, or never.
    private var pause: Duration {
        failed ? min(.seconds(5 << min(failures - Self.patience, 4)), .seconds(60)) : .zero
    }

    /// Where an earlier agent has left the router; asked once, while nothing was ordered yet.
    func ask() async {
        guard state == .unknown, move == nil,
            let uuid = try? await router.identity(deadline: .after(.seconds(2))), state == .unknown, move == nil
        else { return }
        state = .leads(uuid: uuid.lowercased())
        // Its file has not been looked at: the first order to lead it there does that.
        verified = .now - Self.rhythm
        ended()
    }

    // MARK: Orders

    func close() async {
        if case (.close, _)? = move { return }
        if state == .closed, verified.duration(to: .now) < .seconds(1) { return }
        // A turn that is under way must not open what is to be closed.
        if let move {
            move.task.cancel()
            await move.task.value
        }
        begin(.close)
    }

    func point(to id: ServerID, uuid: String) async {
        if uuid != failedFor { failures = 0 }
        guard failedAt.duration(to: .now) >= pause else { return }
        if case (.point(id, uuid: uuid), _)? = move { return }
        if let move {
            if move.goal != .close { move.task.cancel() }
            await move.task.value
        }
        if state == .leads(uuid: uuid) {
            guard verified.duration(to: .now) >= Self.rhythm else { return }
            begin(.point(id, uuid: uuid))
            return
        }
        begin(.point(id, uuid: uuid))
    }

    /// Ends what is under way; the router stays as it is.
    func rest() async {
        move?.task.cancel()
        await move?.task.value
    }

    private func begin(_ goal: Goal) {
        let task = Task { await self.work(goal) }
        move = (goal, task)
    }

    private func work(_ goal: Goal) async {
        let before = state
        switch goal {
        case .close: await stopRouter()
        case .point(let id, let uuid): await turn(id, uuid)
        }
        if move?.goal == goal { move = nil }
        if state != before { ended() }
    }

    // MARK: Moves

    private func stopRouter() async {
        if state == .closed, await !answers() {
            verified = .now
            return
        }
        state = .unknown
        do {
            try await router.stop(deadline: .after(.milliseconds(QuorumRules.closeLimit)))
        } catch {
            logger.log(.routerNotClosed, ["error": "\(error)"])
        }
        guard await !answers() else {
            logger.log(.routerStillOpen, ["address": "\(configuration.router.address)"])
            return
        }
        state = .closed
        verified = .now
        logger.log(.routerClosed, ["address": "\(configuration.router.address)"])
    }

    /// Whether somebody takes connections at the router's port.
    private func answers() async -> Bool {
        do {
            _ = try await router.identity(deadline: .after(.milliseconds(500)))
            return true
        } catch {
            return error.code != .refused
        }
    }

    private func turn(_ id: ServerID, _ uuid: String) async {
        let target = configuration.servers[id]
        if state == .leads(uuid: uuid) {
            // Only a router that is gone or leads elsewhere is touched: one whose server is busy would lose everybody's
            // sessions for nothing.
            do {
                let led = try await router.identity(deadline: .after(configuration.agent.probeTimeout)).lowercased()
                if led == uuid, !Task.isCancelled {
                    verified = .now
                    return
                }
            } catch {
                guard error.code == .refused else {
                    verified = .now
                    return
                }
            }
        }
        if Task.isCancelled { return }
        state = .unknown
        do {
            let report = try await router.turn(
                to: target, other: configuration.servers[id.other], expectedUUID: uuid, deadline: .after(.seconds(20)))
            state = .leads(uuid: uuid)
            verified = .now
            failures = 0
            logger.log(
                .routerTurned,
                [
                    "server": "\(id) (\(target))", "file_changed": "\(report.changedFile)",
                    "restarted": "\(report.restarted)",
                ])
        } catch {
            guard !Task.isCancelled else { return }
            failures += 1
            (failedFor, failedAt) = (uuid, .now)
            logger.log(.routerNotTurned, ["error": "\(error)"])
        }
    }
}
