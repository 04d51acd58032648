import MySQLDump
import MySQLWire

/// One thing that `check` has looked at, and what came of it.
package struct Finding: Sendable, Equatable {
    package enum Level: String, Sendable, Comparable {
        case ok, warning, critical

        package static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }
        private var rank: Int { self == .ok ? 0 : self == .warning ? 1 : 2 }
    }

    package var level: Level
    /// `server a (10.0.0.1:3306)`, `router`, `this host`.
    package var subject: String
    package var text: String
    /// The line or the statement that mends it.
    package var remedy: String?

    init(_ level: Level, _ subject: String, _ text: String, remedy: String? = nil) {
        (self.level, self.subject, self.text, self.remedy) = (level, subject, text, remedy)
    }
}

/// What `check` prints.
package struct CheckReport: Sendable {
    package let findings: [Finding]

    /// 0 ok, 1 warnings, 2 something critical.
    package var exitStatus: Int32 {
        switch findings.map(\.level).max() {
        case .critical?: 2
        case .warning?: 1
        case .ok?, nil: 0
        }
    }

    /// The worst first.
    package func text() -> String {
        let margin = String(repeating: " ", count: 10)
        var lines: [String] = []
        for level in [Finding.Level.critical, .warning, .ok] {
            for finding in findings where finding.level == level {
                let word = level.rawValue.padding(to: margin.count)
                lines.append("\(word)\(finding.subject): \(finding.text)")
                if let remedy = finding.remedy { lines.append("\(margin)-> \(remedy)") }
            }
        }
        let counts = [Finding.Level.critical, .warning, .ok].map { level in
            "\(findings.count { $0.level == level }) \(level.rawValue)"
        }
        return (lines + [counts.joined(separator: ", ")]).map(PrintableText.line).joined(separator: "\n")
    }

    package func json() -> String {
        JSON.object([
            ("exit_status", .number(Int64(exitStatus))),
            (
                "findings",
                .array(
                    findings.map { finding in
                        .object([
                            ("level", .string(finding.level.rawValue)), ("subject", .string(finding.subject)),
                            ("text", .string(finding.text)),
                            ("remedy", finding.remedy.map { .string($0) } ?? .null),
                        ])
                    })
            ),
        ]).description
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
