import MySQLWire
import TOMLKit

/// Reads typed values out of a TOML document and collects everything that is wrong with it, each with its line.
/// Values of the wrong type are reported and read as nil, so that one mistake hides no other.
struct TOMLReader {
    let file: String
    private let lines: TOMLLines
    private let root: TOMLTable
    private(set) var problems: [ConfigurationError.Problem] = []
    /// Keys whose value was of the wrong kind: they are not missing as well.
    private var reported: Set<String> = []

    init(text: String, file: String) throws(ConfigurationError) {
        self.file = file
        // The TOML library reads a C string and would silently stop there.
        if let nul = text.utf8.firstIndex(of: 0) {
            let line = text.utf8[..<nul].count { $0 == UInt8(ascii: "\n") } + 1
            throw ConfigurationError([.init(file: file, line: line, message: "holds a NUL byte; this is no TOML text")])
        }
        do {
            root = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw ConfigurationError([
                .init(file: file, line: error.source.begin.line, message: "no valid TOML: \(error.description)")
            ])
        } catch {
            throw ConfigurationError([.init(file: file, message: "no valid TOML: \(error)")])
        }
        lines = TOMLLines(text)
    }

    /// All problems in the order of their lines.
    var sortedProblems: [ConfigurationError.Problem] {
        problems.enumerated()
            .sorted { ($0.element.line ?? .max, $0.offset) < ($1.element.line ?? .max, $1.offset) }
            .map(\.element)
    }

    mutating func report(_ path: String, _ message: String) {
        problems.append(
            .init(file: file, line: lines.line(of: path.split(separator: ".").map(String.init)), message: message))
    }

    /// Reports every key of a table that is not among the known ones, with the nearest that is.
    mutating func check(
        _ path: String, known: [String], elsewhere: [String: [String]] = [:], renamed: [String: String] = [:]
    ) {
        guard let table = table(path) else { return }
        for key in table.keys.sorted() where !known.contains(key) {
            let full = path.isEmpty ? key : "\(path).\(key)"
            var message = "unknown key '\(full)'"
            if let now = renamed[full] {
                report(full, "'\(full)' has another name now: \(now)")
                continue
            }
            // A key that is right in another table was not mistyped but misplaced.
            if let home = elsewhere.keys.sorted().first(where: { elsewhere[$0]?.contains(key) == true }) {
                message += "; '\(key)' belongs in [\(home)]"
            } else if let nearest = NearestWord.find(key, in: known) {
                message += "; did you mean '\(nearest)'?"
            } else {
                message += "; known here: \(known.joined(separator: ", "))"
            }
            report(full, message)
        }
    }

    /// A table; nil if it is missing. A value that is no table is reported.
    mutating func table(_ path: String) -> TOMLTable? {
        if path.isEmpty { return root }
        guard let value = find(path) else { return nil }
        guard let table = value.table else {
            wrong(path, value, "a table, written [\(path)]")
            return nil
        }
        return table
    }

    func exists(_ path: String) -> Bool { find(path) != nil }

    mutating func string(_ path: String) -> String? {
        guard let value = find(path) else { return nil }
        guard let string = value.string else {
            wrong(path, value, "a string in quotes")
            return nil
        }
        return string
    }

    mutating func strings(_ path: String) -> [String]? {
        guard let value = find(path) else { return nil }
        guard let array = value.array else {
            wrong(path, value, "an array of strings, such as [\"one\", \"two\"]")
            return nil
        }
        var result: [String] = []
        for element in array {
            guard let string = element.string else {
                wrong(path, element, "an array of strings only")
                return nil
            }
            result.append(string)
        }
        return result
    }

    mutating func bool(_ path: String) -> Bool? {
        guard let value = find(path) else { return nil }
        guard let bool = value.bool else {
            wrong(path, value, "true or false")
            return nil
        }
        return bool
    }

    mutating func int(_ path: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = find(path) else { return nil }
        guard let int = value.int else {
            wrong(path, value, "a whole number")
            return nil
        }
        guard range.contains(int) else {
            report(path, "'\(path)' is \(int); it must lie between \(range.lowerBound) and \(range.upperBound)")
            reported.insert(path)
            return nil
        }
        return int
    }

    mutating func duration(_ path: String, in range: ClosedRange<Duration>) -> Duration? {
        guard let value = find(path) else { return nil }
        let text = value.string
        guard let duration = text.flatMap(DurationText.parse) else {
            if let text {
                report(
                    path,
                    "'\(path)' is \"\(text)\", which is no duration; write for example \"500ms\", \"2s\", \"5m\" or \"1h\""
                )
                reported.insert(path)
            } else {
                wrong(path, value, "a duration in quotes, such as \"500ms\", \"2s\", \"5m\" or \"1h\"")
            }
            return nil
        }
        guard range.contains(duration) else {
            report(
                path,
                "'\(path)' is \(DurationText.format(duration)); it must lie between "
                    + "\(DurationText.format(range.lowerBound)) and \(DurationText.format(range.upperBound))")
            reported.insert(path)
            return nil
        }
        return duration
    }

    mutating func address(_ path: String) -> ServerAddress? {
        guard let text = string(path) else { return nil }
        guard let address = ServerAddress(text) else {
            report(
                path,
                "'\(path)' is \"\(text)\", which is no address; write \"host:port\", \"[v6]:port\" or \"/path/of.sock\""
            )
            reported.insert(path)
            return nil
        }
        return address
    }

    mutating func choice<T: RawRepresentable & CaseIterable>(_ path: String, _ type: T.Type) -> T?
    where T.RawValue == String {
        guard let text = string(path) else { return nil }
        if let value = T(rawValue: text) { return value }
        let all = T.allCases.map(\.rawValue)
        let nearest = NearestWord.find(text, in: all).map { "; did you mean \"\($0)\"?" } ?? ""
        report(path, "'\(path)' is \"\(text)\"; it must be one of \(all.joined(separator: ", "))\(nearest)")
        reported.insert(path)
        return nil
    }

    /// Passes a value on; reports its key as missing if there is none and nothing was said about it yet.
    mutating func require<T>(_ value: T?, _ path: String, _ what: String) -> T? {
        if value == nil, find(path) == nil, !reported.contains(where: { path == $0 || path.hasPrefix($0 + ".") }) {
            report(path, "'\(path)' is missing: \(what)")
        }
        return value
    }

    private func find(_ path: String) -> (any TOMLValueConvertible)? {
        var table: TOMLTable? = root
        let parts = path.split(separator: ".").map(String.init)
        for part in parts.dropLast() { table = table?[part]?.table }
        return parts.last.flatMap { table?[$0] }
    }

    private mutating func wrong(_ path: String, _ value: any TOMLValueConvertible, _ right: String) {
        report(path, "'\(path)' must be \(right), not \(Self.article(value.type))")
        reported.insert(path)
    }

    private static func article(_ type: TOMLType) -> String {
        switch type {
        case .array: "an array"
        case .int: "an integer"
        default: "a \(type)"
        }
    }
}
