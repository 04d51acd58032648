import Glibc
import MySQLWire
import Synchronization

/// The demo's other hands: `write` is the application behind a router, `watch` writes the timeline.
@main
struct DemoWriter {
    static func main() async {
        endOnSignals()
        do {
            var arguments = Arguments(CommandLine.arguments.dropFirst())
            switch arguments.verb {
            case "write": try await Writer(&arguments).run()
            case "watch": try await Watcher(&arguments).run()
            default: throw UsageError("usage: demo-writer write|watch --option value ...")
            }
        } catch {
            let message = Array("demo-writer: \(error)\n".utf8)
            _ = write(2, message, message.count)
            exit(error is UsageError ? 64 : 1)
        }
    }
}

struct UsageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// `verb --option value ...`; an option may be given several times.
struct Arguments {
    let verb: String
    private var values: [String: [String]] = [:]

    init(_ words: some Sequence<String>) {
        var words = words.makeIterator()
        verb = words.next() ?? ""
        while let option = words.next(), let value = words.next() { values[option, default: []].append(value) }
    }

    func all(_ option: String) -> [String] { values[option] ?? [] }

    func text(_ option: String) throws -> String {
        guard let value = values[option]?.last else { throw UsageError("\(option) is missing") }
        return value
    }

    func number(_ option: String, default fallback: Int? = nil) throws -> Int {
        if values[option] == nil, let fallback { return fallback }
        guard let number = Int(try text(option)), number >= 0 else { throw UsageError("\(option) is no number") }
        return number
    }

    func address(_ option: String) throws -> ServerAddress {
        guard let address = ServerAddress(try text(option)) else { throw UsageError("\(option) is no address") }
        return address
    }

    /// `name=value` pairs.
    func named(_ option: String) throws -> [(name: String, value: String)] {
        try all(option).map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw UsageError("\(option) wants name=value, not \(pair)") }
            return (parts[0], parts[1])
        }
    }
}

private let ending = Atomic<Bool>(false)

/// Whether SIGTERM or SIGINT has asked for the end.
var mustEnd: Bool { ending.load(ordering: .relaxed) }

private func endOnSignals() {
    for number in [SIGTERM, SIGINT] { signal(number) { _ in ending.store(true, ordering: .relaxed) } }
    signal(SIGPIPE, SIG_IGN)
}
