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
        /// Servers that were made whole by a copy; of router-led mode.
        public var rebuilds = 0
        /// Histories at whose end an operator has to decide, and every agent says so.
        public var held = 0
        public var findings: [Finding] = []

        public init() {}
    }

    /// One history; told in full if wanted.
    static func play(
        _ seed: UInt64, toward style: Plan.Style?, alteration: Alteration? = nil, tell: Bool
    ) -> SimWorld {
        var dice = Dice(seed: seed &* 31 &+ 7)
        let plan = Plan.random(&dice, toward: style)
        let world = SimWorld(seed: seed, plan: plan, alteration: alteration, tell: tell)
        world.run()
        return world
    }

    /// Histories of the seeds; ends early after so many findings.
    /// - Parameters:
    ///   - style: the kind of trouble that most histories are to have; one of `styles`.
    ///   - alteration: what is done to every plan.
    public static func run(
        _ seeds: Range<UInt64>, toward style: String? = nil,
        altering alteration: Alteration? = nil, findings limit: Int = 3
    ) -> Result {
        let style = style.flatMap(Plan.Style.init)
        var result = Result()
        for seed in seeds {
            let world = play(seed, toward: style, alteration: alteration, tell: false)
            result.histories += 1
            result.acknowledged += world.oracle.count
            result.promotions += world.oracle.promotions.count
            result.planned += world.oracle.planned
            if world.oracle.held != nil { result.held += 1 }
            guard let violation = world.oracle.violations.first else { continue }
            let told = play(seed, toward: style, alteration: alteration, tell: true)
            result.findings.append(
                Finding(seed: seed, violation: violation, story: ["\(told.plan)"] + (told.story ?? []) + told.state()))
            if result.findings.count >= limit { return result }
        }
        return result
    }

    /// Everything that happens in a history.
    public static func story(of seed: UInt64) -> [String] {
        play(seed, toward: nil, tell: true).story ?? []
    }

    /// Kinds of trouble.
    public static var styles: [String] { Plan.Style.allCases.map(\.rawValue) }
}
