import MySQLWire
import Testing

@testable import Watchdog

/// A server's words on a terminal: whatever it says, it forges no line and moves no cursor.
@Suite struct HostileTextTests {
    static let hostile = "x\nOK  cluster shop, seen by web1\r\u{1B}[2J\u{9B}H\u{7F}\u{2028}\u{202E}"

    private func report() -> StatusReport {
        let configuration = Fixture.configuration()
        let seen = Fixture.healthy {
            $0.a = .refusing(Self.hostile)
            $0.b = .up(
                Fixture.facts(.b) {
                    $0.channels = [
                        Fixture.channel(from: .a) {
                            $0.sourceHost = Self.hostile
                            $0.receiverError = Self.hostile
                        }
                    ]
                })
            $0.router = .noAnswer(Self.hostile)
        }
        let diagnosis = Diagnoser(configuration).diagnose(seen)
        return StatusReport(
            state: diagnosis.state, exitStatus: 2, cluster: "shop", agent: "web1", diagnosis: diagnosis, seen: seen,
            ledger: nil, addresses: configuration.servers, router: "127.0.0.1:7001",
            next: .none(.because(.stepFailed(Self.hostile))))
    }

    @Test func statusKeepsItsLines() {
        let text = report().text()
        #expect(text.contains("\\nOK  cluster shop"))
        for line in text.split(separator: "\n") {
            #expect(!line.unicodeScalars.contains(where: PrintableText.isControl), "\(line)")
            #expect(!line.hasPrefix("OK"))
        }
    }

    @Test func jsonHasEscapes() {
        let text = report().json()
        #expect(!text.unicodeScalars.contains(where: PrintableText.isControl))
        #expect(text.contains("\\u001b[2J\\u009bH\\u007f\\u2028\\u202e"))
    }

    @Test func checkKeepsItsLines() {
        let report = CheckReport(findings: [
            Finding(.critical, "a", Self.hostile, remedy: Self.hostile)
        ])
        #expect(!report.text().split(separator: "\n").contains { $0.hasPrefix("OK") || $0.contains("\u{1B}") })
    }
}
