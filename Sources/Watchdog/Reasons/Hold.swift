import MySQLWire

/// What keeps a primary closed, or a replica away, although the servers answer. In quorum mode.
package enum Hold: Sendable, Hashable {
    /// The primary does not answer this agent; too few others have lost it.
    case notLostByMajority(ServerID)
    case halfMadeCopy(ServerID)
    case incompletePrimary(ServerID)
    case closedUnseen(ServerID)
    case closedAndPaused(ServerID)
    case votesAgainst(ServerID)
    case failoverUnderWay(on: ServerID)
    /// This agent's memory was lost, or is new, and a server does not answer.
    case withoutMemory(silent: ServerID?)
    /// The other server may hold votes that cannot be seen.
    case majorityNotLasting(silent: ServerID)
    case openReplica(ServerID, primary: ServerID)
    case paused
    case sourceUnreachable(ServerID, from: ServerID, error: String)
    /// The replica holds what the primary itself made and has lost.
    case lostByPrimary(GTIDSet, primary: ServerID, error: String)
    case rebuiltTooOften(ServerID, times: Int, error: String)
}

extension Hold {
    package var code: Reason.Code {
        switch self {
        case .notLostByMajority, .closedUnseen: .noMajority
        case .halfMadeCopy: .halfMadeCopy
        case .incompletePrimary: .primaryIncomplete
        case .closedAndPaused: .closedAndPaused
        case .votesAgainst: .votesAgainst
        case .failoverUnderWay: .failoverUnderWay
        case .withoutMemory: .withoutMemory
        case .majorityNotLasting: .majorityNotLasting
        case .openReplica: .openReplica
        case .paused: .paused
        case .sourceUnreachable: .sourceUnreachable
        case .lostByPrimary: .lostByPrimary
        case .rebuiltTooOften: .rebuiltTooOften
        }
    }

    package var text: String {
        switch self {
        case .notLostByMajority(let id): "no majority of the agents has lost \(id)"
        case .halfMadeCopy(let id): "\(id) is a half-made copy: nobody may write to it"
        case .incompletePrimary(let id): "\(id) lacks what it was seen to have: it is not opened"
        case .closedUnseen(let id): "\(id) is closed, and no majority of agents sees it"
        case .closedAndPaused(let id): "\(id) is closed, and the agents are paused by an operator: resume opens it"
        case .votesAgainst(let id): "some agents still vote against \(id)"
        case .failoverUnderWay(let id): "an operation on \(id) is under way"
        case .withoutMemory(let silent):
            "this agent remembers nothing, so it gives no vote before both servers have answered it"
                + (silent.map { ": \($0) does not; if it will not come back, 'trust \($0.other)'" } ?? "")
        case .majorityNotLasting(let id):
            "\(id) cannot be asked: waiting for a lasting majority on \(id.other)"
        case .openReplica(let id, let primary): "\(id) is not closed, and no majority of agents sees \(primary)"
        case .paused: "paused by an operator"
        case .sourceUnreachable(let id, let source, let error): "\(id) does not reach \(source): \(error)"
        case .lostByPrimary(let set, let primary, let error):
            "\(primary.other) holds \(set), which \(primary) made and has lost (\(error)): decide which server is right"
        case .rebuiltTooOften(let id, let times, let error):
            "\(id) was rebuilt \(times) times within a day and is broken again (\(error)): end the cause, then 'ack' lets "
                + "the agents rebuild it once more"
        }
    }
}
