/// What the cluster is in, as one agent sees it.
package enum ClusterState: String, Sendable, Hashable {
    /// The queries go to the primary, replication runs.
    case ok
    /// A database server does not answer.
    case down
    /// The queries go to the replica: the primary has crashed.
    case failover
    /// The queries go to the primary, replication on the replica is broken.
    case recover
    /// Anything else. Left alone, explained.
    case ambiguous
    /// This agent cannot judge: its own name resolution, credentials or certificates fail.
    case unknown
}

/// One of the states, with what was seen that led to it.
package struct Diagnosis: Sendable {
    package var state: ClusterState
    /// The server that the data says is primary: replicates from nobody, and the other one from it.
    package var primary: ServerID?
    package var replica: ServerID? { primary?.other }
    /// Facts, in words, strongest first.
    package var evidence: [String]
    /// The strongest of them, by its code; nil where nothing stands in the way of anything.
    package var code: Reason.Code?
    /// Set where the state is `ok` or `recover` by the servers but the local router is not part of the evidence.
    package var routerProblem: String?
    /// Writes hang on the primary, although it answers.
    package var stalled = false
    /// Transactions that only the replica has although replication runs: rows that the primary does not know.
    package var errant: GTIDSet = GTIDSet()
    /// Servers that take no writes, outside an operation: the routers could not use them.
    package var closed: [ServerID] = []
    /// In quorum mode: the primary is up and does not count as one.
    package var incomplete = false
    /// In quorum mode: agents of which there are two, where that is known.
    package var doubles: Set<String> = []
    /// In quorum mode: the replica takes clients' writes.
    package var exposed = false
    /// In quorum mode: agents, on whatever host, that cannot turn their router to the primary.
    package var stuckRouters: [String] = []
    /// What a failover rests on and does not hold.
    package private(set) var unmet: [UnmetPrecondition] = []
    /// On the open primary; looked for where somebody asks for a report.
    package private(set) var abandoned: AbandonedTransactions?

    package init(
        _ state: ClusterState, primary: ServerID? = nil, _ evidence: [String], routerProblem: String? = nil,
        code: Reason.Code? = nil
    ) {
        self.state = state
        self.code = code
        self.primary = primary
        self.evidence = evidence
        self.routerProblem = routerProblem
    }

    /// Says them as well.
    mutating func note(_ unmet: [UnmetPrecondition]) {
        self.unmet += unmet
        evidence += unmet.map(\.line)
    }

    mutating func note(_ abandoned: AbandonedTransactions, on id: ServerID) {
        self.abandoned = abandoned
        evidence.append(abandoned.text(on: id))
    }

    /// The code of what is to be said first; nil where there is none.
    package var reason: Reason.Code? {
        if let code { return code }
        if incomplete { return .primaryIncomplete }
        if !doubles.isEmpty { return .nameTwice }
        if stalled { return .primaryStalled }
        if exposed { return .openReplica }
        if !errant.isEmpty { return .errantTransactions }
        if let reason = unmet.lazy.compactMap(\.precondition.reason).first { return reason }
        if routerProblem != nil { return .routerSilent }
        if !stuckRouters.isEmpty { return .routerStuck }
        if abandoned != nil, state == .ok { return .preparedTransactions }
        return switch state {
        case .ok: .nothingToDo
        case .down: .serverSilent
        case .recover: .replicationStopped
        case .unknown: .ownFault
        case .failover, .ambiguous: nil
        }
    }

    package var summary: String { ([state.rawValue] + evidence).joined(separator: " · ") }
}
