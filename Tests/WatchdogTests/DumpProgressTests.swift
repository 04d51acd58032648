import MySQLDump
import Synchronization
import Testing

@testable import repl_watchdog

@Suite struct DumpProgressTests {
    private let half = DumpProgress(
        table: "`shop`.`orders`", rows: 1000, tableRows: 4000, allRows: 51_000, bytes: 200_000_000, fraction: 0.5)

    @Test func aLineSaysHowFarAndHowLongStill() {
        #expect(
            DumpProgressPrinter.line("dump", half, .seconds(4))
                == "dump 50 %, 200 MB, 50 MB/s, 4s left; `shop`.`orders`: 1000 of about 4000 rows")
        // Nothing is foretold from nothing.
        let start = DumpProgress(table: "", rows: 0, bytes: 0)
        #expect(DumpProgressPrinter.line("dump", start, .zero) == "dump 0 %, 0 MB, 0 MB/s")
    }

    @Test func anEventIsOneJSONObject() {
        #expect(
            DumpProgressPrinter.json("copy", half, .seconds(4))
                == #"{"event":"progress","command":"copy","table":"`shop`.`orders`","table_rows":1000,"#
                + #""table_rows_expected":4000,"rows":51000,"bytes":200000000,"bytes_per_second":50000000,"percent":50,"#
                + #""seconds":4,"seconds_left":4}"#)
    }

    @Test(arguments: [
        DumpProgressPrinter.Style.terminal, .lines, .json,
    ]) func eachStyleTellsInItsOwnTime(_ style: DumpProgressPrinter.Style) {
        let said = Mutex<[String]>([])
        let printer = DumpProgressPrinter("dump", style: style) { text in said.withLock { $0.append(text) } }
        for _ in 0..<50 { printer.tell(half) }
        printer.end()
        let lines = said.withLock { $0 }
        // Fifty calls within an instant are not fifty lines.
        #expect(lines.count < 5)
        if style == .json { #expect(lines.count == 1 && lines[0].hasPrefix("{") && lines[0].hasSuffix("}\n")) }
        if style == .lines { #expect(lines.isEmpty) }
    }
}
