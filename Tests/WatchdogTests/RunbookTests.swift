import Foundation
import Testing

@testable import Watchdog

/// Whoever is called at night finds what `status` and `explain` say, and only commands that there are.
@Suite struct RunbookTests {
    private func page(_ name: String) throws -> String {
        try String(contentsOf: Documentation.page(name), encoding: .utf8)
    }

    /// What stands between backquotes, and in brackets there: `DOWN (paused)`.
    private func words(of page: String) -> Set<String> {
        let spans = page.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map(\.element)
        return Set(
            spans.map { span in
                guard span.first?.isUppercase == true, let start = span.firstIndex(of: "("), span.last == ")" else {
                    return String(span)
                }
                return String(span[span.index(after: start)...].dropLast())
            })
    }

    private var known: Set<String> {
        Set(
            Reason.Code.allCases.map(\.rawValue) + Precondition.allCases.map(\.rawValue)
                + Event.allCases.map(\.rawValue))
    }

    @Test func everyCodeInItIsOne() throws {
        let codes = words(of: try page("Runbook.md")).filter { word in
            word.contains("-") && !word.hasPrefix("-") && word.allSatisfy { $0.isLowercase || $0 == "-" }
        }
        #expect(codes.count > 40)
        for code in codes where !known.contains(code) { Issue.record("there is no code \(code)") }
    }

    /// What somebody may have to do something about.
    @Test func whatHoldsServiceBackStandsThere() throws {
        let words = words(of: try page("Runbook.md"))
        let headings = [
            "Nobody acts: decide", "A failover is held back", "A primary stays closed, or a replica away",
            "Replication", "Locks that nobody ends",
        ]
        let sections = try page("Reasons.md").components(separatedBy: "\n## ")
        for heading in headings {
            let section = try #require(sections.first { $0.hasPrefix(heading + "\n") })
            let codes = section.split(separator: "\n").filter { $0.hasPrefix("| `") }
                .map { String($0.dropFirst(3).prefix { $0 != "`" }) }
            #expect(!codes.isEmpty)
            for code in codes where !words.contains(code) { Issue.record("\(code) has no row") }
        }
    }

    @Test func theConditionsAreThoseOfExplain() throws {
        let text = try page("Runbook.md")
        let named = Set(
            words(of: text).filter { $0.hasPrefix("no   ") }.map { word in
                String(word.dropFirst(5).prefix { $0 != ":" })
            })
        let wanted = FailoverCondition.Code.allCases.map(\.rawValue)
        #expect(named == Set(wanted), "\(named.symmetricDifference(wanted))")
    }

    /// A code that stands alone before its exit status.
    @Test func theExitStatusOfAPreconditionIsItsOwn() throws {
        let text = try page("Runbook.md")
        var seen = 0
        for one in Precondition.allCases {
            for part in text.components(separatedBy: "`\(one.rawValue)`, exit ").dropFirst() {
                #expect(part.hasPrefix(one.isCritical ? "2" : "1"), "\(one)")
                seen += 1
            }
        }
        #expect(seen >= 3)
    }

    @Test func everyCommandIsOneOfTheReadme() throws {
        let readme = try String(
            contentsOf: Documentation.page("").deletingLastPathComponent().appending(path: "README.md"), encoding: .utf8
        )
        let block = readme.components(separatedBy: "## Commands\n\n```\n")[1].components(separatedBy: "```")[0]
        let commands = Set(
            block.split(separator: "\n").filter { $0.hasPrefix("repl-watchdog ") }.flatMap {
                $0.dropFirst("repl-watchdog ".count).prefix { $0 != " " }.split(separator: "|").map(String.init)
            })
        let text = try page("Runbook.md")
        let used = text.components(separatedBy: "`repl-watchdog ").dropFirst().map { part in
            String(part.prefix { $0 != " " && $0 != "`" })
        }
        #expect(used.count > 5)
        for command in used where !commands.contains(command) { Issue.record("there is no command \(command)") }
        for row in text.split(separator: "\n").drop(while: { $0 != "## The commands" }).prefix(while: {
            !$0.hasPrefix("## The primary")
        })
        where row.hasPrefix("| `") {
            let command = String(row.dropFirst(3).prefix { $0 != " " && $0 != "`" })
            #expect(commands.contains(command), "\(row)")
        }
    }

    @Test func theGuaranteesFitOnTwoPages() throws {
        let lines = try page("Guarantees.md").split(separator: "\n").filter { !$0.hasPrefix("|") }
        #expect(lines.flatMap { $0.split(separator: " ") }.count <= 1_200)
    }
}
