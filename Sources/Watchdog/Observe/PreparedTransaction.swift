import MySQLWire

/// An XA transaction between XA PREPARE and its end. It keeps its locks for as long: over the end of its session, a crash
/// and, on a replica, a promotion.
package struct PreparedTransaction: Sendable, Hashable {
    let format: Int64
    let global: [UInt8]
    let branch: [UInt8]

    /// As XA COMMIT and XA ROLLBACK take it.
    package var xid: String { "\(Self.literal(global)),\(Self.literal(branch)),\(format)" }

    /// Any byte may stand in a name; letters are easier to recognise.
    private static func literal(_ bytes: [UInt8]) -> String {
        let plain = bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"):
                true
            default: [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":")].contains(byte)
            }
        }
        guard !plain else { return "'\(String(decoding: bytes, as: UTF8.self))'" }
        let digits = Array("0123456789ABCDEF")
        return "X'" + String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }) + "'"
    }

    /// A row of XA RECOVER CONVERT XID; nil if it is none.
    init?(format: Int64?, globalLength: Int64?, branchLength: Int64?, data: String?) {
        guard let format, let globalLength, let branchLength, let data, data.hasPrefix("0x") else { return nil }
        let digits = data.utf8.dropFirst(2).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == data.utf8.count - 2, digits.count.isMultiple(of: 2), globalLength >= 0, branchLength >= 0,
            globalLength <= 64, branchLength <= 64, Int64(digits.count / 2) == globalLength + branchLength
        else { return nil }
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        self.format = format
        global = Array(bytes.prefix(Int(globalLength)))
        branch = Array(bytes.dropFirst(Int(globalLength)))
    }

    /// Everything that is prepared on a server. Needs XA_RECOVER_ADMIN.
    static func list(_ connection: MySQLConnection, deadline: Deadline) async throws(MySQLError) -> [Self] {
        try await connection.query(
            "XA RECOVER CONVERT XID", purpose: "list prepared XA transactions", deadline: deadline
        ).rows.compactMap { row in
            Self(
                format: row.int("formatID"), globalLength: row.int("gtrid_length"),
                branchLength: row.int("bqual_length"), data: row.string("data"))
        }
    }

    /// The first few, for a sentence.
    static func names(_ all: some Collection<Self>) -> String {
        let shown = all.map(\.xid).sorted().prefix(5).joined(separator: "; ")
        return all.count > 5 ? "\(shown); and \(all.count - 5) more" : shown
    }
}
