/// On which line of a TOML text each key stands. The TOML library reports positions only of syntax errors; an error
/// about a key's meaning must name its line as well.
///
/// Reads just enough of the grammar to tell keys from what stands in strings, arrays and comments, and expects a text
/// that the library has accepted. https://toml.io/en/v1.0.0
struct TOMLLines {
    /// Key paths (`servers.a.address`, and `servers.a` for a table's header) to line numbers from 1.
    private(set) var lines: [String: Int] = [:]

    private var bytes: [UInt8]
    private var position = 0
    private var line = 1

    init(_ text: String) {
        bytes = Array(text.utf8)
        scan()
    }

    /// The line of a key, or of the nearest table around it that stands in the text.
    func line(of path: [String]) -> Int? {
        var path = path
        while !path.isEmpty {
            if let line = lines[path.joined(separator: ".")] { return line }
            path.removeLast()
        }
        return nil
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func advance() {
        if current == UInt8(ascii: "\n") { line += 1 }
        position += 1
    }

    private mutating func skip(while condition: (UInt8) -> Bool) {
        while let byte = current, condition(byte) { advance() }
    }

    private mutating func scan() {
        var table: [String] = []
        while current != nil {
            skip { $0 == 0x20 || (0x09...0x0D).contains($0) }
            guard let byte = current else { return }
            let start = line
            if byte == UInt8(ascii: "#") {
                skip { $0 != UInt8(ascii: "\n") }
            } else if byte == UInt8(ascii: "[") {
                skip { $0 == UInt8(ascii: "[") }
                table = key(until: UInt8(ascii: "]"))
                note(table, start)
                skip { $0 != UInt8(ascii: "\n") }
            } else {
                let path = table + key(until: UInt8(ascii: "="))
                note(path, start)
                advance()
                value()
            }
        }
    }

    private mutating func note(_ path: [String], _ line: Int) {
        for length in stride(from: path.count, to: 0, by: -1) {
            let name = path[..<length].joined(separator: ".")
            if lines[name] == nil { lines[name] = line }
        }
    }

    /// A key, its dotted parts apart, up to the byte that ends it.
    private mutating func key(until end: UInt8) -> [String] {
        var parts: [String] = []
        var part: [UInt8] = []
        while let byte = current, byte != end, byte != UInt8(ascii: "\n") {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                let start = position + 1
                string()
                part += bytes[min(start, bytes.count)..<max(min(start, bytes.count), min(position - 1, bytes.count))]
                continue
            }
            if byte == UInt8(ascii: ".") {
                parts.append(String(decoding: part, as: UTF8.self))
                part = []
            } else if byte != 0x20 && byte != 0x09 && byte != 0x0D {
                part.append(byte)
            }
            advance()
        }
        parts.append(String(decoding: part, as: UTF8.self))
        return parts
    }

    /// Moves behind a value: to the end of its line, or of the line that closes its brackets.
    private mutating func value() {
        var depth = 0
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): string()
            case UInt8(ascii: "#"): skip { $0 != UInt8(ascii: "\n") }
            case UInt8(ascii: "\n") where depth == 0: return
            default:
                if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") { depth += 1 }
                if byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") { depth -= 1 }
                advance()
            }
        }
    }

    /// Moves behind a string of any of the four kinds.
    private mutating func string() {
        guard let quote = current else { return }
        let escapes = quote == UInt8(ascii: "\"")
        let triple = bytes[position...].prefix(3).count == 3 && bytes[position...].prefix(3).allSatisfy { $0 == quote }
        for _ in 0..<(triple ? 3 : 1) { advance() }
        while let byte = current {
            if escapes, byte == UInt8(ascii: "\\") {
                advance()
                if current != nil { advance() }
                continue
            }
            if byte == quote {
                if !triple {
                    advance()
                    return
                }
                if bytes[position...].prefix(3).count == 3, bytes[position...].prefix(3).allSatisfy({ $0 == quote }) {
                    // Up to two more quotes may belong to the string's end.
                    skip { $0 == quote }
                    return
                }
            } else if byte == UInt8(ascii: "\n"), !triple {
                return
            }
            advance()
        }
    }
}
