import MySQLWire

/// Why an agent does nothing, waits, withdraws or ends an operation: what was seen, as values. The code stays from
/// version to version (`Reason.Code`); the sentence is made from the values and is never read by a program.
package indirect enum Reason: Sendable, Hashable {
    /// Nothing is to be done.
    case nothingToDo
    /// The servers leave open which of them is right.
    case ambiguous(Ambiguity)
    /// Router-led mode: the state, which asks for no operation.
    case state(ClusterState, Code?, summary: String)
    /// A condition of a failover does not hold.
    case blocked(FailoverCondition)
    /// Those who followed a failover attempt knew what would be lost.
    case lossNotAccepted(String)
    /// What keeps a primary closed, or a replica away.
    case held(Hold)
    /// What an operator's switchover waits for, and what is to be done meanwhile and cannot be.
    case switchoverBlocked(SwitchoverObstacle, also: Reason?)
    /// What an operation waits for.
    case until(Expectation)
    /// Why an operation ends without having come to its aim.
    case because(Ending)
    /// The agent's own disk.
    case stateNotWritten

    /// The same, with what passes by itself taken out: two reasons that differ by that alone are no news.
    package var lasting: Reason {
        switch self {
        case .blocked(let condition) where condition.code == .lost || condition.code == .blockPeriod:
            .blocked(FailoverCondition(code: condition.code, holds: condition.holds, text: ""))
        case .until(.routersClosed(let agents, _)): .until(.routersClosed(of: agents, milliseconds: 0))
        case .switchoverBlocked(let obstacle, let also): .switchoverBlocked(obstacle.lasting, also: also?.lasting)
        default: self
        }
    }
}

extension Reason: CustomStringConvertible {
    package var code: Code {
        switch self {
        case .nothingToDo: .nothingToDo
        case .ambiguous(let ambiguity): ambiguity.code
        case .state(let state, let code, _): code ?? state.code
        case .blocked(let condition): condition.code.reason
        case .lossNotAccepted: .lossNotAccepted
        case .held(let hold): hold.code
        case .switchoverBlocked(let obstacle, _): obstacle.code
        case .until(let expectation): expectation.code
        case .because(let ending): ending.code
        case .stateNotWritten: .stateNotWritten
        }
    }

    /// The sentence.
    package var description: String {
        switch self {
        case .nothingToDo: "nothing to do"
        case .ambiguous(let ambiguity): ambiguity.text
        case .state(_, _, let summary): summary
        case .blocked(let condition): condition.text
        case .lossNotAccepted(let what): what
        case .held(let hold): hold.text
        case .switchoverBlocked(let obstacle, let also):
            ["switchover: \(obstacle.text)", also.map { "\($0)" }].compactMap { $0 }.joined(separator: "; ")
        case .until(let expectation): expectation.text
        case .because(let ending): ending.text
        case .stateNotWritten: "cannot persist agent state"
        }
    }
}

extension ClusterState {
    fileprivate var code: Reason.Code {
        switch self {
        case .ok: .nothingToDo
        case .down: .serverSilent
        case .failover: .replicatesFromNobody
        case .recover: .replicationStopped
        case .ambiguous: .primaryUnknown
        case .unknown: .ownFault
        }
    }
}

extension FailoverCondition.Code {
    /// The reason, where it does not hold.
    package var reason: Reason.Code {
        switch self {
        case .replica: .replicaUnreachable
        case .lost: .notLost
        case .quorum: .noMajority
        case .lists: .listsDisagree
        case .copy: .halfMadeCopy
        case .applier: .applierBroken
        case .data: .replicaFiltered
        case .pause: .paused
        case .blockPeriod: .blockPeriod
        case .loss: .lossNotAccepted
        }
    }
}
