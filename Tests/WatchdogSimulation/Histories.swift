import Watchdog

/// Runs histories and says what was found.
public enum Histories {
    public struct Finding: Sendable {
        public var seed: UInt64
        public var violation: String
        public var story: [String]
    }

    public struct Result: Sendable {
        public var histories = 0
        public var acknowledged = 0
        public var promotions = 0
        /// How many of them were switchovers.
        public var planned = 0
        /// Histories at whose end an operator has to decide, and every agent says so.
        public var held = 0
        public var findings: [Finding] = []

        public init() {}
    }

    /// One history; told in full if wanted.
    static func play(
        _ seed: UInt64, breakage: QuorumPolicy.Breakage?, toward: QuorumPolicy.Breakage?, alteration: Alteration? = nil,
        tell: Bool
    ) -> SimWorld {
        var dice = Dice(seed: seed &* 31 &+ 7)
        let plan = Plan.random(&dice, toward: toward ?? breakage)
        let world = SimWorld(seed: seed, plan: plan, breakage: breakage, alteration: alteration, tell: tell)
        world.run()
        return world
    }

    /// Histories of the seeds; ends early after so many findings.
    /// - Parameters:
    ///   - rule: a rule of the protocol that is broken on purpose.
    ///   - toward: a rule whose troubles come often, broken or not.
    ///   - alteration: what is done to every plan.
    public static func run(
        _ seeds: Range<UInt64>, breaking rule: String? = nil, toward: String? = nil,
        altering alteration: Alteration? = nil, findings limit: Int = 3
    ) -> Result {
        let breakage = rule.flatMap { QuorumPolicy.Breakage(rawValue: $0) }
        let toward = toward.flatMap { QuorumPolicy.Breakage(rawValue: $0) }
        var result = Result()
        for seed in seeds {
            let world = play(seed, breakage: breakage, toward: toward, alteration: alteration, tell: false)
            result.histories += 1
            result.acknowledged += world.oracle.count
            result.promotions += world.oracle.promotions.count
            result.planned += world.oracle.planned
            if world.oracle.held != nil { result.held += 1 }
            guard let violation = world.oracle.violations.first else { continue }
            let told = play(seed, breakage: breakage, toward: toward, alteration: alteration, tell: true)
            result.findings.append(
                Finding(seed: seed, violation: violation, story: ["\(told.plan)"] + (told.story ?? []) + told.state()))
            if result.findings.count >= limit { return result }
        }
        return result
    }

    /// Everything that happens in a history.
    public static func story(of seed: UInt64) -> [String] {
        play(seed, breakage: nil, toward: nil, tell: true).story ?? []
    }

    public static var rules: [String] { QuorumPolicy.Breakage.allCases.map(\.rawValue) }
}
