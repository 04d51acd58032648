/// Just as much of JSON (RFC 8259) as a manifest needs.
enum JSONText {
    indirect enum Value: Equatable {
        case null
        case bool(Bool)
        /// As it stands in the text.
        case number(String)
        case string(String)
        case array([Value])
        case object([String: Value])

        subscript(_ key: String) -> Value? {
            if case .object(let fields) = self { return fields[key] }
            return nil
        }
        var string: String? { if case .string(let text) = self { text } else { nil } }
        var unsigned: UInt64? { if case .number(let text) = self { UInt64(text) } else { nil } }
        var array: [Value]? { if case .array(let items) = self { items } else { nil } }
    }

    static func quote(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: out += "\\u00" + hex(UInt8(scalar.value))
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// Two digits.
    static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    /// - Returns: nil if it is no JSON, or nested deeper than `depth`.
    static func parse(_ bytes: [UInt8], depth: Int = 16) -> Value? {
        var parser = Parser(bytes: bytes)
        guard let value = parser.value(depth) else { return nil }
        parser.space()
        return parser.position == bytes.count ? value : nil
    }

    private struct Parser {
        let bytes: [UInt8]
        var position = 0

        var byte: UInt8? { position < bytes.count ? bytes[position] : nil }

        mutating func space() {
            while let byte, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
        }

        mutating func take(_ wanted: String) -> Bool {
            guard bytes[position...].starts(with: wanted.utf8) else { return false }
            position += wanted.utf8.count
            return true
        }

        mutating func value(_ depth: Int) -> Value? {
            space()
            guard depth > 0, let byte else { return nil }
            switch byte {
            case UInt8(ascii: "{"): return object(depth)
            case UInt8(ascii: "["): return list(depth)
            case UInt8(ascii: "\""): return text().map { .string($0) }
            case UInt8(ascii: "n"): return take("null") ? .null : nil
            case UInt8(ascii: "t"): return take("true") ? .bool(true) : nil
            case UInt8(ascii: "f"): return take("false") ? .bool(false) : nil
            default: return number()
            }
        }

        private mutating func number() -> Value? {
            let start = position
            while let byte, "+-.eE0123456789".utf8.contains(byte) { position += 1 }
            guard position > start else { return nil }
            return .number(String(decoding: bytes[start..<position], as: UTF8.self))
        }

        private mutating func list(_ depth: Int) -> Value? {
            position += 1
            var items: [Value] = []
            space()
            if take("]") { return .array(items) }
            while let item = value(depth - 1) {
                items.append(item)
                space()
                if take("]") { return .array(items) }
                guard take(",") else { return nil }
            }
            return nil
        }

        private mutating func object(_ depth: Int) -> Value? {
            position += 1
            var fields: [String: Value] = [:]
            space()
            if take("}") { return .object(fields) }
            while true {
                space()
                guard byte == UInt8(ascii: "\""), let key = text() else { return nil }
                space()
                guard take(":"), let item = value(depth - 1), fields.updateValue(item, forKey: key) == nil else {
                    return nil
                }
                space()
                if take("}") { return .object(fields) }
                guard take(",") else { return nil }
            }
        }

        private mutating func text() -> String? {
            position += 1
            var out: [UInt8] = []
            while let byte {
                position += 1
                switch byte {
                case UInt8(ascii: "\""): return String(validating: out, as: UTF8.self)
                case 0..<0x20: return nil
                case UInt8(ascii: "\\"):
                    guard let escaped = self.byte else { return nil }
                    position += 1
                    switch escaped {
                    case UInt8(ascii: "n"): out.append(0x0A)
                    case UInt8(ascii: "r"): out.append(0x0D)
                    case UInt8(ascii: "t"): out.append(0x09)
                    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(escaped)
                    case UInt8(ascii: "u"):
                        guard position + 4 <= bytes.count,
                            let code = UInt32(
                                String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16),
                            let scalar = Unicode.Scalar(code)
                        else { return nil }
                        position += 4
                        out += Array(String(scalar).utf8)
                    default: return nil
                    }
                default: out.append(byte)
                }
            }
            return nil
        }
    }
}
