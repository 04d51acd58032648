/// Which hosts' routers lead to a new primary, by what the agents say on it: in the ledger of the operation, and by the
/// lock of a router that cannot be turned. Pure: look after look.
struct TurnedRouters {
    private let agents: [String]
    /// The agent of the host that asks, which sees its own router itself.
    private let own: String
    private let new: ServerID

    private var confirmed: Set<String> = []
    /// Agents that took part and have not confirmed, while the ledger was there.
    private var unconfirmed: Set<String> = []
    private var stuck: Set<String> = []
    private var present: Set<String> = []
    private var ownLeads = false
    private var isUnderWay = true
    /// The operation has ended before its master stops waiting for those who live: they have all confirmed.
    private var endedEarly = false

    init(agents: [String], own: String, new: ServerID) {
        (self.agents, self.own, self.new) = (agents, own, new)
    }

    /// - Parameter opened: how long ago the new primary was seen to be open, in milliseconds.
    mutating func look(_ seen: Observation, opened: Int64) {
        guard let facts = seen.facts(new), let quorum = facts.quorum else { return }
        stuck = Set(quorum.routersStuck.names(agents))
        present = Set(quorum.here.union(quorum.seesPrimary).names(agents))
        ownLeads = seen.routed == new
        guard let ledger = seen.ledger(on: new), ledger.kind == .failover else {
            // The last confirmation and the end of the ledger may come between two looks.
            if isUnderWay { endedEarly = opened < QuorumPolicy.confirmGrace - QuorumPolicy.followerGrace }
            isUnderWay = false
            return
        }
        isUnderWay = true
        confirmed = Set(ledger.followers.filter { ledger.has(.fook(host: $0)) })
        if ledger.masterDone, let master = ledger.master?.agent { confirmed.insert(master) }
        unconfirmed = Set(ledger.followers + [ledger.master?.agent].compactMap { $0 }).subtracting(confirmed)
    }

    /// Hosts without an agent at work: where their routers lead is not known.
    var away: [String] { agents.filter { !present.contains($0) && !($0 == own && ownLeads) } }

    /// Hosts whose router has not turned, although their agent is at work.
    var notTurned: [String] { agents.filter { present.contains($0) && !hasTurned($0) } }

    private func hasTurned(_ agent: String) -> Bool {
        if agent == own { return ownLeads }
        if stuck.contains(agent) { return false }
        if confirmed.contains(agent) { return true }
        return !isUnderWay && (endedEarly || !unconfirmed.contains(agent))
    }

    /// Nothing is waited for any more: each has turned, is stuck, or is away for longer than a session takes to be opened
    /// again.
    func isSettled(opened: Int64) -> Bool {
        guard away.isEmpty || opened >= QuorumPolicy.followerGrace else { return false }
        return notTurned.allSatisfy(stuck.contains) || !isUnderWay && ownLeads
    }

    /// What an operator is told, and the status that the command ends with: as `status` on this host would.
    func answer(_ done: String) -> OperatorAnswer {
        var sentences: [String] = []
        if !notTurned.isEmpty {
            sentences.append(
                "the router of \(notTurned.joined(separator: ", ")) has not turned to it, and its clients are not served as "
                    + "they should be: the agent's log there says why (router-not-turned), and check on that host")
        }
        if !away.isEmpty {
            sentences.append(
                "no agent is at work on \(away.joined(separator: ", ")), so its router is not turned: start it there "
                    + "(repl-watchdog run)")
        }
        guard !sentences.isEmpty else { return OperatorAnswer(done) }
        return OperatorAnswer(
            ([done + ", the switchover is done; but not every router leads there"] + sentences).joined(separator: "\n"),
            exitStatus: ownLeads ? ExitStatus.warning : ExitStatus.critical)
    }
}

/// What an operator's command prints, and the status that it ends with.
package struct OperatorAnswer: Sendable {
    package var text: String
    package var exitStatus: Int32

    package init(_ text: String, exitStatus: Int32 = ExitStatus.ok) {
        (self.text, self.exitStatus) = (text, exitStatus)
    }
}
