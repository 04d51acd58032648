import Foundation
import MySQLWire
import Testing

@testable import Watchdog

@Suite struct ReasonTests {
    /// Whoever sees a code in a log finds a row that says what to do.
    @Test func everyCodeHasARowOfTheRunbook() throws {
        let page = try String(contentsOf: Documentation.page("Reasons.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
        let codes = rows.map { String($0.dropFirst(3).prefix { $0 != "`" }) }
        #expect(codes.sorted() == Reason.Code.allCases.map(\.rawValue).sorted())
        for row in rows {
            let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            #expect(cells.count == 4 && !cells.contains(""), "\(row)")
        }
    }

    @Test func codesAreWordsThatALogCanHoldUnquoted() {
        for code in Reason.Code.allCases {
            #expect(code.rawValue.allSatisfy { $0.isLetter && $0.isLowercase || $0 == "-" }, "\(code)")
        }
    }

    @Test func whatPassesByItselfIsNoNews() {
        func waits(_ left: Int64, _ agents: [String] = ["web2"]) -> Step {
            .wait(.until(.routersClosed(of: agents, milliseconds: left)))
        }
        #expect(waits(800).lasting == waits(740).lasting)
        #expect(waits(800).lasting != waits(800, ["web2", "web3"]).lasting)
        func blocked(_ code: FailoverCondition.Code, _ text: String) -> Step {
            .none(.blocked(FailoverCondition(code: code, holds: false, text: text)))
        }
        #expect(blocked(.blockPeriod, "60 s old").lasting == blocked(.blockPeriod, "61 s old").lasting)
        #expect(blocked(.quorum, "1 of 3").lasting != blocked(.quorum, "2 of 3").lasting)
    }

    /// What SQL goes by stands before the colon, whatever the sentence holds.
    @Test func theRecordBeginsWithTheCode() {
        let reasons: [PromotionReason] = [
            .switchover, .routersMoved, .primaryLost(.a, .dead, loss: "switchover: nothing: acknowledged is lost"),
            .lossAccepted(GTIDSet()), .onRecord,
        ]
        for reason in reasons {
            #expect(reason.recorded.prefix { $0 != ":" } == reason.code.rawValue)
        }
        #expect(reasons.filter { $0.code == .switchover }.count == 1)
    }
}
