/// One agent's loop as a value: look, decide with `QuorumPolicy`, disk before deed, locks, router, step. It answers what
/// has come with what is to be done next, in order; `QuorumLoop` does it, and so does the simulation. Times are
/// milliseconds of the agent's own clock.
package struct QuorumMachine: Sendable {
    private enum Phase: Sendable, Hashable {
        case resting, listening, describing, givingBack, writing, withdrawing, taking
    }

    package private(set) var policy: QuorumPolicy
    /// What lies on disk.
    private var written: DurableState
    private var writtenAt: Int64 = 0
    package private(set) var orders = Orders()
    package private(set) var observation: TimedObservation?
    private var phase = Phase.resting
    private var beganAt: Int64 = 0
    private var look = LookRound()
    private var lastStatus: LocalStatus
    /// The step that is under way, and whether it was when this round decided: what is decided without knowing what this
    /// agent holds now is not done, even if the step has ended meanwhile.
    private var runningStep: Step?
    private var decidedBusy = false
    /// When the last step ended: what a server was asked before may show it half done.
    private var stepEndedAt = Int64.min
    private var decidedLate = false
    private var backoff = StepBackoff.quorum
    /// Since when a server that answers an older session has greeted no new one.
    package private(set) var loginTrouble = PerServer<(trouble: LoginTrouble, since: Int64)>()
    /// The server that the router's lease was last given for.
    private var leasedFor: ServerID?
    private var wasLeased = false
    /// When a server was last told to start closed.
    private var startClosedAt = Int64.min / 2

    /// Rounds follow each other this closely while something is under way.
    private static let quick: Int64 = 60
    private static let shortestRest: Int64 = 10
    /// How far the primary was seen may be lost with a crash: it is written as often as this.
    private static let lazyWrite: Int64 = 5_000
    private static let failurePause: Int64 = 200
    private static let startClosedPause: Int64 = 60_000

    /// - Parameter written: what lies on disk.
    package init(policy: QuorumPolicy, written: DurableState) {
        self.policy = policy
        self.written = written
        lastStatus = LocalStatus(agent: policy.rules.name)
        // A lease for the server that the disk names rests on nothing that is not written.
        leasedFor = ServerID.allCases.first { !written.primary.isEmpty && written.uuids[$0] == written.primary }
    }

    package var isBusy: Bool { runningStep != nil }

    /// What the loop that goes on with another configuration is to know (`QuorumPolicy`).
    package var handover: PerServer<QuorumPolicy.Handover> {
        observation.map { policy.handover(at: $0.now) } ?? .init()
    }

    package mutating func handle(_ event: Event, at now: Int64) -> [Command] {
        switch event {
        case .begin: return begin(now)
        case .answered(let id, let view):
            guard look.answered(id, view) else { return [] }
            return consider()
        case .listened:
            guard phase == .listening else { return [] }
            look.listened()
            let next = consider()
            return next.isEmpty ? [.listen(look.wait)] : next
        case .described(let local): return phase == .describing ? decide(local, now) : []
        case .gaveBackLocks: return gaveBackLocks(now)
        case .written(let fine): return phase == .writing ? wrote(fine, now) : []
        case .tookLocks: return phase == .taking ? finish(now) : []
        case .stepEnded(let fine): return stepEnded(fine, now)
        case .cooledDown: return stepIsOver()
        }
    }

    // MARK: Look

    private mutating func begin(_ now: Int64) -> [Command] {
        guard phase == .resting else { return [] }
        phase = .listening
        beganAt = now
        let commands = look.begin(at: now).map { Command.probe($0) }
        // An answer that was late for the last round is there already.
        let next = consider()
        return commands + (next.isEmpty ? [.listen(look.wait)] : next)
    }

    private mutating func consider() -> [Command] {
        guard phase == .listening, look.isComplete else { return [] }
        phase = .describing
        return [.describe(asksSession: !isBusy)]
    }

    // MARK: Decide

    private mutating func decide(_ local: LocalView, _ now: Int64) -> [Command] {
        let (a, askedA) = look.take(.a, at: now)
        let (b, askedB) = look.take(.b, at: now)
        let seen = Observation(a: a, b: b, router: local.router)
        decidedBusy = isBusy || local.status == nil
        decidedLate = [(a, askedA), (b, askedB)].contains { $0.facts != nil && $1 < stepEndedAt }
        let observation = TimedObservation(
            seen: seen, askedAt: min(askedA, askedB), now: now, pongA: local.pong[.a], pongB: local.pong[.b],
            routerClosed: local.routerClosed, stall: stall(seen, local, now), isSettled: !decidedBusy && !decidedLate)
        if let status = local.status { lastStatus = status }
        var status = lastStatus
        status.routerFailed = local.routerFailed
        if let epoch = seen.activeLedger?.master?.epoch, let fenced = local.fenced, fenced.epoch == epoch {
            status.fenced = fenced.done
        }
        self.observation = observation
        orders = policy.decide(observation, status)
        var commands: [Command] = []
        for id in ServerID.allCases where seen.facts(id) != nil && local.pong[id] == nil {
            commands.append(.openLockSession(id))
        }
        // It rests on nothing that has to be on disk before.
        if orders.router == .close { commands += [.lease(until: nil), .closeRouter] }
        // The disk may be slow, and others must not count a lock meanwhile that this agent would not take now.
        phase = .givingBack
        return commands + [.giveBackLocks]
    }

    /// The primary's writes hang, or nobody new is greeted there, which is as good as hanging for an application.
    private mutating func stall(_ seen: Observation, _ local: LocalView, _ now: Int64) -> (on: ServerID, time: Int64)? {
        for id in ServerID.allCases {
            loginTrouble[id] = seen.facts(id)?.quorum?.login.map { ($0, loginTrouble[id]?.since ?? now) }
        }
        if let hanging = local.hanging { return (hanging.on, now - hanging.since) }
        guard let primary = policy.primary, let new = loginTrouble[primary], case .notGreeted = new.trouble else {
            return nil
        }
        return (primary, now - new.since)
    }

    private func isToBeWritten(_ now: Int64) -> Bool {
        policy.durable.differsInPromises(from: written)
            || policy.durable != written && now - writtenAt > Self.lazyWrite
    }

    private mutating func gaveBackLocks(_ now: Int64) -> [Command] {
        switch phase {
        case .givingBack where isToBeWritten(now):
            phase = .writing
            return [.write]
        case .givingBack: return act(now)
        case .withdrawing:
            phase = .resting
            return finish(now)
        case .resting, .listening, .describing, .writing, .taking: return []
        }
    }

    private mutating func wrote(_ fine: Bool, _ now: Int64) -> [Command] {
        if fine {
            written = policy.durable
            writtenAt = now
            return act(now)
        }
        // What is not on disk is not promised: nothing that rests on it may be done. A router that is where it should be
        // may stay there; it may not go elsewhere, nor stay where it is on a lease for elsewhere.
        orders.step = .none(.stateNotWritten)
        orders.locks = .init()
        if case .point(let id) = orders.router, id != leasedFor { orders.router = .keep }
        phase = .withdrawing
        return lease(now) + [.giveBackLocks]
    }

    // MARK: Act

    private mutating func act(_ now: Int64) -> [Command] {
        phase = .taking
        leasedFor = policy.lease.server
        return lease(now) + [.takeLocks]
    }

    /// One that nobody needs while the primary's process is gone has an end all the same: it may come back while this loop
    /// is held up.
    private mutating func lease(_ now: Int64) -> [Command] {
        let rules = policy.rules
        let atMost = now + rules.unseenLease
        guard orders.router != .close else { return [] }
        if leasedFor != policy.lease.server {
            // A router of an earlier life, and nothing on disk that says where it may lead.
            if wasLeased { return [] }
            wasLeased = true
            return [.lease(until: min(policy.lease.until, atMost))]
        }
        wasLeased = true
        return [.lease(until: policy.lease.isNeedless ? atMost : policy.lease.until)]
    }

    private mutating func finish(_ now: Int64) -> [Command] {
        phase = .resting
        var commands: [Command] = []
        // Disk and locks may have taken their time: the lease was reckoned before.
        if case .point(let id) = orders.router, now < policy.lease.until, let uuid = observation?.seen.facts(id)?.uuid {
            commands.append(.pointRouter(id, uuid: uuid))
        }
        commands.append(.report(isIdle: !isBusy))
        let (step, acts) = step(now)
        commands += step
        let rest = (orders.urgent || acts ? Self.quick : policy.rules.interval) - (now - beganAt)
        return commands + [.rest(max(rest, Self.shortestRest))]
    }

    /// - Returns: with whether something is done, so that the next look should come at once.
    private mutating func step(_ now: Int64) -> ([Command], Bool) {
        guard !decidedBusy, !isBusy else { return ([], false) }
        // The world is looked at again after each step and before the next.
        guard !decidedLate else { return ([], true) }
        switch orders.step {
        case .none: return ([.leave], false)
        case .wait: return ([], true)
        // Wanted, and no reason to hold anything else up: its privilege may be missing.
        case .startClosed where now - startClosedAt < Self.startClosedPause: return ([.leave], false)
        default:
            if backoff.holdsBack(orders.step, at: now) { return ([], false) }
            if case .startClosed = orders.step { startClosedAt = now }
            runningStep = orders.step
            return ([.begin(orders.step)], true)
        }
    }

    // MARK: Steps

    private mutating func stepEnded(_ fine: Bool, _ now: Int64) -> [Command] {
        guard let step = runningStep else { return [] }
        stepEndedAt = now
        if fine {
            backoff.succeeded(step, at: now)
            return stepIsOver()
        }
        return backoff.failed(at: now) ? [.leave, .coolDown(0)] : [.coolDown(Self.failurePause)]
    }

    private mutating func stepIsOver() -> [Command] {
        runningStep = nil
        return [.wake]
    }

    /// Fills in what the plan of a step rests on.
    package func complete(_ context: inout OperationContext) {
        context.witness = Witness(executed: policy.durable.executed, sync: policy.durable.sync)
        context.primary = policy.primary
        context.foreign = policy.durable.foreign
        for id in ServerID.allCases { context.admitted[id] = policy.tracks[id]?.admits }
    }

    package var nextEpochForMaster: UInt64 { observation.map { policy.nextEpochForMaster($0.seen) } ?? 0 }
}
