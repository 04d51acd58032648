/// A list of agents that somebody goes by who is connected to the servers. While it is not the own one, a change of
/// `agents` is half done: a majority of the one list may stand on one side of a partition and a majority of the other
/// on the other side. So both have to agree before anything is promoted, or a primary goes on without its replica.
package struct AgentList: Sendable, Hashable {
    /// `ConfigurationDigest.short` of those who go by it: it is a part of the names of their locks.
    package var digest: String
    /// Empty where they cannot be told: then nobody of them can be seen to agree.
    package var names: [String]

    package init(digest: String, names: [String]) {
        self.digest = digest
        self.names = names
    }

    var majority: Int { names.count / 2 + 1 }

    /// Reads what an agent of quorum mode calls itself. Names that are not those which its digest was made of tell nothing:
    /// a server may have cut them short.
    init?(program: String) {
        let words = program.split(separator: " ").map(String.init)
        guard words.first == "repl-watchdog", words.count >= 5, words[1].hasPrefix("protocol=") else { return nil }
        digest = ConfigurationDigest.hash(words[1...4].joined(separator: " "))
        let list = words.dropFirst(5).first { $0.hasPrefix("list=") }?.dropFirst(5) ?? ""
        names = list.split(separator: ",").map(String.init)
        if names.count > AgentSet.limit || words[2] != "agents=\(ConfigurationDigest.agents(names))" { names = [] }
    }

    /// As it is kept on disk: `digest:name,name`.
    init?(text: Substring) {
        let sides = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2, !sides[0].isEmpty else { return nil }
        digest = String(sides[0])
        names = sides[1].split(separator: ",").map(String.init)
    }

    var text: String { "\(digest):\(names.joined(separator: ","))" }
}

/// How many of another list's members hold a lock on a server, by whichever list they go.
package struct ListCount: Sendable, Hashable {
    package var votes = 0
    package var async = 0
    package var sees = 0

    package init(votes: Int = 0, async: Int = 0, sees: Int = 0) {
        self.votes = votes
        self.async = async
        self.sees = sees
    }
}

/// What one agent has seen of other lists since it was started.
struct ListWatch: Sendable {
    /// When an agent of a list was last seen; for one that is known from disk, when this agent began to look.
    private var seen: [String: Int64] = [:]
    private var asked = PerServer<Int64>()
    /// Since when this agent has been connected to each server, and when it last was.
    private var connected = PerServer<Int64>()
    private var lastSeen = PerServer<Int64>()
    /// Those who go by another list can know of this agent: they list it too, or it has been connected for long enough
    /// that they have seen it. Who does not know of a host may promote while its router is open.
    private(set) var isIntroduced = true

    /// How long nobody of a list must be seen on either server before it is forgotten, and where all own agents are known
    /// to go by the own list.
    private static let absence: Int64 = 30_000
    private static let fullHouse: Int64 = 10_000
    /// Within which every agent that reaches a server has asked it for lists (`QuorumLooks`), late looks included.
    private static let introduction: Int64 = 10_000
    /// Nobody forgets an agent so soon that was there (`fullHouse`): a session that is opened again makes no stranger.
    private static let forgotten: Int64 = 8_000

    /// The lists that still count after a look.
    mutating func after(
        _ observation: TimedObservation, _ foreign: [AgentList], _ rules: QuorumRules
    ) -> [AgentList] {
        let lists = counted(observation, foreign, own: rules.agents)
        introduce(observation, lists, rules)
        return lists
    }

    private mutating func introduce(_ observation: TimedObservation, _ lists: [AgentList], _ rules: QuorumRules) {
        var isNew = false
        for id in ServerID.allCases {
            guard let quorum = observation.seen.facts(id)?.quorum else { continue }
            let isLate = lastSeen[id].map { observation.now - $0 >= Self.forgotten } ?? true
            if quorum.here.contains(rules.own) {
                if isLate { connected[id] = observation.now }
                lastSeen[id] = observation.now
            } else if isLate {
                connected[id] = nil
            }
            isNew = isNew || connected[id].map { observation.now - $0 < Self.introduction } ?? true
        }
        isIntroduced = !isNew || lists.allSatisfy { $0.names.contains(rules.name) }
    }

