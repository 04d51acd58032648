import MySQLWire

/// What the plan of a step rests on, besides the step: what `RouterLedPolicy` or `QuorumPolicy` knew when it chose it.
package struct OperationContext: Sendable {
    /// This agent's name.
    package var agent: String
    /// The servers' addresses as the ledger has them.
    package var addresses: PerServer<String>
    /// Nil in router-led mode.
    package var rules: QuorumRules?
    package var seen: Observation
    package var ledger: Ledger?
    package var nextEpoch: UInt64
    package var witness = Witness()
    /// The primary by the record; unknown in router-led mode.
    package var primary: ServerID?
    /// Other lists of agents: their majorities have to agree as well.
    package var foreign: [AgentList] = []
    /// Whether a server let clients in when this agent saw it last, or was in offline_mode; nil where it saw nothing.
    package var admitted: PerServer<Bool> = .init()
    /// The server on which this agent holds a ledger session.
    package var joined: ServerID?

    package init(
        agent: String, addresses: PerServer<String>, rules: QuorumRules?, seen: Observation, ledger: Ledger?,
        nextEpoch: UInt64
    ) {
        self.agent = agent
        self.addresses = addresses
        self.rules = rules
        self.seen = seen
        self.ledger = ledger
        self.nextEpoch = nextEpoch
    }

    init(_ configuration: Configuration, seen: Observation, ledger: Ledger?, nextEpoch: UInt64) {
        var addresses = PerServer<String>()
        for id in ServerID.allCases { addresses[id] = configuration.servers[id].description }
        self.init(
            agent: configuration.agent.name, addresses: addresses,
            rules: configuration.mode == .quorum ? QuorumRules(configuration) : nil, seen: seen, ledger: ledger,
            nextEpoch: nextEpoch)
    }

    /// The epoch of the operation that is under way.
    package var epoch: UInt64 { ledger?.master?.epoch ?? 0 }

    /// Whether a majority of the agents has voted that this server, the primary, is lost.
    func isLost(_ server: ServerID) -> Bool {
        guard let rules, primary == server, let votes = seen.facts(server.other)?.quorum?.votes else { return false }
        return rules.isMajority(votes)
    }

    func entry(_ signal: Signal, epoch: UInt64) -> LedgerEntry {
        var routed = ""
        if case .leadsTo(let uuid) = seen.router { routed = uuid }
        return LedgerEntry(signal: signal, epoch: epoch, routed: routed, witness: witness)
    }
}
