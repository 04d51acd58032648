import Glibc
import Logging
import MySQLDump
import MySQLWire

/// The agent's log: one line per event, on standard error, in text or as JSON.
package struct EventLog: LogHandler {
    package enum Format: String, Sendable, CaseIterable {
        /// `2026-01-31T10:00:00.123Z notice  promoted server="10.0.0.2:3306"`
        case text
        /// One JSON object per line.
        case json
    }

    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let format: Format
    private let now: @Sendable () -> Timestamp
    private let write: @Sendable (String) -> Void

    /// - Parameters:
    ///   - now: the clock; for tests.
    ///   - write: takes one whole line with its end; by default it goes to standard error in one call.
    package init(
        level: Logger.Level, format: Format, now: @escaping @Sendable () -> Timestamp = { Timestamp.now() },
        write: @escaping @Sendable (String) -> Void = EventLog.writeToStandardError
    ) {
        logLevel = level
        self.format = format
        self.now = now
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        if let error = event.error { all["error"] = "\(error)" }
        let fields = all.sorted { $0.key < $1.key }.map { ($0.key, $0.value.description) }
        switch format {
        case .text:
            let level = event.level.rawValue
            var line = "\(now()) \(level)\(String(repeating: " ", count: max(1, 9 - level.count)))"
            line += Self.oneLine(event.message.description)
            for (key, value) in fields { line += " \(Self.oneLine(key))=\(Self.word(value))" }
            write(line + "\n")
        case .json:
            let document = JSON.object(
                [
                    ("time", .string("\(now())")), ("level", .string(event.level.rawValue)),
                    ("message", .string(event.message.description)),
                    // A key of the metadata must not appear twice in the object.
                ] + fields.map { (["time", "level", "message"].contains($0.0) ? "\($0.0)_" : $0.0, .string($0.1)) })
            write(document.description + "\n")
        }
    }

    /// A value as it stands behind `key=`: bare if it can be read so, otherwise quoted.
    private static func word(_ text: String) -> String {
        let plain =
            !text.isEmpty
            && text.unicodeScalars.allSatisfy {
                $0 != " " && $0 != "\"" && $0 != "=" && !PrintableText.isControl($0)
            }
        return plain ? text : JSON.quote(text)
    }

    /// A server's text must not forge a line of the log, nor move the cursor.
    private static func oneLine(_ text: String) -> String { PrintableText.line(text) }

    /// One call per line, so that the lines of several processes do not mix. What cannot be written is lost: a log
    /// must never stop the agent.
    @Sendable
    package static func writeToStandardError(_ line: String) {
        var text = line
        text.withUTF8 { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(STDERR_FILENO, UnsafeBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}

/// An instant of the wall clock, written in UTC with milliseconds as RFC 3339 has it.
package struct Timestamp: Sendable, Hashable, CustomStringConvertible {
    /// Since 1970-01-01T00:00:00Z.
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    package var description: String {
        var seconds = time_t(milliseconds / 1000)
        var rest = milliseconds % 1000
        if rest < 0 {
            rest += 1000
            seconds -= 1
        }
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ value: some BinaryInteger, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let date = "\(digits(parts.tm_year + 1900, 4))-\(digits(parts.tm_mon + 1, 2))-\(digits(parts.tm_mday, 2))"
        let clock = "\(digits(parts.tm_hour, 2)):\(digits(parts.tm_min, 2)):\(digits(parts.tm_sec, 2))"
        return "\(date)T\(clock).\(digits(rest, 3))Z"
    }
}