    private mutating func counted(
        _ observation: TimedObservation, _ foreign: [AgentList], own: [String]
    ) -> [AgentList] {
        let everybody = AgentSet(own.indices)
        var lists = foreign
        var present: Set<String> = []
        var complete: [ServerID] = []
        for id in ServerID.allCases {
            guard let quorum = observation.seen.facts(id)?.quorum, let found = quorum.lists else { continue }
            asked[id] = observation.now
            if quorum.here == everybody { complete.append(id) }
            for list in found {
                present.insert(list.digest)
                seen[list.digest] = observation.now
                if let place = lists.firstIndex(where: { $0.digest == list.digest }) {
                    lists[place] = list
                } else {
                    lists.append(list)
                }
            }
        }
        guard !lists.isEmpty else { return lists }
        let both = ServerID.allCases.allSatisfy { asked[$0].map { observation.now - $0 <= Self.fullHouse } ?? false }
        return lists.filter { list in
            let last = seen[list.digest] ?? observation.now
            seen[list.digest] = last
            let absent = observation.now - last
            // Those who go by the own list now have left it no majority.
            let isOutvoted = !list.names.isEmpty && list.names.count { !own.contains($0) } < list.majority
            return !(both && absent >= Self.absence || isOutvoted && !complete.isEmpty && absent >= Self.fullHouse)
        }
    }
}

extension ConfigurationDigest {
    /// The own list.
    var own: AgentList { AgentList(digest: short, names: list.split(separator: ",").map(String.init)) }
}

extension DurableState {
    /// What is kept, under the list that the agent goes by from now on. The one before counts until nobody is seen to go
    /// by it any more.
    package func under(_ list: AgentList) -> DurableState {
        var durable = self
        durable.foreign.removeAll { $0.digest == list.digest }
        if !self.list.digest.isEmpty, self.list.digest != list.digest,
            !durable.foreign.contains(where: { $0.digest == self.list.digest })
        {
            durable.foreign.append(self.list)
        }
        durable.list = list
        return durable
    }
}

extension QuorumPolicy {
    /// The other lists whose majority does not hold this on a server, with how many do.
    func dissenting(_ quorum: QuorumFacts, _ kind: KeyPath<ListCount, Int>) -> [String] {
        durable.foreign.compactMap { list in
            let count = quorum.listCounts[list.digest]?[keyPath: kind] ?? 0
            guard list.names.isEmpty || count < list.majority else { return nil }
            return list.names.isEmpty
                ? "a list that cannot be told"
                : "\(list.names.joined(separator: ", ")) (\(count) of \(list.names.count))"
        }
    }

    /// A majority sees the server that is asked as the primary: of the own list, and of every other one that agents go by.
    /// On the other side of a partition the other list may have a majority of its own, and promote.
    func isSeenByMajority(_ quorum: QuorumFacts) -> Bool {
        rules.isMajority(quorum.seesPrimary) && dissenting(quorum, \.sees).isEmpty
    }

    /// A majority has promised to have turned away, of the own list and of every other one. A vote may be taken back at any
    /// time.
    func isMajorityPromised(_ promised: AgentSet, _ ledger: Ledger, _ master: LedgerRow) -> Bool {
        guard rules.isMajority(promised) else { return false }
        var names = Set(promised.names(rules.agents))
        for row in ledger.rows where row.epoch == master.epoch {
            if case .folo(let host) = row.signal { names.insert(host) }
        }
        return durable.foreign.allSatisfy { list in
            !list.names.isEmpty && list.names.count { names.contains($0) } >= list.majority
        }
    }

    /// While agents go by two lists, both majorities have to agree.
    func listsCondition(_ quorum: QuorumFacts) -> FailoverCondition? {
        guard !durable.foreign.isEmpty else { return nil }
        let left = dissenting(quorum, \.votes)
        return FailoverCondition(
            code: .lists, holds: left.isEmpty,
            text: left.isEmpty
                ? "agents go by two lists, and both majorities agree"
                : "agents go by two lists: no majority of \(left.joined(separator: "; ")); give every agent the same list"
        )
    }
}
