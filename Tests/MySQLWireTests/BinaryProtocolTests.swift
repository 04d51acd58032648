import Testing

@testable import MySQLWire

/// The binary protocol byte for byte, and what a broken server makes of it.
struct BinaryProtocolTests {
    private func column(_ type: ColumnType, flags: UInt16 = 0, characterSet: UInt16 = 255) -> ColumnDefinition {
        ColumnDefinition(
            schema: "", table: "", name: "c", characterSet: characterSet, length: 0, type: type.rawValue, flags: flags,
            decimals: 0)
    }

    @Test func anExecuteRequest() {
        #expect(ExecuteRequest.encode(statement: 0x0403_0201, []) == hex("01020304 00 01000000"))
        // Integer 1, NULL and a text: the NULL has a bit and no value.
        #expect(
            ExecuteRequest.encode(statement: 1, [.int(1), .null, .text("ab")])
                == hex("01000000 00 01000000 02 01 0800 0600 fe00 0100000000000000 026162"))
        #expect(
            ExecuteRequest.encode(statement: 1, Array(repeating: .null, count: 9)).dropFirst(9).prefix(3)
                == [0xFF, 0x01, 0x01])
    }

    @Test func aRow() throws {
        let columns = [
            column(.tiny), column(.tiny, flags: 0x20), column(.null), column(.varString),
            column(.varString, characterSet: 63), column(.newDecimal, characterSet: 63), column(.long),
            column(.varString),
        ]
        // The bits begin at 2: the third column and the seventh are NULL.
        let packet = hex("00 1001 ff ff 02c3a4 0161 03312e35 01ff")
        let expected: [SQLValue] = [
            .int(-1), .uint(255), .null, .text("ä"), .bytes([0x61]), .text("1.5"), .null, .bytes([0xFF]),
        ]
        #expect(try BinaryRow.decode(ByteReader(packet), columns) == expected)
        for length in 0..<packet.count {
            #expect(throws: Failure.self) { try BinaryRow.decode(ByteReader(packet, 0..<length), columns) }
        }
    }

    @Test func datesOfEveryLength() throws {
        func decode(_ type: ColumnType, _ bytes: String) throws -> SQLValue? {
            try BinaryRow.decode(ByteReader(hex("00 00" + bytes)), [column(type)]).first
        }
        #expect(try decode(.dateTime, "00") == .dateTime(SQLDateTime()))
        #expect(try decode(.date, "04 ea07021c") == .dateTime(SQLDateTime(year: 2026, month: 2, day: 28)))
        #expect(
            try decode(.timestamp, "0b ea07021c 173b3a 40e20100")
                == .dateTime(
                    SQLDateTime(year: 2026, month: 2, day: 28, hour: 23, minute: 59, second: 58, microsecond: 123456)))
        #expect(
            try decode(.time, "08 01 22000000 163b3b")
                == .time(SQLTime(isNegative: true, days: 34, hour: 22, minute: 59, second: 59)))
        for (type, bytes) in [(ColumnType.date, "05 ea07021c00"), (.time, "04 00000000"), (.dateTime, "0b ea07")] {
            #expect(throws: Failure.self) { try decode(type, bytes) }
        }
        #expect(
            SQLTime(isNegative: true, days: 34, hour: 22, minute: 59, second: 59).description == "-838:59:59")
        #expect(SQLTime(days: .max, hour: 255, microsecond: .max).description.isEmpty == false)
        #expect(SQLDateTime(microsecond: 1).description == "0000-00-00 00:00:00.000001")
    }

    @Test func whatIsNoRowIsAViolation() {
        let unknown = ColumnDefinition(
            schema: "", table: "", name: "c", characterSet: 63, length: 0, type: 200, flags: 0, decimals: 0)
        for (packet, columns) in [
            ([1, 0, 1], [column(.tiny)]), ([0, 0, 1], [unknown]), ([0, 0, 0xFB], [column(.blob)]),
            ([0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [column(.blob)]), ([], [column(.tiny)]),
        ] as [([UInt8], [ColumnDefinition])] {
            #expect(throws: Failure.self, "\(packet)") { try BinaryRow.decode(ByteReader(packet), columns) }
        }
    }

    private func prepare(_ packets: [[UInt8]], deprecateEOF: Bool) -> String {
        var machine = PrepareMachine(deprecateEOF: deprecateEOF)
        for packet in packets {
            do {
                switch try machine.receive(ByteReader(packet)) {
                case .read: continue
                case .prepared(let ok): return "\(ok.statement) \(ok.columns) \(ok.parameters)"
                case .failed(let error): return "error \(error.number)"
                }
            } catch {
                return error.code.description
            }
        }
        return "more"
    }

    @Test func bothFormsOfPrepare() {
        let ok = hex("00 07000000 0100 0200 00 0000")
        let definitions = [Packets.column("?"), Packets.column("?"), Packets.column("a")]
        #expect(prepare([ok] + definitions, deprecateEOF: true) == "7 1 2")
        let older = [ok] + definitions.prefix(2) + [Packets.eof()] + definitions.suffix(1)
        #expect(prepare(older, deprecateEOF: false) == "more")
        #expect(prepare(older + [Packets.eof()], deprecateEOF: false) == "7 1 2")
        #expect(prepare([hex("00 07000000 0000 0000 00 0000")], deprecateEOF: false) == "7 0 0")
        #expect(prepare([Packets.error(1064, "syntax")], deprecateEOF: true) == "error 1064")
        #expect(prepare([ok] + definitions, deprecateEOF: false) == "protocol violation")
        #expect(prepare([ok, Packets.error(1064, "late")], deprecateEOF: true) == "protocol violation")
        #expect(prepare([hex("00 0700")], deprecateEOF: true) == "protocol violation")
        #expect(prepare([[]], deprecateEOF: true) == "protocol violation")
    }
}
