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
    /// An agent on another host goes by this one's name.
    case nameInDoubt(String)
    /// The other server may hold votes that cannot be seen.
    case majorityNotLasting(silent: ServerID)
    case openReplica(ServerID, primary: ServerID)
    case paused
    case sourceUnreachable(ServerID, from: ServerID, error: String)
    /// The source does not send what it was asked for, and has purged nothing that is missing.
    case refusedBySource(ServerID, by: ServerID, error: String)
    /// The applier stops at what no rebuild would mend.
    case applierStops(ServerID, error: String)
    /// The replica holds what the primary itself made and has lost.
    case lostByPrimary(GTIDSet, primary: ServerID, error: String)
    case rebuiltTooOften(ServerID, times: Int, error: String)
    /// The copy that is to replace half a copy does not come to its end.
    case copyFails(ServerID, of: ServerID, times: Int)
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
        case .nameInDoubt: .nameTwice
        case .majorityNotLasting: .majorityNotLasting
        case .openReplica: .openReplica
        case .paused: .paused
        case .sourceUnreachable: .sourceUnreachable
        case .refusedBySource: .sourceRefuses
        case .applierStops: .applierStops
        case .lostByPrimary: .lostByPrimary
        case .rebuiltTooOften: .rebuiltTooOften
        case .copyFails: .copyFails
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
        case .nameInDoubt(let name):
            "another host's agent goes by the name \(name) as well: neither votes, nor opens its router, until one of them has "
                + "another agent.name, or was away for 30 s with both servers answering"
        case .majorityNotLasting(let id):
            "\(id) cannot be asked: waiting for a lasting majority on \(id.other)"
        case .openReplica(let id, let primary): "\(id) is not closed, and no majority of agents sees \(primary)"
        case .paused: "paused by an operator"
        case .sourceUnreachable(let id, let source, let error): "\(id) does not reach \(source): \(error)"
        case .refusedBySource(let id, let source, let error):
            "\(source) does not send to \(id) what it asks for (\(error)), and has purged nothing that \(id) lacks, so it is not "
                + "rebuilt. Where that says that the replica has more GTIDs than the source, \(source) has lost transactions and "
                + "the data may differ: do not start it, see source-refuses in Reasons.md. Else look for a second replica with "
                + "its server_uuid or server_id, for max_allowed_packet on both, for a damaged binary log; then START REPLICA "
                + "on \(id)"
        case .applierStops(let id, let error):
            "replication on \(id) stops at what no rebuild is known to mend (\(error)): end the cause; it is started again, at "
                + "pauses of up to a minute"
        case .lostByPrimary(let set, let primary, let error):
            "\(primary.other) holds \(set), which \(primary) made and has lost (\(error)): decide which server is right"
        case .rebuiltTooOften(let id, let times, let error):
            "\(id) was rebuilt \(times == 1 ? "once" : "\(times) times") within a day and needs it again (\(error)): end the "
                + "cause, then 'ack' lets the agents rebuild it once more"
        case .copyFails(let id, let source, let times):
            "\(id) is half a copy of \(source), and \(times) copies within a day have failed: the agents' logs say at what; end "
                + "the cause, then 'ack' lets them try again"
        }
    }
}
