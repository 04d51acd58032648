/// How the values of a column become SQL text that stores exactly the same value.
enum ValueEncoding: Sendable, Equatable {
    /// Digits as they come: integers, DECIMAL, YEAR, and ENUM and SET by their number.
    case number
    /// FLOAT and DOUBLE: read as DOUBLE, written with an exponent so that they are not taken for integers or DECIMAL.
    case approximate
    /// Dates and times.
    case quoted
    /// Text whose bytes are utf8mb4.
    case text
    /// Bytes: BINARY, BLOB, BIT, GEOMETRY, VECTOR. Long ones as `_binary '...'`, which is half as long and as exact.
    case hex
    /// Text in a character set that does not survive the way through utf8mb4: `_sjis 0x...`. Values of letters,
    /// digits and blanks are written plainly where these stand for themselves in the character set.
    case introduced(String, plainLetters: Bool)
}

/// Writes values as SQL text.
/// https://dev.mysql.com/doc/refman/8.4/en/string-literals.html
/// https://dev.mysql.com/doc/refman/8.4/en/hexadecimal-literals.html
enum ValueEncoder {
    typealias Bytes = UnsafeBufferPointer<UInt8>

    /// Bytes of a value above which two digits for each would cost too much memory on both sides.
    static let longestHex = 1 << 20

    static func append(_ value: Bytes, as encoding: ValueEncoding, to out: inout [UInt8]) {
        switch encoding {
        case .number:
            if isNumber(value) { out.append(contentsOf: value) } else { appendLiteral(value, to: &out) }
        case .approximate:
            guard isNumber(value) else { return appendLiteral(value, to: &out) }
            out.append(contentsOf: value)
            // Also keeps the sign of a negative zero: -0 is the integer 0, -0e0 is not.
            if !value.contains(where: { $0 | 0x20 == UInt8(ascii: "e") }) { out.append(contentsOf: "e0".utf8) }
        case .quoted, .text:
            appendLiteral(value, to: &out)
        case .hex:
            guard value.count > longestHex else { return appendHex(value, to: &out) }
            out.append(contentsOf: "_binary ".utf8)
            appendLiteral(value, to: &out)
        case .introduced(let characterSet, let plainLetters):
            if value.isEmpty || plainLetters && value.allSatisfy(isLetterDigitOrBlank) {
                appendLiteral(value, to: &out)
            } else {
                out.append(UInt8(ascii: "_"))
                out.append(contentsOf: characterSet.utf8)
                out.append(UInt8(ascii: " "))
                appendHex(value, to: &out)
            }
        }
    }

    /// What may stand without quotes: a value that is something else is written as text, and never as NULL.
    private static func isNumber(_ value: Bytes) -> Bool {
        var digits = false
        for byte in value {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digits = true
            case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): break
            case UInt8(ascii: "e"), UInt8(ascii: "E"): if !digits { return false }
            default: return false
            }
        }
        return digits
    }

    private static func isLetterDigitOrBlank(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: " "):
            true
        default: false
        }
    }

    static func appendLiteral(_ value: Bytes, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "'"))
        var run = 0
        for index in 0..<value.count {
            let byte = value[index]
            // Everything that needs an escape is below 0x5D: most bytes of most texts need one comparison.
            guard byte < 0x28 || byte == UInt8(ascii: "\\") else { continue }
            let escape: UInt8
            switch byte {
            case 0x00: escape = UInt8(ascii: "0")
            case 0x0A: escape = UInt8(ascii: "n")
            case 0x0D: escape = UInt8(ascii: "r")
            case 0x1A: escape = UInt8(ascii: "Z")
            case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"): escape = byte
            default: continue
            }
            out.append(contentsOf: value[run..<index])
            out.append(UInt8(ascii: "\\"))
            out.append(escape)
            run = index + 1
        }
        out.append(contentsOf: value[run..<value.count])
        out.append(UInt8(ascii: "'"))
    }

    static func appendHex(_ value: Bytes, to out: inout [UInt8]) {
        // 0x without a digit is a syntax error.
        guard !value.isEmpty else { return out.append(contentsOf: "''".utf8) }
        out.append(contentsOf: "0x".utf8)
        for byte in value {
            out.append(digit(byte >> 4))
            out.append(digit(byte & 15))
        }
    }

    @inline(__always)
    private static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") - 10 + nibble
    }
}
