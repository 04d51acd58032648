/// What is done with the local router, and what it is known to be: a value that answers orders, and what became of its
/// commands, with the next commands. `RouterController` carries them out, and so does the simulation.
///
/// One command at a time. Closing goes before everything: a turn that is under way is called off first, and a close that
/// failed is repeated until another order comes. Times are milliseconds of the agent's own clock.
package struct RouterMachine: Sendable {
    private enum State: Sendable, Hashable {
        case unknown
        /// It was stopped, and its port refuses.
        case closed
        /// Its port led to the server with this server_uuid when last asked.
        case leads(uuid: String)
    }

    private enum Move: Sendable, Hashable {
        /// Where an earlier agent has left it.
        case finding
        case verifyingClosed
        case stopping
        case verifyingStopped
        case verifying(ServerID, uuid: String)
        case turning(ServerID, uuid: String)

        var closes: Bool {
            switch self {
            case .verifyingClosed, .stopping, .verifyingStopped: true
            case .finding, .verifying, .turning: false
            }
        }
    }

    private var state = State.unknown
    private var verifiedAt: Int64 = .min / 2
    private var move: Move?
    /// When the command that is under way was called off.
    private var cancelledAt: Int64?
    /// Since when it is being stopped, try after try, and was not seen to refuse.
    private var openSince: Int64?
    /// Since when it is to be closed, and was not seen to be: stopped, refusing, and serving nobody.
    private var unprovenSince: Int64?
    /// To be closed when what is under way has ended, or again where that failed.
    private var closeDue: Int64?
    /// It was stopped, and not turned since. A port that refuses says less: mysqlrouter itself closes the port of a route
    /// whose servers are all gone, and opens it again when one is back.
    private var hasStopped = false
    private var failures = 0
    /// The server that it could not be pointed to, and when.
    private var failed = (uuid: "", at: Int64.min / 2)
    /// When it is to be closed unless this is put off before.
    package private(set) var leaseEnd: Int64?

    /// How often a router that should be right is asked whether it is.
    private static let rhythm: Int64 = 5_000
    /// How old the answer of a closed port may be.
    private static let closedRhythm: Int64 = 1_000
    private static let patience = 3
    private static let turnLimit: Int64 = 20_000
    /// Between two tries to close it.
    private static let closeAgain: Int64 = 500
    private static let portLimit: Int64 = 500
    /// A command that is called off has ended by then: its process group is killed after half a second.
    private static let cancelLimit: Int64 = 2_000
    /// How long a router that is to be closed may take connections before this agent counts as hanging: twice the limit.
    private static let overdue = 2 * QuorumRules.closeLimit
    private let probeTimeout: Int64

    package init(probeTimeout: Int64) { self.probeTimeout = probeTimeout }

    // MARK: What is known

    /// It was stopped, and was seen to refuse within the last second or so.
    package var isClosed: Bool {
        state == .closed && closeDue == nil && (move == nil || move == .verifyingClosed)
    }

    /// It takes connections although it was to be closed some seconds ago, or a close waits for what it has called off.
    /// Then this process is as good as one that hangs, and its supervisor is to end it, and a bound router with it.
    package func isOverdue(at now: Int64) -> Bool {
        if let since = openSince, now - since > Self.overdue { return true }
        guard let move, !move.closes, closeDue != nil else { return false }
        return cancelledAt.map { now - $0 > Self.cancelLimit } == true
    }

    /// It was to be closed within `QuorumRules.closeLimit`, and nobody knows that it is. Where the router goes with its
    /// agent's process, that process has to end: others count on it.
    package func isPastLimit(at now: Int64) -> Bool {
        unprovenSince.map { now - $0 > QuorumRules.closeLimit } ?? false
    }

    /// The lease for whoever takes this router over: one that is to be closed has none left.
    package func handedLease(at now: Int64) -> Int64? {
        closeDue != nil || move?.closes == true && state != .closed ? now : leaseEnd
    }

    package var view: RouterView {
        switch state {
        case .leads(let uuid): .leadsTo(uuid: uuid)
        case .closed: .noAnswer("closed by this agent")
        case .unknown: .noAnswer("not asked yet, or it does not answer")
        }
    }

    /// It could not be moved several times over: an operation does not wait for it any longer.
    package var hasFailed: Bool { failures >= Self.patience }

    /// How long such a router is left alone before it is tried again: what kept it down may be mended soon, or never.
    private var pause: Int64 {
        hasFailed ? min(5_000 << Int64(min(failures - Self.patience, 4)), 60_000) : 0
    }

    // MARK: Orders

    /// Finds out where an earlier agent has left the router.
    package mutating func start() -> [Command] {
        guard state == .unknown, move == nil else { return [] }
        return begin(.finding, .ask(limit: 2_000))
    }

    /// Calls off what may be called off: the router stays as it is, unless it is being closed.
    package mutating func rest(at now: Int64) -> [Command] {
        guard let move, !move.closes else { return [] }
        return cancel(now)
    }

    package mutating func close(at now: Int64) -> [Command] {
        if let move {
            if move.closes { return [] }
            closeDue = now
            unprovenSince = unprovenSince ?? now
            return cancel(now)
        }
        if state == .closed, now - verifiedAt < Self.closedRhythm { return [] }
        if let due = closeDue, due > now { return [] }
        return beginClosing(now)
    }

    /// Where something else is under way the order is dropped, and the loop woken when that has ended: what is ordered
    /// then was decided then.
    package mutating func point(to id: ServerID, uuid: String, at now: Int64) -> [Command] {
        // A lease that has ended meanwhile has closed it, or is about to.
        guard let end = leaseEnd, now < end else { return [] }
        if uuid != failed.uuid { failures = 0 }
        guard now - failed.at >= pause else { return [] }
        switch move {
        case .verifying(id, uuid: uuid)?, .turning(id, uuid: uuid)?: return []
        case .verifying?, .turning?, .finding?: return cancel(now)
        case .verifyingClosed?, .stopping?, .verifyingStopped?: return []
        case nil: break
        }
        guard state == .leads(uuid: uuid) else { return turn(id, uuid) }
        guard now - verifiedAt >= Self.rhythm else { return [] }
        closeDue = nil
        return begin(.verifying(id, uuid: uuid), .ask(limit: probeTimeout))
    }

    /// - Parameter end: nil where the router needs no lease: it is to be closed already.
    package mutating func lease(until end: Int64?) { leaseEnd = end }

    /// To be called a few times in a second, whatever else the agent is doing.
    package mutating func tick(at now: Int64) -> [Command] {
        if let end = leaseEnd, end <= now {
            leaseEnd = nil
            return close(at: now)
        }
        if move == nil, let due = closeDue, due <= now { return beginClosing(now) }
        return []
    }

    private mutating func begin(_ move: Move, _ command: Command) -> [Command] {
        self.move = move
        return [command]
    }

    private mutating func cancel(_ now: Int64) -> [Command] {
        if cancelledAt != nil { return [] }
        cancelledAt = now
        return [.cancel]
    }

    private mutating func beginClosing(_ now: Int64) -> [Command] {
        closeDue = nil
        guard state == .closed else { return stop(now) }
        return begin(.verifyingClosed, .seeClosed(limit: Self.portLimit))
    }

    private mutating func stop(_ now: Int64) -> [Command] {
        state = .unknown
        openSince = openSince ?? now
        unprovenSince = unprovenSince ?? now
        return begin(.stopping, .stop(limit: QuorumRules.closeLimit))
    }

    private mutating func turn(_ id: ServerID, _ uuid: String) -> [Command] {
        state = .unknown
        (hasStopped, closeDue, openSince, unprovenSince) = (false, nil, nil, nil)
        return begin(.turning(id, uuid: uuid), .turn(to: id, uuid: uuid, limit: Self.turnLimit))
    }

    // MARK: Outcomes

    /// What became of the command that was under way.
    package mutating func ended(_ outcome: Outcome, at now: Int64) -> [Command] {
        guard let move else { return [] }
        let wasCancelled = cancelledAt != nil
        self.move = nil
        cancelledAt = nil
        switch move {
        case .finding: found(outcome, now)
        case .verifyingClosed:
            if outcome != .refused {
                // Somebody has started it.
                hasStopped = false
                return stop(now)
            }
            verifiedAt = now
        case .stopping:
            if outcome == .stopped { hasStopped = true }
            return begin(.verifyingStopped, .seeClosed(limit: Self.portLimit))
        case .verifyingStopped: return closed(outcome, now)
        case .verifying(let id, let uuid):
            // Only a router that is gone or leads elsewhere is touched: one whose server is busy would lose everybody's
            // sessions for nothing.
            if outcome == .refused || outcome != .silent && outcome != .leads(to: uuid), !wasCancelled {
                return turn(id, uuid)
            }
            if !wasCancelled { verifiedAt = now }
        case .turning(_, let uuid): turned(outcome, uuid, wasCancelled, now)
        }
        if closeDue != nil { return beginClosing(now) }
        return wasCancelled || state != .unknown && (move == .finding || isTurn(move)) ? [.wake] : []
    }

    private func isTurn(_ move: Move) -> Bool { if case .turning = move { true } else { false } }

    private mutating func found(_ outcome: Outcome, _ now: Int64) {
        guard case .leads(let uuid) = outcome else { return }
        state = .leads(uuid: uuid)
        // Its file has not been looked at: the first order to lead it there does that.
        verifiedAt = now - Self.rhythm
    }

    private mutating func closed(_ outcome: Outcome, _ now: Int64) -> [Command] {
        switch outcome {
        case .refused, .served: openSince = nil
        // It runs, whatever the stop command said.
        case .leads: hasStopped = false
        default: break
        }
        guard outcome == .refused, hasStopped else {
            closeDue = now + Self.closeAgain
            // Whatever was ordered meanwhile is ordered again.
            return [.report(outcome == .refused ? .notProvenClosed : .stillOpen), .wake]
        }
        state = .closed
        unprovenSince = nil
        verifiedAt = now
        return [.report(.closed), .wake]
    }

    private mutating func turned(_ outcome: Outcome, _ uuid: String, _ wasCancelled: Bool, _ now: Int64) {
        if outcome == .turned {
            state = .leads(uuid: uuid)
            verifiedAt = now
            failures = 0
        } else if !wasCancelled {
            failures += 1
            failed = (uuid, now)
        }
    }
}
