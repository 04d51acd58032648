import Foundation
import Glibc
import TestBed

/// What the demo prints: lines with the time since its begin, and titles between them.
struct Timeline: Sendable {
    private let begin = ContinuousClock.now

    var elapsed: Duration { begin.duration(to: .now) }

    func say(_ who: String, _ what: String) {
        let time = String(format: "%6.1f s  ", elapsed / .seconds(1))
        line(time + who + String(repeating: " ", count: max(1, 13 - who.count)) + what)
    }

    func title(_ text: String) { line("\n--- \(text)") }

    /// At once and in one piece, also where the output is a file.
    func line(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(1, bytes, bytes.count)
    }

    /// One line of a verdict.
    /// - Returns: `holds`.
    func check(_ text: String, _ holds: Bool) -> Bool {
        line("  \(holds ? "yes" : "NO ")  \(text)")
        return holds
    }
}

/// In seconds, as it is printed.
func seconds(_ duration: Duration) -> String { String(format: "%.2f s", duration / .seconds(1)) }

extension HostCluster {
    /// What happened to each host when the primary changed, in a line.
    /// - Parameter time: which of the two durations it is about.
    func eachHost(_ outage: Outage, _ time: (Outage.OfHost) -> Duration) -> String {
        outage.byHost.map { "\(backends[$0.host - 1].name) \(seconds(time($0)))" }.joined(separator: ", ")
    }
}

extension WriteLog {
    /// What the writer of each host was told, a line for each host.
    func lines(_ cluster: HostCluster, host: (_ writer: Int) -> Int) -> [String] {
        let writes = Dictionary(grouping: all) { host($0.row.writer) }
        return cluster.backends.enumerated().map { index, backend in
            let own = writes[index + 1] ?? []
            let answers = own.filter { $0.outcome == .acknowledged }.map(\.answered)
            let pause = zip(answers, answers.dropFirst()).map { $0.duration(to: $1) }.max() ?? .zero
            return "  writer \(backend.name): \(answers.count) rows acknowledged, "
                + "\(own.count { $0.outcome == .unknown }) without an answer, longest pause \(seconds(pause))"
        }
    }
}
