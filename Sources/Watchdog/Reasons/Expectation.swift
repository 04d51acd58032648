/// What an operation waits for.
package enum Expectation: Sendable, Hashable {
    /// Too few agents have turned away from the old primary; these have.
    case majority([String])
    /// These are expected to follow.
    case followers([String])
    case server(ServerID, reason: String)
    /// The old primary holds what the new one lacks.
    case fetched(from: ServerID, reason: String)
    /// Nothing proves that the routers of these hosts are closed.
    case fenceProof(of: [String])
    case routersClosed(of: [String], milliseconds: Int64)
    case majoritySees(ServerID)
    case routerTurned
    case routerMended
    case confirmations([String])
    /// Others have announced themselves, and this agent sees no need.
    case others
    /// Another one's turn.
    case turn(of: String)
    /// A majority has lost the primary, this agent has not.
    case othersWhoLost(ServerID)
    /// An operation was left, and its primary is silent to this agent.
    case clarity
    /// In router-led mode: an operation was left, and this host's router is silent.
    case router
    /// Somebody leads a failover that this agent sees no reason for.
    case disagreement(with: String)
    case master(String, Work)
    case replication(on: ServerID, from: ServerID, error: String)
    /// It gave an operation up a moment ago.
    case othersToTry

    /// What the operation master does meanwhile.
    package enum Work: Sendable, Hashable {
        case leads, works, promotes(ServerID), bringsBack, ends
    }
}

extension Expectation {
    package var code: Reason.Code {
        switch self {
        case .majority, .majoritySees: .noMajority
        case .followers: .followersAwaited
        case .server, .fetched: .serverSilent
        case .fenceProof: .fenceUnproven
        case .routersClosed: .fenceAwaited
        case .routerTurned: .routerTurning
        case .routerMended: .routerStuck
        case .confirmations: .confirmationsAwaited
        case .others: .othersConsider
        case .turn: .othersFirst
        case .othersWhoLost: .othersLostPrimary
        case .clarity: .leftOperation
        case .router: .routerSilent
        case .disagreement: .noReasonToFollow
        case .master: .masterWorks
        case .replication: .sourceUnreachable
        case .othersToTry: .recentlyGaveUp
        }
    }

    package var text: String {
        switch self {
        case .majority(let agents):
            "for a majority to follow" + (agents.isEmpty ? "" : "; so far \(Self.list(agents))")
        case .followers(let agents):
            agents.isEmpty ? "for followers" : "for \(Self.list(agents)) to follow"
        case .server(let id, let reason): "\(id) \(reason)"
        case .fetched(let id, let reason): "\(id) \(reason); what it holds cannot be fetched before it is back"
        case .fenceProof(let agents):
            "\(Self.list(agents)) did not follow, and nothing proves that their routers are closed: "
                + "set router.bound, use semi-synchronous replication, or give a fence_command"
        case .routersClosed(let agents, let left): "\(left) ms until the routers of \(Self.list(agents)) are closed"
        case .majoritySees(let id): "for a majority that sees \(id) as it should be"
        case .routerTurned: "this host's router turns"
        case .routerMended: "this host's router cannot be turned"
        case .confirmations(let agents): "for FOOK of \(Self.list(agents))"
        case .others: "other agents consider an operation"
        case .turn(let agent): "\(agent) comes first"
        case .othersWhoLost(let id): "a majority has lost \(id), this agent has not"
        case .clarity: "an operation was left, and its primary is silent"
        case .router: "an operation was left unfinished, and this host's router is silent"
        case .disagreement(let agent): "\(agent) leads a failover, this agent sees no reason for one"
        case .master(let agent, let work): "\(agent) \(work.text)"
        case .replication(let id, let source, let error): "\(id) does not reach \(source): \(error)"
        case .othersToTry: "this agent gave an operation up a moment ago and lets others try"
        }
    }

    private static func list(_ agents: [String]) -> String { agents.joined(separator: ", ") }
}

extension Expectation.Work {
    fileprivate var text: String {
        switch self {
        case .leads: "is operation master"
        case .works: "works"
        case .promotes(let id): "promotes \(id)"
        case .bringsBack: "brings the other server back"
        case .ends: "ends the operation"
        }
    }
}
