import Foundation
import WatchdogSimulation

/// simulate [--histories N] [--seed N] [--break RULE] [--jobs N]
@main
struct Simulate {
    static func main() async {
        var histories: UInt64 = 20_000
        var seed: UInt64 = 1
        var rule: String?
        var jobs = 2
        var arguments = CommandLine.arguments.dropFirst()[...]
        while let option = arguments.popFirst() {
            guard let value = arguments.popFirst() else { return complain("\(option) needs a value") }
            switch option {
            case "--histories": histories = UInt64(value) ?? histories
            case "--seed": seed = UInt64(value) ?? seed
            case "--jobs": jobs = max(1, Int(value) ?? jobs)
            case "--break":
                guard Histories.rules.contains(value) else {
                    return complain("no rule '\(value)': \(Histories.rules.joined(separator: ", "))")
                }
                rule = value
            default: return complain("no option \(option)")
            }
        }
        let began = Date()
        let share = (histories + UInt64(jobs) - 1) / UInt64(jobs)
        let first = seed
        let breaking = rule
        var sum = Histories.Result()
        await withTaskGroup(of: Histories.Result.self) { group in
            for job in 0..<UInt64(jobs) {
                let start = first + job * share
                let end = min(start + share, first + histories)
                group.addTask { Histories.run(start..<max(start, end), breaking: breaking, findings: 1) }
            }
            for await result in group {
                sum.histories += result.histories
                sum.acknowledged += result.acknowledged
                sum.promotions += result.promotions
                sum.findings += result.findings
            }
        }
        let seconds = Date().timeIntervalSince(began)
        for finding in sum.findings {
            print("seed \(finding.seed): \(finding.violation)")
            for line in finding.story { print("  \(line)") }
        }
        print(
            "\(sum.histories) histories in \(Int(seconds)) s, \(sum.acknowledged) acknowledged writes, "
                + "\(sum.promotions) promotions, \(sum.findings.count) violations")
        exit(sum.findings.isEmpty ? 0 : 1)
    }

    private static func complain(_ text: String) {
        FileHandle.standardError.write(Data("simulate: \(text)\n".utf8))
        exit(64)
    }
}
