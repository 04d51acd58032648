import Logging
import MySQLWire

/// This agent's lock sessions, one on each server; opened beside the loop.
actor LockSessions {
    private let configuration: Configuration
    private let logger: Logger
    private var sessions: [ServerID: LockSession] = [:]
    private var pingers: [ServerID: Task<Void, Never>] = [:]
    private var opening: [ServerID: Task<Void, Never>] = [:]
    private var isClosed = false
    /// Said on every server: no decision rests on it, `status` on every host does.
    private var routerStuck = false
    /// Two that wait for one name try it at every round.
    private var nameTaken: [ServerID: LineRhythm] = [:]
    private let born = ContinuousClock.now
    /// Wakes the loop when one was opened or lost.
    private let wake: @Sendable () -> Void

    init(_ configuration: Configuration, _ logger: Logger, wake: @escaping @Sendable () -> Void) {
        self.configuration = configuration
        self.logger = logger
        self.wake = wake
    }

    /// The session that holds this agent's place.
    subscript(id: ServerID) -> LockSession? { sessions[id].flatMap { $0.part == .present ? $0 : nil } }

    /// When each server last answered; nil where there is no session that holds this agent's place.
    var pongs: PerServer<ContinuousClock.Instant> {
        var pongs = PerServer<ContinuousClock.Instant>()
        for id in sessions.keys { pongs[id] = self[id]?.pong }
        return pongs
    }

    func close() {
        isClosed = true
        for task in opening.values { task.cancel() }
        for session in sessions.values { session.close() }
        for task in pingers.values { task.cancel() }
    }

    // MARK: Opening

    /// Where none is held, nor being opened.
    func open(_ id: ServerID, as part: LockSession.Part) {
        if let session = sessions[id], session.pong == nil { leave(session) }
        guard !isClosed, sessions[id] == nil, opening[id] == nil else { return }
        opening[id] = Task { await self.connect(id, part) }
    }

    private func leave(_ session: LockSession) {
        session.close()
        sessions[session.server] = nil
        pingers[session.server]?.cancel()
    }

    private func connect(_ id: ServerID, _ part: LockSession.Part) async {
        defer { opening[id] = nil }
        let server = "\(id) (\(configuration.servers[id]))"
        do {
            guard
                let session = try await LockSession.open(
                    configuration, id, as: part, logger: logger, deadline: .after(configuration.agent.probeTimeout))
            else {
                if nameTaken[id, default: LineRhythm()].isDue(at: born.duration(to: .now).milliseconds) {
                    logger.log(.nameTaken, ["server": "\(server)"])
                }
                return
            }
            // One that says that there are two has not got the name.
            if part == .present { nameTaken[id]?.end() }
            // One that nobody knows of would keep this agent's name for as long as it lives.
            guard !isClosed, sessions[id] == nil else { return session.close() }
            sessions[id] = session
            let wake = wake
            pingers[id] = Task {
                await session.ping()
                wake()
            }
            wake()
        } catch {
            logger.log(.lockSessionFailed, ["server": "\(server)", "error": "\(error)"])
        }
    }

    // MARK: Locks

    /// What the next locks say of this host's router.
    func say(routerStuck: Bool) { self.routerStuck = routerStuck }

    private func wanted(_ locks: Orders.Locks, _ id: ServerID) -> Set<QuorumLocks.Kind> {
        var set: Set<QuorumLocks.Kind> = []
        if locks.seesPrimary == id { set.insert(.seesPrimary) }
        if locks.async == id { set.insert(.async) }
        if routerStuck { set.insert(.routerStuck) }
        if locks.voteOn == id, let vote = locks.vote { set.insert(vote == .unreachable ? .unreachable : .dead) }
        return set
    }

    /// Locks that are not wanted any more. A session that cannot give one back is closed: the server takes it. So is one
    /// that holds this agent's place while there are two of its name, and the other way round.
    func giveBack(_ locks: Orders.Locks) async {
        for session in sessions.values where (session.part == .double) != locks.isDouble { leave(session) }
        for (id, session) in sessions {
            for kind in await session.held.subtracting(wanted(locks, id)) {
                do { try await session.hold(kind, false) } catch { session.close() }
            }
        }
    }

    func take(_ locks: Orders.Locks) async {
        for (id, session) in sessions where session.part == .present {
            for kind in wanted(locks, id).subtracting(await session.held) {
                do {
                    try await session.hold(kind, true)
                } catch {
                    logger.log(.lockNotTaken, ["lock": "\(kind)", "error": "\(error)"])
                }
            }
        }
    }
}
