import MySQLWire

/// Finds words in what a server printed, outside of quotes.
enum DefinitionText {
    /// The words of a statement that stand outside of quotes and comments, each with its range. A word is a run of
    /// letters, digits and underscores.
    static func words(_ text: [UInt8]) -> [(word: String, range: Range<Int>)] {
        var words: [(String, Range<Int>)] = []
        var index = 0
        while index < text.count {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                index = endOfQuote(text, from: index)
            case UInt8(ascii: "/") where index + 1 < text.count && text[index + 1] == UInt8(ascii: "*"):
                index = text.firstRange(ofSequence: Array("*/".utf8), from: index + 2)?.upperBound ?? text.count
            case _ where isWord(byte):
                let start = index
                while index < text.count, isWord(text[index]) { index += 1 }
                words.append((String(decoding: text[start..<index], as: UTF8.self).uppercased(), start..<index))
            default:
                index += 1
            }
        }
        return words
    }

    static func endOfQuote(_ text: [UInt8], from start: Int) -> Int {
        let quote = text[start]
        var index = start + 1
        while index < text.count {
            if text[index] == UInt8(ascii: "\\"), quote != UInt8(ascii: "`") {
                index += 2
            } else if text[index] == quote {
                return index + 1
            } else {
                index += 1
            }
        }
        return text.count
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), 0x80...0xFF:
            true
        default: false
        }
    }

    /// How many members the type of an ENUM or SET column has.
    static func members(_ type: [UInt8]) -> Int {
        var count = 0
        var index = 0
        while index < type.count {
            if type[index] == UInt8(ascii: "'") {
                count += 1
                index = endOfText(type, from: index)
            } else {
                index += 1
            }
        }
        return count
    }

    /// Behind a quoted text in which a quote may be doubled.
    private static func endOfText(_ text: [UInt8], from start: Int) -> Int {
        var end = endOfQuote(text, from: start)
        while end < text.count, text[end] == text[start] { end = endOfQuote(text, from: end) }
        return end
    }

    /// A CREATE TABLE with another type of an ENUM or SET column; nil where the column is not found.
    static func replacingMembers(_ create: [UInt8], column: String, type: String) -> [UInt8]? {
        let name = Array(SQLText.name(column).utf8) + [UInt8(ascii: " ")]
        guard let element = DeferredKeys.elements(create)?.elements.first(where: { create[$0].starts(with: name) })
        else { return nil }
        let start = element.lowerBound + name.count
        guard let open = create[start...].firstIndex(of: UInt8(ascii: "(")),
            ["enum", "set"].contains(String(decoding: create[start..<open], as: UTF8.self).lowercased())
        else { return nil }
        var index = open + 1
        while index < create.count, create[index] != UInt8(ascii: ")") {
            index = create[index] == UInt8(ascii: "'") ? endOfText(create, from: index) : index + 1
        }
        guard index < create.count else { return nil }
        return create[..<start] + Array(type.utf8) + create[(index + 1)...]
    }

    /// A CREATE EVENT with ENABLE turned into `status`; nil if the event is not enabled. The status stands behind
    /// ON COMPLETION [NOT] PRESERVE, which SHOW CREATE EVENT always prints.
    static func disablingEvent(_ create: [UInt8], status: String) -> [UInt8]? {
        let words = words(create)
        guard let preserve = words.firstIndex(where: { $0.word == "PRESERVE" }), preserve + 1 < words.count,
            words[preserve + 1].word == "ENABLE"
        else { return nil }
        var text = create
        text.replaceSubrange(words[preserve + 1].range, with: status.utf8)
        return text
    }

    /// A CREATE EVENT without ON COMPLETION NOT PRESERVE.
    static func withoutNotPreserve(_ create: [UInt8]) -> [UInt8] {
        let words = words(create)
        guard
            let on = words.indices.first(where: { index in
                index + 3 < words.count
                    && words[index...index + 3].map(\.word) == ["ON", "COMPLETION", "NOT", "PRESERVE"]
            })
        else { return create }
        return Array(create[..<words[on].range.lowerBound] + create[words[on + 3].range.upperBound...])
    }

    /// What follows `CREATE USER account` in SHOW CREATE USER, ready for CREATE and ALTER: without DEFAULT ROLE (the
    /// role may not exist yet), and with an empty password said aloud (ALTER USER without it marks the password as
    /// expired).
    static func accountProperties(_ create: [UInt8]) -> [UInt8]? {
        var text = create
        var words = words(text)
        guard words.count > 2, words[0].word == "CREATE", words[1].word == "USER" else { return nil }
        if let role = words.indices.first(where: {
            words[$0].word == "DEFAULT" && $0 + 1 < words.count && words[$0 + 1].word == "ROLE"
        }) {
            let end = words[(role + 2)...].first { $0.word == "REQUIRE" }?.range.lowerBound ?? text.count
            text.removeSubrange(words[role].range.lowerBound..<end)
            words = Self.words(text)
        }
        guard let identified = words.firstIndex(where: { $0.word == "IDENTIFIED" }) else {
            // An account without a plugin of its own: from the first word behind its name.
            return words.count > 2 ? Array(text[words[2].range.lowerBound...]) : nil
        }
        if identified + 1 < words.count, words[identified + 1].word == "WITH",
            !(identified + 2 < words.count && words[identified + 2].word == "AS")
        {
            // IDENTIFIED WITH 'plugin' REQUIRE ...: the plugin's name is quoted, hence no word.
            var index = words[identified + 1].range.upperBound
            while index < text.count, text[index] == UInt8(ascii: " ") { index += 1 }
            guard index < text.count, text[index] == UInt8(ascii: "'") || text[index] == UInt8(ascii: "`") else {
                return nil
            }
            text.insert(contentsOf: " AS ''".utf8, at: endOfQuote(text, from: index))
        }
        return Array(text[words[identified].range.lowerBound...])
    }

    /// The schema and table of a table-level grant (`ON `s`.`t` TO`); nil for every other one.
    static func grantedTable(_ grant: [UInt8]) -> (schema: String, table: String)? {
        let words = words(grant)
        guard let on = words.first(where: { $0.word == "ON" }) else { return nil }
        var names: [String] = []
        var index = on.range.upperBound
        while index < grant.count, names.count < 2 {
            switch grant[index] {
            case UInt8(ascii: " ") where names.isEmpty, UInt8(ascii: ".") where names.count == 1: index += 1
            case UInt8(ascii: "`"):
                var name: [UInt8] = []
                index += 1
                while index < grant.count {
                    if grant[index] == UInt8(ascii: "`") {
                        if index + 1 < grant.count, grant[index + 1] == UInt8(ascii: "`") {
                            index += 1
                        } else {
                            break
                        }
                    }
                    name.append(grant[index])
                    index += 1
                }
                index += 1
                names.append(String(decoding: name, as: UTF8.self))
            default: return nil
            }
        }
        return names.count == 2 ? (names[0], names[1]) : nil
    }
}
