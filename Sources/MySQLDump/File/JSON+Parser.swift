/// Reads JSON (RFC 8259): a key that comes twice, text that is no UTF-8 and half of a surrogate pair are refused.
extension JSON {
    package subscript(_ key: String) -> JSON? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.0 == key }?.1
    }

    package var string: String? { if case .string(let text) = self { text } else { nil } }
    package var unsigned: UInt64? { if case .literal(let text) = self { UInt64(text) } else { nil } }
    package var array: [JSON]? { if case .array(let items) = self { items } else { nil } }

    /// - Returns: nil if it is no JSON, or nested deeper than `depth`.
    static func parse(_ bytes: [UInt8], depth: Int = 16) -> JSON? {
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

        mutating func value(_ depth: Int) -> JSON? {
            space()
            guard depth > 0, let byte else { return nil }
            switch byte {
            case UInt8(ascii: "{"): return object(depth)
            case UInt8(ascii: "["): return list(depth)
            case UInt8(ascii: "\""): return text().map { .string($0) }
            case UInt8(ascii: "n"): return take("null") ? .literal("null") : nil
            case UInt8(ascii: "t"): return take("true") ? .bool(true) : nil
            case UInt8(ascii: "f"): return take("false") ? .bool(false) : nil
            default: return number()
            }
        }

        private mutating func number() -> JSON? {
            let start = position
            while let byte, "+-.eE0123456789".utf8.contains(byte) { position += 1 }
            guard position > start else { return nil }
            return .literal(String(decoding: bytes[start..<position], as: UTF8.self))
        }

        private mutating func list(_ depth: Int) -> JSON? {
            position += 1
            var items: [JSON] = []
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

        private mutating func object(_ depth: Int) -> JSON? {
            position += 1
            var fields: [(String, JSON)] = []
            var keys: Set<String> = []
            space()
            if take("}") { return .object(fields) }
            while true {
                space()
                guard byte == UInt8(ascii: "\""), let key = text() else { return nil }
                space()
                guard take(":"), keys.insert(key).inserted, let item = value(depth - 1) else { return nil }
                fields.append((key, item))
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
