import TestBed
import Testing

@testable import MySQLWire

struct RowValuesTests {
    private func row(_ type: ColumnType, _ text: String?, characterSet: UInt16 = 255, decimals: UInt8 = 0) -> Row {
        let column = ColumnDefinition(
            schema: "s", table: "t", name: "Place", characterSet: characterSet, length: 0, type: type.rawValue,
            flags: 0, decimals: decimals)
        return Row(columns: [column], values: [text.map { Array($0.utf8) }])
    }

    private func refused(_ body: () throws(MySQLError) -> Void) -> Bool {
        do {
            try body()
            return false
        } catch {
            return error.code == .conversion && error.description.contains("lace")
        }
    }

    @Test func valuesOfTheirType() throws {
        #expect(try row(.longLong, "-9223372036854775808").value("place") == Int64.min)
        #expect(try row(.longLong, "18446744073709551615").value(0) == UInt64.max)
        #expect(try row(.newDecimal, "12").value(0) == 12)
        #expect(try row(.tiny, "1").value(0) == true)
        #expect(try row(.double, "1.5e300").value(0) == 1.5e300)
        #expect(try row(.long, "7").value(0) == 7.0)
        #expect(try row(.varString, "ä").value("PLACE") == "ä")
        #expect(try row(.dateTime, "0000-00-00 00:00:00", characterSet: 63).value(0) == "0000-00-00 00:00:00")
        #expect(try row(.blob, "ä", characterSet: 63).value(0, as: [UInt8].self) == [0xC3, 0xA4])
        let nothing: Int? = try row(.long, nil).optional("place")
        #expect(nothing == nil)
    }

    @Test func datesByTheirParts() throws {
        #expect(try row(.date, "2026-02-28").value(0) == SQLDateTime(year: 2026, month: 2, day: 28))
        #expect(try row(.dateTime, "0000-00-00 00:00:00").value(0) == SQLDateTime())
        #expect(
            try row(.timestamp, "2026-12-31 23:59:58.5").value(0)
                == SQLDateTime(year: 2026, month: 12, day: 31, hour: 23, minute: 59, second: 58, microsecond: 500_000))
        #expect(
            try row(.time, "-838:59:58.000001").value(0)
                == SQLTime(isNegative: true, days: 34, hour: 22, minute: 59, second: 58, microsecond: 1))
        for text in [
            "", "2026", "2026-2-28", "2026-02-28T00:00:00", "2026-02-28 23:59", "2026-02-28 23:59:59.",
            "2026-02-28 23:59:59.1234567", "2026-02-28 ", "-026-02-28", "99999-01-01",
        ] {
            #expect(
                refused { () throws(MySQLError) in
                    _ = try row(.dateTime, text).value("place", as: SQLDateTime.self)
                }, "\(text)")
        }
        for text in ["", "1:00:00", "99999:00:00", "12:00", "--12:00:00", "12:00:00x"] {
            #expect(
                refused { () throws(MySQLError) in _ = try row(.time, text).value("place", as: SQLTime.self) },
                "\(text)")
        }
        #expect(
            refused { () throws(MySQLError) in
                _ = try row(.varString, "2026-02-28").value("place", as: SQLDateTime.self)
            })
    }

    @Test func bytesByName() {
        #expect(row(.blob, "ä", characterSet: 63).bytes("place") == [0xC3, 0xA4])
        #expect(row(.blob, nil).bytes("place") == nil)
        #expect(row(.blob, "ä").bytes("another") == nil)
    }

    @Test func valuesOfABatch() throws {
        let packet = Packets.row(["ä", nil])
        var offsets: [(start: Int32, length: Int32)] = []
        try packet.withUnsafeBufferPointer { try TextRow.decode($0, 0..<packet.count, columns: 2, into: &offsets) }
        let batch = RowBatch(bytes: packet, columns: Packets.columns(2), offsets: offsets)
        #expect(try batch.value(row: 0, column: 0) == "ä")
        #expect(try batch.optional(row: 0, column: 1, as: String.self) == nil)
        for (row, column) in [(0, 1), (0, 2), (1, 0), (-1, 0), (0, -1), (Int.max, 0)] {
            do {
                _ = try batch.value(row: row, column: column, as: String.self)
                Issue.record("no error")
            } catch {
                #expect(error.code == .conversion)
            }
        }
        do {
            _ = try batch.value(row: 0, column: 0, as: Int.self)
            Issue.record("no error")
        } catch {
            #expect(error.code == .conversion)
        }
    }

    @Test func whatDoesNotFitIsAnError() {
        #expect(refused { () throws(MySQLError) in _ = try row(.long, nil).value("place", as: Int.self) })
        #expect(refused { () throws(MySQLError) in _ = try row(.varString, "5").value("place", as: Int.self) })
        #expect(
            refused { () throws(MySQLError) in
                _ = try row(.longLong, "18446744073709551615").value("place", as: Int64.self)
            })
        #expect(refused { () throws(MySQLError) in _ = try row(.long, "-1").value("place", as: UInt64.self) })
        #expect(
            refused { () throws(MySQLError) in
                _ = try row(.newDecimal, "1.5", decimals: 1).value("place", as: Int.self)
            })
        #expect(
            refused { () throws(MySQLError) in
                _ = try row(.newDecimal, "1.5", decimals: 1).value("place", as: Double.self)
            })
        #expect(
            refused { () throws(MySQLError) in
                _ = try row(.longLong, "9007199254740993").value("place", as: Double.self)
            })
        #expect(refused { () throws(MySQLError) in _ = try row(.tiny, "2").value("place", as: Bool.self) })
        #expect(
            refused { () throws(MySQLError) in
                _ = try row(.blob, "ä", characterSet: 63).value("place", as: String.self)
            })
        #expect(refused { () throws(MySQLError) in _ = try row(.long, "").value("place", as: Int.self) })
        #expect(refused { () throws(MySQLError) in _ = try row(.long, "5").value("no place", as: Int.self) })
        for index in [-1, 1, Int.max, Int.min] {
            do {
                _ = try row(.long, "5").value(index, as: Int.self)
                Issue.record("no error")
            } catch {
                #expect(error.code == .conversion)
            }
        }
    }
}
