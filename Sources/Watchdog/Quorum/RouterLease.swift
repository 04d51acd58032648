/// How long this host's router may be open on what was seen last. Times are milliseconds of the agent's own clock.
package struct RouterLease: Sendable {
    /// The server that the router may lead to.
    package private(set) var server: ServerID?
    package private(set) var until: Int64 = .min
    /// The router may not be reopened on the word of locks that could be left over.
    package private(set) var hasLapsed = true
    /// The router leads to a process that is gone, and that starts closed: it need not be closed in time.
    package private(set) var isNeedless = false
    /// Since when a majority has been seen on the primary, look after look.
    private(set) var majoritySince: Int64?

    func isHeld(on id: ServerID, at now: Int64) -> Bool { server == id && now < until }

    /// Extends the lease on this server, or begins one there. A later end is never taken back.
    mutating func grant(on id: ServerID, until end: Int64) {
        until = server == id ? max(until, end) : end
        server = id
        hasLapsed = false
    }

    /// The router may stay as an earlier life of this agent has left it; it may not be opened on that.
    mutating func keepOpen(to id: ServerID, until end: Int64) {
        server = id
        until = end
    }

    /// The primary is another server now.
    mutating func end() { until = .min }

    /// It has ended; what opens the router again must be newer than that.
    mutating func lapse() { hasLapsed = true }

    /// This agent votes against the primary.
    /// - Parameter needless: nobody can write there any more.
    mutating func giveUp(needless: Bool) {
        hasLapsed = true
        until = .min
        isNeedless = needless
    }

    mutating func need() { isNeedless = false }

    mutating func noteMajority(_ seen: Bool, at now: Int64) {
        majoritySince = seen ? majoritySince ?? now : nil
    }
}
