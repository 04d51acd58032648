import Glibc
import WatchdogSimulation

/// simulate [--histories N] [--seed N] [--break RULE] [--toward RULE] [--leave-out COMMAND] [--repeat COMMAND]
///     [--swap COMMAND] [--pretend COMMAND] [--check-rules N] [--check-commands N] [--findings N] [--jobs N]
@main
struct Simulate {
    struct Options {
        var histories: UInt64 = 20_000
        var seed: UInt64 = 1
        var breaking: String?
        var toward: String?
        var alteration: Alteration?
        /// Break every rule in turn, each for at most so many histories.
        var checkRules: UInt64?
        /// Leave out and repeat every command in turn, each for at most so many histories.
        var checkCommands: UInt64?
        var findings = 1
        var jobs = 2
    }

    static func main() async {
        guard let options = parse() else { exit(64) }
        if let limit = options.checkRules { await checkRules(options, limit) }
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
                + "\(sum.held) left to an operator, \(sum.findings.count) violations")
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
                    Histories.run(
                        start..<max(start, end), breaking: options.breaking, toward: options.toward,
                        altering: options.alteration, findings: options.findings)
                }
            }
            for await result in group {
                sum.histories += result.histories
                sum.acknowledged += result.acknowledged
                sum.promotions += result.promotions
                sum.planned += result.planned
                sum.held += result.held
                sum.findings += result.findings
            }
        }
        return sum
    }

    /// Two rules at a time; each stops at its first finding.
    private static func checkRules(_ options: Options, _ limit: UInt64) async -> Never {
        var missed = 0
        await withTaskGroup(of: (String, Histories.Result).self) { group in
            var rules = Histories.rules[...]
            func next() {
                guard let rule = rules.popFirst() else { return }
                group.addTask {
                    let seeds = options.seed..<options.seed + limit
                    return (rule, Histories.run(seeds, breaking: rule, findings: 1))
                }
            }
            for _ in 0..<options.jobs { next() }
            for await (rule, result) in group {
                if let finding = result.findings.first {
                    print("\(rule): caught in history \(result.histories), seed \(finding.seed): \(finding.violation)")
                } else {
                    missed += 1
                    print("\(rule): NOT caught in \(result.histories) histories")
                }
                next()
            }
        }
        print("\(Histories.rules.count - missed) of \(Histories.rules.count) broken rules were caught")
        exit(missed == 0 ? 0 : 1)
    }

    /// One command after the other. Left out, it must be missed, or stand in the list of those that are not, with the
    /// reason; done twice, it must do no harm.
    private static func checkCommands(_ options: Options, _ limit: UInt64) async -> Never {
        var wrong = 0
        let seeds = options.seed..<options.seed + limit
        let usual = Histories.run(seeds)
        for kind in [Alteration.Kind.leaveOut, .repeat] {
            await withTaskGroup(of: (String, String?).self) { group in
                var names = Alteration.names[...]
                func next() {
                    guard let name = names.popFirst() else { return }
                    group.addTask {
                        let result = Histories.run(seeds, altering: Alteration(kind, name), findings: 1)
                        if let trouble = noticed(result, usual) { return (name, trouble) }
                        guard kind == .leaveOut, Histories.harmless[name] == nil else { return (name, nil) }
                        // Seldom needed, perhaps: ten times as many say so.
                        let more = Histories.run(
                            seeds.upperBound..<seeds.upperBound + 9 * limit, altering: Alteration(kind, name),
                            findings: 1)
                        return (name, more.findings.first.map { "noticed, seed \($0.seed): \($0.violation)" })
                    }
                }
                for _ in 0..<options.jobs { next() }
                for await (name, trouble) in group {
                    let reason = kind == .leaveOut ? Histories.harmless[name] : nil
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
        print("\(Alteration.names.count) commands left out and repeated, \(wrong) unexpected")
        exit(wrong == 0 ? 0 : 1)
    }

    /// An invariant that broke; far fewer primaries replaced, or far more left to an operator, is noticed as well.
    private static func noticed(_ result: Histories.Result, _ usual: Histories.Result) -> String? {
        if let finding = result.findings.first {
            return "noticed in history \(result.histories), seed \(finding.seed): \(finding.violation)"
        }
        if result.promotions * 4 < usual.promotions * 3 {
            return "noticed: \(result.promotions) promotions instead of \(usual.promotions)"
        }
        if result.planned * 10 < usual.planned * 3 {
            return "noticed: \(result.planned) switchovers instead of \(usual.planned)"
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
            case "--break", "--toward":
                guard Histories.rules.contains(value) else {
                    return complain("no rule '\(value)': \(Histories.rules.joined(separator: ", "))")
                }
                if option == "--break" { options.breaking = value } else { options.toward = value }
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
            case "--check-rules": options.checkRules = number
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
