import MySQLWire
import Testing

@testable import MySQLDump

@Suite struct ValueEncoderTests {
    private func encode(_ value: [UInt8], _ encoding: ValueEncoding) -> String {
        var out: [UInt8] = []
        value.withUnsafeBufferPointer { ValueEncoder.append($0, as: encoding, to: &out) }
        return String(decoding: out, as: UTF8.self)
    }

    private func encode(_ value: String, _ encoding: ValueEncoding) -> String { encode(Array(value.utf8), encoding) }

    @Test func numbersStandAsTheyCome() {
        #expect(encode("-12.50", .number) == "-12.50")
        #expect(encode("18446744073709551615", .number) == "18446744073709551615")
    }

    @Test(arguments: ["inf", "nan", "", "-", "1;DROP", "0x10"])
    func whatIsNoNumberIsNeverWrittenAsOne(_ text: String) {
        #expect(encode(text, .number) == "'\(text)'")
        #expect(encode(text, .approximate) == "'\(text)'")
    }

    @Test func approximateNumbersGetAnExponent() {
        #expect(encode("16777217", .approximate) == "16777217e0")
        #expect(encode("-0", .approximate) == "-0e0")
        #expect(encode("1.17549435e-38", .approximate) == "1.17549435e-38")
    }

    @Test func everyByteThatBreaksALiteralIsEscaped() {
        #expect(encode([0, 10, 13, 26, 34, 39, 92, 65, 0xC3, 0xA9], .text) == #"'\0\n\r\Z\"\'\\Aé'"#)
        #expect(encode("", .text) == "''")
        #expect(encode("plain", .quoted) == "'plain'")
    }

    @Test func bytesAreHex() {
        #expect(encode([0, 0x0F, 0xA5, 0xFF], .hex) == "0x000FA5FF")
        #expect(encode([], .hex) == "''")
    }

    @Test func charactersThatDoNotSurviveAreCarriedAsBytes() {
        #expect(encode([0x43, 0x5C, 0x44], .introduced("sjis", plainLetters: true)) == "_sjis 0x435C44")
        #expect(encode("Az 09", .introduced("sjis", plainLetters: true)) == "'Az 09'")
        #expect(encode([0, 0x41], .introduced("ucs2", plainLetters: false)) == "_ucs2 0x0041")
        #expect(encode("A", .introduced("ucs2", plainLetters: false)) == "_ucs2 0x41")
        #expect(encode([], .introduced("ucs2", plainLetters: false)) == "''")
    }

    private func plan(_ type: String, _ characterSet: String? = nil, _ version: String = "9.7.4") -> ColumnPlan? {
        ColumnPlan(
            .init(name: "c", type: type, characterSet: characterSet, nullable: true), version: ServerVersion(version))
    }

    @Test func columnsAreReadSoThatNothingIsLost() {
        #expect(plan("float")?.expression == "CAST(`c` AS DOUBLE)")
        #expect(plan("float", nil, "8.0.16")?.expression == "`c` * 1e0")
        #expect(plan("enum", "latin1")?.expression == "CAST(`c` AS UNSIGNED)")
        #expect(plan("varchar", "utf8mb4")?.encoding == .text)
        #expect(plan("varchar", "latin1")?.expression == "CONVERT(`c` USING utf8mb4)")
        #expect(plan("longtext", "latin1")?.encoding == .introduced("latin1", plainLetters: true))
        #expect(plan("longtext", "utf16")?.encoding == .introduced("utf16", plainLetters: false))
        #expect(plan("char", "cp1251")?.encoding == .introduced("cp1251", plainLetters: true))
        #expect(plan("vector")?.encoding == .hex)
        #expect(plan("json")?.isJSON == true)
    }

    @Test func anUnknownTypeIsNoGuess() {
        #expect(plan("period") == nil)
        #expect(plan("varchar", nil) == nil)
    }
}

@Suite struct InsertBuilderTests {
    private func statements(rows: [String?], size: Int, transaction: Int = 1 << 20) -> [String] {
        let column = ColumnPlan(
            .init(name: "c`", type: "varchar", characterSet: "utf8mb4", nullable: true), version: ServerVersion("9.7.4")
        )
        var builder = InsertBuilder(
            table: "t", columns: column.map { [$0] } ?? [], size: size, transaction: transaction)
        for row in rows {
            guard let row else {
                builder.add { _ in nil }
                continue
            }
            Array(row.utf8).withUnsafeBufferPointer { bytes in builder.add { _ in bytes } }
        }
        builder.finish()
        #expect(builder.rows == UInt64(rows.count))
        return builder.takeReady().map {
            guard case .statement(let sql, _) = $0 else { return "?" }
            return String(decoding: sql, as: UTF8.self)
        }
    }

    @Test func rowsAreJoinedUpToTheSize() {
        let head = "INSERT INTO `t` (`c```) VALUES\n"
        #expect(
            statements(rows: ["a", nil, "b"], size: 1000)
                == ["START TRANSACTION", head + "('a'),\n(NULL),\n('b')", "COMMIT"])
        #expect(
            statements(rows: ["a", "b"], size: 1) == ["START TRANSACTION", head + "('a')", head + "('b')", "COMMIT"])
        #expect(statements(rows: [], size: 10).isEmpty)
    }

    @Test func aLongRowStandsAlone() {
        let long = String(repeating: "x", count: 200)
        let head = "INSERT INTO `t` (`c```) VALUES\n"
        #expect(
            statements(rows: ["a", long, "b"], size: 100)
                == ["START TRANSACTION", head + "('a')", head + "('\(long)')", head + "('b')", "COMMIT"])
    }

    @Test func transactionsEnd() {
        let all = statements(rows: ["a", "b", "c"], size: 1, transaction: 70)
        #expect(all.filter { $0 == "COMMIT" }.count == 2)
        #expect(all.filter { $0 == "START TRANSACTION" }.count == 2)
        #expect(all.last == "COMMIT")
    }
}
