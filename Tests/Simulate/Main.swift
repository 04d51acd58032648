import Glibc
import WatchdogSimulation

/// simulate [--mode quorum|router-led] [--histories N] [--seed N] [--toward STYLE] [--leave-out COMMAND] [--repeat COMMAND] [--swap COMMAND]
///     [--pretend COMMAND] [--check-commands N] [--findings N] [--jobs N]
@main
struct Simulate {
    struct Options {
        var histories: UInt64 = 20_000
        var seed: UInt64 = 1
        var mode = "quorum"
        var toward: String?
        var alteration: Alteration?
        /// Leave out and repeat every command in turn, each for at most so many histories.
        var checkCommands: UInt64?
        var findings = 1
        var jobs = 2
    }

    static func main() async {
        guard let options = parse() else { exit(64) }
        if let limit = options.checkCommands { await checkCommands(options, limit) }
        let began = ContinuousClock.now
        let sum = await run(options)
        let seconds = max(0.001, began.duration(to: .now) / .seconds(1))
        for finding in sum.findings {
            print("seed \(finding.seed): \(finding.violation)")
            for line in finding.story { print("  \(line)") }
        }
        print(
            "\(sum.histories) histories in \(Int(seconds)) s (\(Int(Double(sum.histories) / seconds)) a second), "
                + "\(sum.acknowledged) acknowledged writes, \(sum.promotions) promotions, "
                + "\(sum.planned) switchovers, \(sum.rebuilds) rebuilds, \(sum.held) left to an operator, \(sum.findings.count) violations"
        )
        exit(sum.findings.isEmpty ? 0 : 1)
    }

    private static func run(_ options: Options) async -> Histories.Result {
        let share = (options.histories + UInt64(options.jobs) - 1) / UInt64(options.jobs)
        var sum = Histories.Result()
        await withTaskGroup(of: Histories.Result.self) { group in
            for job in 0..<UInt64(options.jobs) {
                let start = options.seed + job * share
                let end = min(start + share, options.seed + options.histories)
                group.addTask {
                    play(options, start..<max(start, end), options.alteration, options.findings)
                }
            }
            for await result in group {
                sum.histories += result.histories
                sum.acknowledged += result.acknowledged
                sum.promotions += result.promotions
                sum.planned += result.planned
                sum.rebuilds += result.rebuilds
                sum.held += result.held
                sum.findings += result.findings
            }
        }
        return sum
    }

    private static func play(
        _ options: Options, _ seeds: Range<UInt64>, _ alteration: Alteration? = nil, _ findings: Int = 1
    ) -> Histories.Result {
        options.mode == "quorum"
            ? Histories.run(seeds, toward: options.toward, altering: alteration, findings: findings)
            : RouterLedHistories.run(seeds, altering: alteration, findings: findings)
    }

    /// One command after the other. Left out, it must be missed, or stand in the list of those that are not, with the
    /// reason; done twice, it must do no harm.
    private static func checkCommands(_ options: Options, _ limit: UInt64) async -> Never {
        var wrong = 0
        let seeds = options.seed..<options.seed + limit
        let usual = play(options, seeds)
        let isQuorum = options.mode == "quorum"
        let harmless = isQuorum ? Histories.harmless : RouterLedHistories.harmless
        let names = isQuorum ? Alteration.names : RouterLedHistories.commands(of: seeds).sorted()
        for kind in [Alteration.Kind.leaveOut, .repeat] {
            await withTaskGroup(of: (String, String?).self) { group in
                var names = names[...]
                func next() {
                    guard let name = names.popFirst() else { return }
                    group.addTask {
                        let result = play(options, seeds, Alteration(kind, name))
                        if let trouble = noticed(result, usual) { return (name, trouble) }
                        guard kind == .leaveOut, harmless[name] == nil else { return (name, nil) }
                        // Seldom needed, perhaps: ten times as many say so.
                        let more = play(
                            options, seeds.upperBound..<seeds.upperBound + 9 * limit, Alteration(kind, name))
                        return (name, more.findings.first.map { "noticed, seed \($0.seed): \($0.violation)" })
                    }
                }
                for _ in 0..<options.jobs { next() }
                for await (name, trouble) in group {
                    let reason = kind == .leaveOut ? harmless[name] : nil
                    let isWrong = kind == .leaveOut ? (trouble == nil) != (reason != nil) : trouble != nil
                    if isWrong { wrong += 1 }
                    print(
                        "\(isWrong ? "UNEXPECTED " : "")\(kind.rawValue) \(name): "
                            + "\(trouble ?? "not noticed in \(limit) histories")\(reason.map { " (\($0))" } ?? "")")
                    // Each as it comes, into a file as well.
                    fflush(nil)
                    next()
                }
            }
        }
        print("\(names.count) commands left out and repeated, \(wrong) unexpected")
        exit(wrong == 0 ? 0 : 1)
    }

    /// An invariant that broke; far fewer primaries replaced, or far more left to an operator, is noticed as well.
    private static func noticed(_ result: Histories.Result, _ usual: Histories.Result) -> String? {
        if let finding = result.findings.first {
            return "noticed in history \(result.histories), seed \(finding.seed): \(finding.violation)"
        }
        if result.promotions * 10 < usual.promotions * 7 {
            return "noticed: \(result.promotions) promotions instead of \(usual.promotions)"
        }
        if result.planned * 10 < usual.planned * 3 {
            return "noticed: \(result.planned) switchovers instead of \(usual.planned)"
        }
        if result.rebuilds * 10 < usual.rebuilds * 3 {
            return "noticed: \(result.rebuilds) rebuilds instead of \(usual.rebuilds)"
        }
        if result.held * 10 > usual.held * 11 + 100 {
            return "noticed: \(result.held) histories are left to an operator instead of \(usual.held)"
        }
        return nil
    }

    private static func parse() -> Options? {
        var options = Options()
        var arguments = CommandLine.arguments.dropFirst()[...]
        while let option = arguments.popFirst() {
            guard let value = arguments.popFirst() else { return complain("\(option) needs a value") }
            let number = UInt64(value)
            switch option {
            case "--mode":
                guard ["quorum", "router-led"].contains(value) else { return complain("no mode '\(value)'") }
                options.mode = value
                continue
            case "--toward":
                guard Histories.styles.contains(value) else {
                    return complain("no style '\(value)': \(Histories.styles.joined(separator: ", "))")
                }
                options.toward = value
                continue
            case "--leave-out", "--repeat", "--swap", "--pretend":
                guard let kind = Alteration.Kind(rawValue: String(option.dropFirst(2))),
                    let alteration = Alteration(kind, value)
                else { return complain("no command '\(value)': \(Alteration.names.joined(separator: ", "))") }
                options.alteration = alteration
                continue
            case "--histories": options.histories = number ?? 0
            case "--seed": options.seed = number ?? 0
            case "--jobs": options.jobs = Int(clamping: min(64, max(1, number ?? 1)))
            case "--findings": options.findings = Int(clamping: number ?? 1)
            case "--check-commands": options.checkCommands = number
            default: return complain("no option \(option)")
            }
            if number == nil { return complain("\(option) needs a number, not '\(value)'") }
        }
        return options
    }

    private static func complain(_ text: String) -> Options? {
        let line = Array("simulate: \(text)\n".utf8)
        _ = write(2, line, line.count)
        return nil
    }
}
