import MySQLWire

/// What is known of one host after some probes. Pure: outcomes go in, numbers come out.
package struct ProbeStatistics: Sendable {
    /// Failures of one kind.
    package struct ErrorClass: Sendable, Hashable {
        /// For example `timeout (greeting)` or `ERROR 1045`.
        package var name: String
        package var count: Int
        /// The latest of them in full.
        package var message: String
    }

    /// The parts of a probe, in the order in which they come.
    package enum Stage: String, Sendable, CaseIterable { case total, connect, tls, auth, query }

    /// A server could answer with 65,536 error numbers; what comes after this many kinds is `other`.
    static let classLimit = 32

    package let address: ServerAddress
    package private(set) var sent = 0
    package private(set) var answered = 0
    /// The latest server that answered.
    package private(set) var peer: ProbePeer?
    private var classes: [String: ErrorClass] = [:]
    private var stages: [Stage: Latencies] = [:]
    private var onlyOwnFaults = true
    private let longest: Duration
    private let precision: Latencies.Precision

    /// - Parameter longest: the time limit of one probe.
    package init(_ address: ServerAddress, longest: Duration, precision: Latencies.Precision = .fine) {
        self.address = address
        self.longest = longest
        self.precision = precision
    }

    package mutating func add(_ outcome: ProbeOutcome) {
        sent += 1
        switch outcome {
        case .answered(let times, let peer):
            answered += 1
            self.peer = peer
            record(.total, times.total)
            record(.connect, times.connect)
            record(.tls, times.tls)
            record(.auth, times.authentication)
            record(.query, times.query)
        case .failed(let error):
            if ExitStatus.of(error) != ExitStatus.unknown { onlyOwnFaults = false }
            var name = error.number.map { "ERROR \($0)" } ?? "\(error.code) (\(error.phase.rawValue))"
            if classes[name] == nil, classes.count >= Self.classLimit - 1 { name = "other" }
            let count = classes[name]?.count ?? 0
            classes[name] = ErrorClass(name: name, count: count + 1, message: "\(error)")
        }
    }

    package var lost: Int { sent - answered }

    /// The most frequent first.
    package var errors: [ErrorClass] {
        classes.values.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
    }

    /// nil where no probe went through this stage: TLS in clear text, all but the query on a warm connection.
    package func latencies(_ stage: Stage) -> Latencies? { stages[stage] }

    /// `ok` if the host answered at least once. Where it never did: `unknown` if that was never anything but an own
    /// fault (a password, a name that does not resolve) or nothing was tried, else `critical`.
    package var exitStatus: Int32 {
        if answered > 0 { return ExitStatus.ok }
        return onlyOwnFaults ? ExitStatus.unknown : ExitStatus.critical
    }

    /// The status for all hosts: a host that is known not to answer outweighs one that nothing is known of.
    package static func exitStatus(_ hosts: [ProbeStatistics]) -> Int32 {
        let statuses = hosts.map(\.exitStatus)
        return [ExitStatus.critical, ExitStatus.unknown].first { statuses.contains($0) } ?? ExitStatus.ok
    }

    private mutating func record(_ stage: Stage, _ time: Duration?) {
        guard let time else { return }
        stages[stage, default: Latencies(longest: longest, precision: precision)].add(time)
    }
}
