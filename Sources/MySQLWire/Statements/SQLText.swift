/// The only place where values and names become SQL text.
public enum SQLText {
    /// A name in backquotes, backquotes inside doubled.
    /// https://dev.mysql.com/doc/refman/8.4/en/identifiers.html
    public static func name(_ name: String) -> String {
        var out = "`"
        for character in name.unicodeScalars {
            if character == "`" { out.unicodeScalars.append("`") }
            out.unicodeScalars.append(character)
        }
        return out + "`"
    }

    /// A string literal in single quotes, for a session whose sql_mode lacks NO_BACKSLASH_ESCAPES (the sessions that
    /// this driver opens set it so) and whose character set is utf8mb4.
    /// https://dev.mysql.com/doc/refman/8.4/en/string-literals.html
    public static func literal(_ text: String) -> String {
        var out = "'"
        for character in text.unicodeScalars {
            switch character {
            case "\0": out += "\\0"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\u{1A}": out += "\\Z"
            case "'": out += "\\'"
            case "\\": out += "\\\\"
            default: out.unicodeScalars.append(character)
            }
        }
        return out + "'"
    }
}
