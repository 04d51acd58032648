/// Some of the configured agents, by their place in `agents`. The denominator of every majority is what is configured,
/// never who showed up.
package struct AgentSet: Sendable, Hashable {
    /// Most agents that a configuration may name.
    package static let limit = 64

    private var bits: UInt64

    package init() { bits = 0 }

    package init(_ indices: some Sequence<Int>) {
        self.init()
        for index in indices { insert(index) }
    }

    package mutating func insert(_ index: Int) {
        guard (0..<Self.limit).contains(index) else { return }
        bits |= 1 << UInt64(index)
    }

    package mutating func remove(_ index: Int) {
        guard (0..<Self.limit).contains(index) else { return }
        bits &= ~(1 << UInt64(index))
    }

    package func contains(_ index: Int) -> Bool {
        (0..<Self.limit).contains(index) && bits & (1 << UInt64(index)) != 0
    }

    package var count: Int { bits.nonzeroBitCount }
    package var isEmpty: Bool { bits == 0 }
    package func union(_ other: AgentSet) -> AgentSet { AgentSet(bits: bits | other.bits) }
    package func subtracting(_ other: AgentSet) -> AgentSet { AgentSet(bits: bits & ~other.bits) }

    private init(bits: UInt64) { self.bits = bits }

    /// The names of the members, in the order of the configuration.
    package func names(_ agents: [String]) -> [String] {
        agents.indices.filter(contains).map { agents[$0] }
    }
}
