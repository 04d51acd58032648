import MySQLDump
import MySQLWire
import Watchdog

/// Rows as text: the columns of `mysql --batch`, or one JSON document. Only one batch is held at a time.
struct RowPrinter {
    var json: Bool
    /// Rows go to a terminal, which would do what control characters in them say. A pipe gets them as they are.
    var toTerminal = false

    /// Begins the result; a statement without one (INSERT, SET ...) has no columns.
    func head(_ columns: [String]) -> [UInt8] {
        if json {
            return Array("{\"columns\":\(JSON.array(columns.map { .string($0) })),\"rows\":[".utf8)
        }
        if columns.isEmpty { return [] }
        return Array(columns.map { String(decoding: escape($0.utf8), as: UTF8.self) }.joined(separator: "\t").utf8)
            + [UInt8(ascii: "\n")]
    }

    func rows(_ batch: RowBatch, first: Bool) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(batch.bytes.count + batch.bytes.count / 8)
        for row in 0..<batch.rowCount {
            if json {
                out += Array(first && row == 0 ? "[".utf8 : ",[".utf8)
                for column in 0..<batch.columnCount {
                    if column > 0 { out.append(UInt8(ascii: ",")) }
                    out += Self.value(batch, row, column)
                }
                out.append(UInt8(ascii: "]"))
            } else {
                for column in 0..<batch.columnCount {
                    if column > 0 { out.append(UInt8(ascii: "\t")) }
                    if let range = batch.range(row: row, column: column) {
                        out += escape(batch.bytes[range])
                    } else {
                        out += Array("NULL".utf8)
                    }
                }
                out.append(UInt8(ascii: "\n"))
            }
        }
        return out
    }

    /// Ends the result, also one that broke off.
    func tail(error: String? = nil) -> [UInt8] {
        guard json else { return [] }
        return Array("]\(error.map { ",\"error\":\(JSON.quote($0))" } ?? "")}\n".utf8)
    }

    private static func value(_ batch: RowBatch, _ row: Int, _ column: Int) -> [UInt8] {
        guard let range = batch.range(row: row, column: column) else { return Array("null".utf8) }
        let bytes = batch.bytes[range]
        if let text = String(validating: bytes, as: UTF8.self) { return Array(JSON.quote(text).utf8) }
        let digits = Array("0123456789abcdef".utf8)
        var out = Array("{\"hex\":\"".utf8)
        for byte in bytes {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
        return out + Array("\"}".utf8)
    }

    /// As `mysql --batch`: what would break a line or a column is written with a backslash.
    private func escape(_ raw: some Collection<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        var bytes = Array(raw)
        if toTerminal, let text = String(validating: bytes, as: UTF8.self) {
            // Tabs and line ends are written below, as everywhere.
            let plain: Set<Unicode.Scalar> = ["\n", "\t", "\0"]
            var shown = String.UnicodeScalarView()
            for scalar in text.unicodeScalars {
                shown.append(PrintableText.isControl(scalar) && !plain.contains(scalar) ? "?" : scalar)
            }
            bytes = Array(String(shown).utf8)
        } else if toTerminal {
            bytes = bytes.map { ($0 < 0x20 && ![0, 9, 10].contains($0)) || $0 >= 0x7F ? UInt8(ascii: "?") : $0 }
        }
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\n"): out += Array("\\n".utf8)
            case UInt8(ascii: "\t"): out += Array("\\t".utf8)
            case UInt8(ascii: "\\"): out += Array("\\\\".utf8)
            case 0: out += Array("\\0".utf8)
            default: out.append(byte)
            }
        }
        return out
    }
}
