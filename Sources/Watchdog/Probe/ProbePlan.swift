import MySQLWire

/// How servers are to be probed.
package struct ProbePlan: Sendable {
    /// Probes of each host, at least 1; nil: until the task is cancelled.
    package var count: Int?
    /// Least time between the starts of two probes of one host. After a probe that took longer nothing is made up for,
    /// so a host that comes back is not met by a burst.
    package var interval: Duration
    /// The longest time for one probe, from name resolution to the answer of the query. More than zero.
    package var timeout: Duration
    /// Probes of one host that may be under way at once, at least 1.
    package var concurrency: Int
    /// One connection is opened and kept for many probes, instead of one for each. There are as many as `concurrency`.
    package var reuse: Bool

    package init(
        count: Int? = 10, interval: Duration = .seconds(1), timeout: Duration = .seconds(2), concurrency: Int = 1,
        reuse: Bool = false
    ) {
        self.count = count
        self.interval = interval
        self.timeout = timeout
        self.concurrency = concurrency
        self.reuse = reuse
    }
}

/// How long the stages of one answered probe took.
package struct ProbeTimes: Sendable, Hashable {
    /// Name resolution and the TCP connection. This and the next two are nil where a warm connection was used.
    package var connect: Duration?
    /// From there to the end of TLS, the server's greeting included; nil in clear text.
    package var tls: Duration?
    /// From there to the end of the authentication; in clear text the server's greeting is part of it.
    package var authentication: Duration?
    /// From the question to its whole answer.
    package var query: Duration
    /// What the caller of a probe waited for: all stages, or the query alone where connections are kept.
    package var total: Duration

    package init(
        connect: Duration? = nil, tls: Duration? = nil, authentication: Duration? = nil, query: Duration,
        total: Duration
    ) {
        self.connect = connect
        self.tls = tls
        self.authentication = authentication
        self.query = query
        self.total = total
    }
}

/// What the other end turned out to be.
package struct ProbePeer: Sendable, Hashable {
    /// The server's version as it says it.
    package var version: String
    /// For example `TLSv1.3`; nil in clear text.
    package var tls: String?
    /// How the account was authenticated, in words.
    package var authentication: String

    package init(version: String, tls: String? = nil, authentication: String) {
        self.version = version
        self.tls = tls
        self.authentication = authentication
    }
}

/// How one probe ended.
package enum ProbeOutcome: Sendable {
    case answered(ProbeTimes, ProbePeer)
    case failed(MySQLError)
}
