/// Text of a server as it may stand on a terminal or in a log: what would end a line, move the cursor, change colours or
/// the direction of writing is shown and not done.
public enum PrintableText {
    /// One line, whatever it holds.
    public static func line(_ text: String) -> String {
        // Nearly always there is nothing to do, and bytes tell that fastest.
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where isControl(scalar): out += "?"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// C0, DEL, C1, the separators of lines and paragraphs, and what turns the direction of writing.
    public static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
