import Glibc
import MySQLDump
import MySQLWire

/// Probes in words and as JSON. Pure.
package enum ProbeText {
    private static let percentiles = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0)]

    /// One line for one probe, as ping has it.
    package static func line(_ address: ServerAddress, _ number: Int, _ outcome: ProbeOutcome) -> String {
        switch outcome {
        case .failed(let error):
            return "\(address): seq=\(number) \(error)"
        case .answered(let times, _):
            let stages = [
                ("connect", times.connect), ("tls", times.tls), ("auth", times.authentication), ("query", times.query),
            ].compactMap { name, time in time.map { " \(name)=\(milliseconds($0))" } }
            return "\(address): seq=\(number) time=\(milliseconds(times.total)) ms" + stages.joined()
        }
    }

    /// What a host's probes came to.
    /// - Parameter bars: how many columns a histogram may be wide, and of which character; nil: none is drawn.
    package static func summary(_ host: ProbeStatistics, bars: (width: Int, character: Character)? = nil) -> String {
        var lines = ["--- \(host.address)\(host.peer.map { "  \(words($0))" } ?? "") ---"]
        lines.append("\(host.sent) sent, \(host.answered) answered, \(loss(host)) % loss")
        if host.answered > 0 {
            let titles = ["ms", "min"] + percentiles.map(\.0) + ["max"]
            lines.append(row(titles))
            for stage in ProbeStatistics.Stage.allCases {
                guard let times = host.latencies(stage), let min = times.min, let max = times.max else { continue }
                let values = [min] + percentiles.compactMap { times.percentile($0.1) } + [max]
                lines.append(row([stage.rawValue] + values.map(milliseconds)))
            }
        }
        for error in host.errors { lines.append("\(error.count) x \(error.name): \(error.message)") }
        if let bars, let total = host.latencies(.total) {
            lines += histogram(total, width: bars.width, character: bars.character)
        }
        return lines.map(PrintableText.line).joined(separator: "\n")
    }

    /// One document for all hosts; times are whole nanoseconds.
    package static func json(_ hosts: [ProbeStatistics], interrupted: Bool) -> String {
        let documents = hosts.map { host in
            JSON.object([
                ("host", .string("\(host.address)")),
                ("version", host.peer.map { .string($0.version) } ?? .null),
                ("tls", host.peer?.tls.map { .string($0) } ?? .null),
                ("authentication", host.peer.map { .string($0.authentication) } ?? .null),
                ("sent", .number(Int64(host.sent))),
                ("answered", .number(Int64(host.answered))),
                ("lost", .number(Int64(host.lost))),
                (
                    "errors",
                    .array(
                        host.errors.map {
                            .object([
                                ("class", .string($0.name)), ("count", .number(Int64($0.count))),
                                ("message", .string($0.message)),
                            ])
                        })
                ),
                ("nanoseconds", .object(ProbeStatistics.Stage.allCases.compactMap { stage(host, $0) })),
            ])
        }
        return JSON.object([("hosts", .array(documents)), ("interrupted", .bool(interrupted))]).description
    }

    /// Bars over ranges of equal ratio, so that the bulk and a far outlier both show. Empty below two values.
    static func histogram(_ times: Latencies, width: Int, character: Character, rows: Int = 12) -> [String] {
        guard times.count > 1, let min = times.min, let max = times.max, min > 0, max > min else { return [] }
        let ratio = log(Double(max) / Double(min))
        var bins = [UInt64](repeating: 0, count: rows)
        for (value, count) in times.recorded {
            let place = log(Double(value) / Double(min)) / ratio * Double(rows)
            bins[Swift.min(Swift.max(Int(place), 0), rows - 1)] += count
        }
        let most = bins.max() ?? 1
        let room = Swift.max(width - 34, 8)
        return bins.enumerated().map { index, count in
            let edges = [index, index + 1].map { edge in
                milliseconds(UInt64(Double(min) * exp(ratio * Double(edge) / Double(rows))))
            }
            // Whatever is there is seen.
            let length = count == 0 ? 0 : Swift.max(1, Int(Double(count) / Double(most) * Double(room)))
            return
                "\(pad(edges[0], 10)) ..\(pad(edges[1], 10)) |\(String(repeating: character, count: length)) \(count)"
        }
    }

    private static func stage(_ host: ProbeStatistics, _ stage: ProbeStatistics.Stage) -> (String, JSON)? {
        guard let times = host.latencies(stage), let min = times.min, let max = times.max else { return nil }
        let values =
            [("min", min)] + percentiles.compactMap { name, percent in times.percentile(percent).map { (name, $0) } }
            + [("max", max)]
        return (stage.rawValue, .object(values.map { ($0.0, .number(Int64(clamping: $0.1))) }))
    }

    private static func words(_ peer: ProbePeer) -> String {
        [peer.version, peer.tls ?? "clear text", peer.authentication].joined(separator: ", ")
    }

    private static func row(_ cells: [String]) -> String {
        (cells.first ?? "").padded(to: 8) + cells.dropFirst().map { pad($0, 11) }.joined()
    }

    /// With one digit behind the point, and never 0 or 100 where it is not.
    private static func loss(_ host: ProbeStatistics) -> String {
        guard host.lost > 0 else { return "0" }
        if host.answered == 0 { return "100" }
        let tenths = min(max(Int((Double(host.lost) / Double(host.sent) * 1000).rounded()), 1), 999)
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// Milliseconds with three digits behind the point.
    static func milliseconds(_ nanoseconds: UInt64) -> String {
        let microseconds = nanoseconds / 1000 + (nanoseconds % 1000 >= 500 ? 1 : 0)
        return "\(microseconds / 1000)." + "\(1000 + microseconds % 1000)".dropFirst()
    }

    private static func milliseconds(_ time: Duration) -> String {
        milliseconds(UInt64(clamping: Int64(time / .nanoseconds(1))))
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: Swift.max(0, width - text.count)) + text
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
