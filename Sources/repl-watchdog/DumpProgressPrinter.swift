import Glibc
import MySQLDump
import Synchronization
import Watchdog

/// Tells on standard error how far a dump has come: one line that is written over on a terminal, a line every ten
/// seconds elsewhere, a JSON object each second with `--json`.
final class DumpProgressPrinter: Sendable {
    enum Style { case terminal, lines, json }

    private struct State {
        let began = ContinuousClock.now
        var told: ContinuousClock.Instant?
        var lineIsOpen = false
    }

    private let verb: String
    private let style: Style
    private let state = Mutex(State())
    private let write: @Sendable (String) -> Void

    /// - Parameters:
    ///   - verb: `dump`, `import` or `copy`.
    ///   - write: by default to standard error.
    init(
        _ verb: String, style: Style, write: @escaping @Sendable (String) -> Void = EventLog.writeToStandardError
    ) {
        self.verb = verb
        self.style = style
        self.write = write
    }

    static func forProcess(_ verb: String, json: Bool) -> DumpProgressPrinter {
        DumpProgressPrinter(verb, style: json ? .json : isatty(STDERR_FILENO) == 1 ? .terminal : .lines)
    }

    private var pause: Duration {
        switch style {
        case .terminal: .milliseconds(200)
        case .lines: .seconds(10)
        case .json: .seconds(1)
        }
    }

    func tell(_ progress: DumpProgress) {
        let now = ContinuousClock.now
        let elapsed: Duration? = state.withLock { state in
            guard now - (state.told ?? state.began) >= pause || (state.told == nil && style == .json) else {
                return nil
            }
            state.told = now
            state.lineIsOpen = style == .terminal
            return now - state.began
        }
        guard let elapsed else { return }
        switch style {
        case .terminal: write("\r\u{1B}[K" + Self.line(verb, progress, elapsed))
        case .lines: write(Self.line(verb, progress, elapsed) + "\n")
        case .json: write(Self.json(verb, progress, elapsed) + "\n")
        }
    }

    /// Clears the line away.
    func end() {
        if state.withLock({ $0.lineIsOpen }) { write("\r\u{1B}[K") }
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    /// Seconds that the rest will take if it goes on like this; nil where nothing can be said yet.
    static func left(_ progress: DumpProgress, _ elapsed: Duration) -> Int64? {
        guard progress.fraction > 0.01, progress.fraction <= 1 else { return nil }
        return Int64(seconds(elapsed) * (1 - progress.fraction) / progress.fraction)
    }

    static func line(_ verb: String, _ progress: DumpProgress, _ elapsed: Duration) -> String {
        let rate = Double(progress.bytes) / max(0.001, seconds(elapsed)) / 1e6
        var text = "\(verb) \(Int(progress.fraction * 100)) %, \(progress.bytes / 1_000_000) MB"
        text += ", \(Int(rate)) MB/s"
        if let left = left(progress, elapsed) { text += ", \(DurationText.format(.seconds(left))) left" }
        if !progress.table.isEmpty {
            text += "; \(progress.table): \(progress.rows)"
            if let rows = progress.tableRows { text += " of about \(rows)" }
            text += " rows"
        }
        return text
    }

    static func json(_ verb: String, _ progress: DumpProgress, _ elapsed: Duration) -> String {
        let passed = max(0.001, seconds(elapsed))
        return JSON.object([
            ("event", .string("progress")), ("command", .string(verb)), ("table", .string(progress.table)),
            ("table_rows", .number(Int64(clamping: progress.rows))),
            ("table_rows_expected", progress.tableRows.map { .number(Int64(clamping: $0)) } ?? .null),
            ("rows", .number(Int64(clamping: progress.allRows))), ("bytes", .number(Int64(clamping: progress.bytes))),
            ("bytes_per_second", .number(Int64(Double(progress.bytes) / passed))),
            ("percent", .number(Int64(progress.fraction * 100))),
            ("seconds", .number(Int64(passed))),
            ("seconds_left", left(progress, elapsed).map { .number($0) } ?? .null),
        ]).description
    }
}
