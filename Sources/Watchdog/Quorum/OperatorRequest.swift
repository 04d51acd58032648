/// What an operator can ask of the agents, and why that could not lead anywhere at this moment: pure.
enum OperatorRequest: Sendable, Hashable, CaseIterable {
    case pause, resume, acknowledge, switchover, failover

    /// What was seen by the one who asks.
    struct Situation {
        var diagnosis: Diagnosis
        var seen: Observation
        var conditions: [FailoverCondition]

        var primary: ServerID? { diagnosis.primary }
        var facts: ServerFacts? { primary.flatMap { seen.facts($0) } }
        var isOpen: Bool { facts.map { !$0.readOnly && !$0.superReadOnly } ?? false }
        var isPaused: Bool { facts?.quorum?.control.paused == true }
        func holds(_ code: FailoverCondition.Code) -> Bool { conditions.contains { $0.code == code && $0.holds } }
        /// Whether it is lost is for a majority of the agents to say: this is one look, of one host.
        var mayBeLost: Bool { facts == nil || holds(.lost) || holds(.quorum) }
    }

    /// How it is carried out.
    enum Path: Sendable, Hashable {
        /// A row on the open primary, which replicates.
        case note
        /// A lock that the agents see while the operator waits.
        case ask(on: ServerID)
        /// Such a lock on a primary that is closed, and the row when it is open.
        case askThenNote(on: ServerID)
        case refused(String)
    }

    func path(_ now: Situation) -> Path {
        guard let primary = now.primary else { return .refused("the primary is not known: \(now.diagnosis.summary)") }
        switch self {
        case .pause, .acknowledge: return now.isOpen ? .note : .refused(Self.closed(now))
        case .resume:
            if now.isOpen { return .note }
            return now.facts != nil && now.isPaused ? .askThenNote(on: primary) : .refused(Self.closed(now))
        case .failover:
            guard now.seen.facts(primary.other) != nil else {
                return .refused("\(primary.other) \(now.seen[primary.other].reason): it cannot become the primary")
            }
            guard now.diagnosis.state != .ambiguous else {
                return .refused("\(now.diagnosis.evidence.first ?? now.diagnosis.state.rawValue): see status")
            }
            guard now.mayBeLost else {
                let closed = now.facts != nil && !now.isOpen && now.isPaused
                return .refused(
                    "\(primary) is not lost: it answers, and no majority of the agents has lost it. "
                        + (closed ? "It is opened by: resume" : "For a planned change: switchover"))
            }
            return .ask(on: primary.other)
        case .switchover: return Self.obstacle(now, primary).map { .refused($0) } ?? .ask(on: primary.other)
        }
    }

    private static func closed(_ now: Situation) -> String {
        "no primary takes writes, and the note must replicate; a lost primary is replaced in spite of a pause or a "
            + "block period by 'failover': \(now.diagnosis.summary)"
    }

    /// What no waiting helps against. Anything else the agents repair, and the request waits for that.
    private static func obstacle(_ now: Situation, _ primary: ServerID) -> String? {
        guard now.facts != nil else { return "there is no primary that answers: \(now.diagnosis.summary)" }
        if !now.isOpen, now.isPaused {
            return "\(primary) is closed, and the agents are paused, so that they do not open it: resume comes first"
        }
        guard let replica = now.seen.facts(primary.other) else {
            return "\(primary.other) \(now.seen[primary.other].reason): it cannot become the primary"
        }
        if replica.isOffline { return SwitchoverObstacle.offline(primary.other).text }
        if now.isPaused, replica.rebuilding != nil || replica.channels.first?.health != .running {
            return
                "replication on \(primary.other) does not run, and the agents are paused, so that they do not repair it: "
                + "resume comes first"
        }
        return nil
    }
}
