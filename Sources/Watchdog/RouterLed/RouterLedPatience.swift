/// How long an agent of router-led mode goes on with what gets nowhere. Pure; times in milliseconds by the loop's clock.
package struct RouterLedPatience: Sendable {
    /// So many times in a row the router is tried; then it counts as failed, for so long.
    static let routerTries = 3
    static let routerPause: Int64 = 60_000
    /// How long an operation master waits for one and the same thing.
    static let waitLimit: Int64 = 90_000

    private var backoff = StepBackoff.routerLed
    private var router: (failures: Int, at: Int64) = (0, 0)
    private var waiting: (step: Step, since: Int64)?

    package init() {}

    /// Whether the router could not be turned. After a while it is tried again: what kept it down may be mended.
    package mutating func routerFailed(at now: Int64) -> Bool {
        guard router.failures >= Self.routerTries else { return false }
        guard now - router.at <= Self.routerPause else {
            router.failures = 0
            return false
        }
        return true
    }

    /// - Returns: the step that is done; nil if the agent gives its part up: an operation master that cannot go on,
    ///   perhaps only because of its own path to a server, lets others try.
    package mutating func admit(_ step: Step, _ local: LocalStatus, at now: Int64) -> Step? {
        let step = backoff.holdsBack(step, at: now) ? .wait(.until(.othersToTry)) : step
        guard local.holdsLock, case .wait = step else {
            waiting = nil
            return step
        }
        guard let since = waiting?.since, waiting?.step == step else {
            waiting = (step, now)
            return step
        }
        guard now - since > Self.waitLimit else { return step }
        waiting = nil
        backoff.giveUp(at: now)
        return nil
    }

    package mutating func succeeded(_ step: Step, at now: Int64) {
        backoff.succeeded(step, at: now)
        if case .route = step { router.failures = 0 }
    }

    /// - Returns: whether the agent gives its part in the operation up.
    package mutating func failed(_ step: Step, hopeless: Bool, at now: Int64) -> Bool {
        guard case .route = step else { return backoff.failed(hopeless: hopeless, at: now) }
        // The servers' side of an operation stands even if this host's router does not come back.
        router = (router.failures + 1, now)
        return false
    }

    /// Whether a master that gives up puts the replica back first, by an abort: it is to be brought back only, and nothing
    /// was done to it.
    package static func putsBack(_ ledger: Ledger?, _ seen: Observation, on server: ServerID?) -> Bool {
        guard let ledger, ledger.kind == .recover, ledger.server == server else { return false }
        return seen.facts(ledger.server.other)?.rebuilding == nil
    }
}
