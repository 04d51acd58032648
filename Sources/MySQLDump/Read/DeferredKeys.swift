import MySQLWire

/// Takes the secondary keys out of a table's definition, to be added when its rows are there: sorting them once is
/// cheaper than keeping them in order row by row.
enum DeferredKeys {
    /// Bytes of data from which on it is worth a second statement.
    static let worthwhile: UInt64 = 1 << 20

    /// - Parameters:
    ///   - create: what SHOW CREATE TABLE says, with backslash as the escape and backticks around names.
    ///   - name: the table's, quoted.
    /// - Returns: the definition without its non-unique keys, and the statement that adds these; nil where there are
    ///   none, or where the table would not come out the same: a foreign key needs its key from the start, so does an
    ///   AUTO_INCREMENT column without a unique one, and FULLTEXT and SPATIAL keys are sorted among the others.
    static func split(_ create: [UInt8], name: String) -> (create: [UInt8], add: [UInt8])? {
        guard let (body, elements) = elements(create) else { return nil }
        var kept: [Range<Int>] = []
        var keys: [Range<Int>] = []
        var automatic: ArraySlice<UInt8>?
        for element in elements {
            let text = create[element]
            if text.starts(with: "KEY ".utf8) {
                keys.append(element)
                continue
            }
            // Where a key stands among the others must stay as it is.
            guard keys.isEmpty || text.starts(with: "CONSTRAINT ".utf8) else { return nil }
            guard !text.starts(with: "FULLTEXT ".utf8), !text.starts(with: "SPATIAL ".utf8) else { return nil }
            let words = DefinitionText.words(Array(text)).map(\.word)
            if text.starts(with: "CONSTRAINT ".utf8), words.contains("FOREIGN") { return nil }
            if text.first == UInt8(ascii: "`"), words.contains("AUTO_INCREMENT") {
                automatic = create[text.startIndex..<DefinitionText.endOfQuote(create, from: text.startIndex)]
            }
            kept.append(element)
        }
        guard !keys.isEmpty else { return nil }
        if let automatic {
            let leads = kept.contains { element in
                let text = create[element]
                guard text.starts(with: "PRIMARY KEY (".utf8) || text.starts(with: "UNIQUE KEY ".utf8) else {
                    return false
                }
                return Array(text).contains(sequence: Array("(".utf8) + automatic)
            }
            guard leads else { return nil }
        }
        func joined(_ ranges: [Range<Int>], before: String) -> [UInt8] {
            Array(ranges.map { Array(before.utf8) + create[$0] }.joined(separator: Array(",\n".utf8)))
        }
        let without =
            create[..<body.lowerBound] + "\n".utf8 + joined(kept, before: "  ") + "\n".utf8 + create[body.upperBound...]
        return (Array(without), Array("ALTER TABLE \(name)\n".utf8) + joined(keys, before: "  ADD "))
    }

    /// What stands between the outermost parentheses, and the trimmed parts of it that commas separate.
    static func elements(_ create: [UInt8]) -> (body: Range<Int>, elements: [Range<Int>])? {
        var depth = 0
        var begin: Int?
        var start = 0
        var elements: [Range<Int>] = []
        func trimmed(_ range: Range<Int>) -> Range<Int> {
            var range = range
            while let first = range.first, create[first] <= 0x20 { range = first + 1..<range.upperBound }
            while let last = range.last, create[last] <= 0x20 { range = range.lowerBound..<last }
            return range
        }
        var index = 0
        while index < create.count {
            switch create[index] {
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                index = DefinitionText.endOfQuote(create, from: index)
                continue
            case UInt8(ascii: "("):
                depth += 1
                if depth == 1 {
                    begin = index + 1
                    start = index + 1
                }
            case UInt8(ascii: ",") where depth == 1:
                elements.append(trimmed(start..<index))
                start = index + 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0, let begin {
                    elements.append(trimmed(start..<index))
                    return (begin..<index, elements.filter { !$0.isEmpty })
                }
            default: break
            }
            index += 1
        }
        return nil
    }
}
