import MySQLWire

/// How the items of a dump stand in a file: SQL, `DELIMITER` and comments, nothing else, so that the mysql client
/// takes it with its client commands switched off.
enum ItemText {
    static let statementEnd = Array(";\n".utf8)

    static func append(_ item: StreamItem, to text: inout [UInt8]) {
        switch item {
        case .statement(let bytes, _):
            text.append(contentsOf: bytes)
            text.append(contentsOf: statementEnd)
        case .definition(let bytes, _):
            let delimiter = delimiter(for: bytes)
            text.append(contentsOf: "DELIMITER \(delimiter)\n".utf8)
            text.append(contentsOf: bytes)
            // On a line of its own: the definition may end in a comment.
            text.append(contentsOf: "\n\(delimiter)\nDELIMITER ;\n".utf8)
        case .directive(let directive):
            text.append(contentsOf: directive.line.utf8)
            text.append(UInt8(ascii: "\n"))
        case .comment(let comment):
            text.append(contentsOf: "-- \(oneLine(comment))\n".utf8)
        }
    }

    /// A text that cannot leave its comment: what a server says of itself must not become a statement
    /// (CVE-2024-21096).
    static func oneLine(_ text: String, limit: Int = .max) -> String {
        var out = ""
        for character in text.unicodeScalars.prefix(limit) {
            out.unicodeScalars.append(character.value < 0x20 || character.value == 0x7F ? " " : character)
        }
        return out
    }

    /// One that the definition does not hold.
    static func delimiter(for definition: [UInt8]) -> String {
        var candidates = [";;", "$$", "//"].makeIterator()
        var number = 0
        while true {
            number += 1
            let candidate = candidates.next() ?? "$$\(number)$$"
            if !definition.contains(sequence: Array(candidate.utf8)) { return candidate }
        }
    }
}

extension [UInt8] {
    func contains(sequence: [UInt8]) -> Bool { firstRange(ofSequence: sequence, from: 0) != nil }

    /// Where `sequence` begins at or after `from`; nil if nowhere.
    func firstRange(ofSequence sequence: [UInt8], from: Int) -> Range<Int>? {
        guard let first = sequence.first, count >= sequence.count else { return nil }
        return withUnsafeBufferPointer { bytes in
            var index = from
            let last = bytes.count - sequence.count
            search: while index <= last {
                if bytes[index] == first {
                    var offset = 1
                    while offset < sequence.count {
                        if bytes[index + offset] != sequence[offset] {
                            index += 1
                            continue search
                        }
                        offset += 1
                    }
                    return index..<index + sequence.count
                }
                index += 1
            }
            return nil
        }
    }
}
