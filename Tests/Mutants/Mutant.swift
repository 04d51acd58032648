import Glibc

/// What is broken in this process, by its number in $MUTANT. Only in the copy that Scripts/mutate makes.
package enum Mutant {
    private static let active = getenv("MUTANT").flatMap { Int(String(cString: $0)) } ?? 0

    /// A condition, or its opposite.
    package static func flip(_ number: Int, _ condition: @autoclosure () -> Bool) -> Bool {
        condition() != (number == active)
    }

    /// Whether a pattern may match.
    package static func keep(_ number: Int) -> Bool { number != active }

    /// Whether a rule of Rules.toml is broken.
    package static func breaks(_ number: Int) -> Bool { number == active }

    /// The agents of the set, and one more whose voice is that of another.
    package static func twice(_ agents: AgentSet) -> AgentSet {
        guard let first = (0..<AgentSet.limit).first(where: agents.contains) else { return agents }
        var more = agents
        more.insert(first == 0 ? 1 : 0)
        return more
    }
}
