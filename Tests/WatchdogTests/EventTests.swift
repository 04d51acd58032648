import Foundation
import Logging
import Synchronization
import Testing

@testable import Watchdog

@Suite struct EventTests {
    @Test func everyEventHasItsLineInTheCodeAndOnThePage() throws {
        let page = try String(contentsOf: Documentation.page("Events.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let wanted = Event.allCases.map { event in
            let fields = event.line.fields.map { "`\($0)`" }.joined(separator: ", ")
            return ["`\(event.rawValue)`", event.line.level.rawValue, event.line.message]
                + (fields.isEmpty ? [] : [fields])
        }
        #expect(Event.lines.count == Event.allCases.count)
        func sorted(_ lines: [[String]]) -> [String] { lines.map { $0.joined(separator: " | ") }.sorted() }
        #expect(sorted(rows.map { $0.dropLast().filter { !$0.isEmpty } }) == sorted(wanted))
        for row in rows { #expect(row.last?.isEmpty == false, "\(row)") }
    }

    @Test func aLineHasItsNameAndItsFields() {
        let written = Mutex<String>("")
        let log = Logger(label: "test") { _ in
            EventLog(level: .trace, format: .json, now: { Timestamp(milliseconds: 0) }) { line in
                written.withLock { $0 += line }
            }
        }
        log.log(.fenced, ["server": "b", "sessions_ended": "3"])
        #expect(
            written.withLock { $0 }
                == #"{"time":"1970-01-01T00:00:00.000Z","level":"notice","message":"fenced","#
                + #""event":"fenced","server":"b","sessions_ended":"3"}"# + "\n")
    }

    @Test func fieldsAreThoseOnThePage() {
        let line = Event.step.line
        #expect(line.allows(["step"]) && line.allows(["step", "reason"]))
        #expect(!line.allows(["reason"]) && !line.allows(["step", "server"]))
    }

    /// Every line of the agent goes by an event: nobody writes a sentence of his own beside them.
    @Test func theAgentLogsEventsOnly() throws {
        let sources = Documentation.page("").deletingLastPathComponent().appending(path: "Sources")
        for folder in ["Watchdog", "repl-watchdog"] {
            let files = try #require(
                FileManager.default.enumerator(
                    at: sources.appending(path: folder), includingPropertiesForKeys: nil))
            var seen = 0
            for case let file as URL in files where file.pathExtension == "swift" {
                let text = try String(contentsOf: file, encoding: .utf8)
                seen += 1
                for level in Logger.Level.allCases {
                    #expect(!text.contains("logger.\(level.rawValue)("), "\(file.lastPathComponent)")
                }
            }
            #expect(seen > 10)
        }
    }
}
