import MySQLWire

/// JSON as text, keys in the order given. The coders of FoundationEssentials would bring their own weight into the
/// static binary for these few documents.
package enum JSON: Sendable, CustomStringConvertible, Equatable {
    /// A number, true, false or null, as it stands in the text.
    case literal(String)
    case string(String)
    case array([JSON])
    case object([(String, JSON)])

    package static let null = JSON.literal("null")
    package static func bool(_ value: Bool) -> JSON { .literal(value ? "true" : "false") }
    package static func number(_ value: Int64) -> JSON { .literal("\(value)") }

    /// Fields in the same order.
    package static func == (one: JSON, other: JSON) -> Bool { one.description == other.description }

    package var description: String {
        switch self {
        case .literal(let text): text
        case .string(let text): Self.quote(text)
        case .array(let items): "[" + items.map(\.description).joined(separator: ",") + "]"
        case .object(let fields):
            "{" + fields.map { Self.quote($0.0) + ":" + $0.1.description }.joined(separator: ",") + "}"
        }
    }

    /// RFC 8259 section 7; besides, whatever a terminal would not show but do is written as an escape.
    package static func quote(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where PrintableText.isControl(scalar):
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
