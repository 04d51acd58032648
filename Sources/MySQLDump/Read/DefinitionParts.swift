/// The parts of what SHOW CREATE PROCEDURE, FUNCTION, TRIGGER and EVENT print. What the server wrote itself (names,
/// comments, the type that a function returns) is UTF-8 with backslashes as escapes, whatever the object was made with;
/// what its author wrote (parameters, the body) is in the author's character set, under the author's sql_mode. Nobody
/// can read both as they stand.
struct DefinitionParts: Equatable {
    struct Part: Equatable {
        var isServers: Bool
        var text: [UInt8]
    }
    var parts: [Part]

    enum Kind: String {
        case procedure = "PROCEDURE"
        case function = "FUNCTION"
        case trigger = "TRIGGER"
        case event = "EVENT"
    }

    /// - Parameter noBackslashes: the author's sql_mode has NO_BACKSLASH_ESCAPES.
    /// - Returns: nil where the text is not as servers print it.
    init?(_ text: [UInt8], kind: Kind, noBackslashes: Bool) {
        let cuts: [Int]?
        switch kind {
        case .trigger: cuts = Self.behind(" FOR EACH ROW ", in: text).map { [$0] }
        case .event: cuts = Self.behind(" DO ", in: text).map { [$0] }
        case .procedure, .function: cuts = Self.routine(text, isFunction: kind == .function, noBackslashes)
        }
        guard let cuts else { return nil }
        parts = []
        var start = 0
        for (number, end) in (cuts + [text.count]).enumerated() {
            parts.append(Part(isServers: number % 2 == 0, text: Array(text[start..<end])))
            start = end
        }
    }

    /// Whether what the server wrote reads otherwise under the author's settings.
    func differ(noBackslashes: Bool) -> Bool {
        parts.contains { part in
            part.isServers && part.text.contains { $0 >= 0x80 || noBackslashes && $0 == UInt8(ascii: "\\") }
        }
    }

    /// What the server wrote, as one writes it where a backslash is a letter.
    static func withoutBackslashes(_ text: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var index = 0
        var isQuoted = false
        while index < text.count {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: "`") where !isQuoted:
                let end = DefinitionText.endOfQuote(text, from: index)
                out.append(contentsOf: text[index..<end])
                index = end
                continue
            case UInt8(ascii: "'"): isQuoted.toggle()
            case UInt8(ascii: "\\") where isQuoted && index + 1 < text.count:
                index += 1
                switch text[index] {
                case UInt8(ascii: "0"): out.append(0)
                case UInt8(ascii: "n"): out.append(0x0A)
                case UInt8(ascii: "r"): out.append(0x0D)
                case UInt8(ascii: "Z"): out.append(0x1A)
                case UInt8(ascii: "'"): out.append(contentsOf: "''".utf8)
                case let other: out.append(other)
                }
                index += 1
                continue
            default: break
            }
            out.append(byte)
            index += 1
        }
        return out
    }

    // MARK: Where the parts end

    /// Behind the first `words` that stand outside of quotes, in what the server wrote.
    private static func behind(_ words: String, in text: [UInt8]) -> Int? {
        let words = Array(words.utf8)
        var index = 0
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "'"), UInt8(ascii: "`"): index = DefinitionText.endOfQuote(text, from: index)
            case _ where text[index...].starts(with: words): return index + words.count
            default: index += 1
            }
        }
        return nil
    }

    /// `CREATE ... name(`, parameters, `) RETURNS type`, and a line for each property, then the body.
    private static func routine(_ text: [UInt8], isFunction: Bool, _ noBackslashes: Bool) -> [Int]? {
        guard let open = behind("(", in: text), let close = endOfParameters(text, from: open, noBackslashes) else {
            return nil
        }
        var index = close
        if isFunction {
            guard text[index...].starts(with: ") RETURNS ".utf8) else { return nil }
        }
        func endOfLine() -> Int? {
            var end = index
            while end < text.count, text[end] != 0x0A {
                end = text[end] == UInt8(ascii: "'") ? DefinitionText.endOfQuote(text, from: end) : end + 1
            }
            return end < text.count ? end + 1 : nil
        }
        guard let end = endOfLine() else { return nil }
        index = end
        // The body begins with a word.
        while text[index...].starts(with: "    ".utf8) {
            guard let end = endOfLine() else { return nil }
            index = end
        }
        return [open, close, index]
    }

    /// Where the parenthesis stands that closes the author's parameters.
    private static func endOfParameters(_ text: [UInt8], from open: Int, _ noBackslashes: Bool) -> Int? {
        var depth = 0
        var index = open
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                let quote = text[index]
                index += 1
                while index < text.count, text[index] != quote {
                    index += text[index] == UInt8(ascii: "\\") && quote != UInt8(ascii: "`") && !noBackslashes ? 2 : 1
                }
            case UInt8(ascii: "/") where text[index...].starts(with: "/*".utf8):
                index = (text.firstRange(ofSequence: Array("*/".utf8), from: index + 2)?.upperBound ?? text.count) - 1
            case _ where text[index] == UInt8(ascii: "#") || text[index...].starts(with: "-- ".utf8):
                while index < text.count, text[index] != 0x0A { index += 1 }
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                if depth == 0 { return index }
                depth -= 1
            default: break
            }
            index += 1
        }
        return nil
    }
}
