import Testing

@testable import MySQLWire

struct ResultSetMachineTests {
    /// What the machine makes of the packets, in words.
    private func run(_ packets: [[UInt8]], deprecateEOF: Bool = true) -> [String] {
        var machine = ResultSetMachine(deprecateEOF: deprecateEOF)
        var seen: [String] = []
        for packet in packets {
            do {
                switch try machine.receive(first: packet.first, length: packet.count, packet: ByteReader(packet)) {
                case .read: break
                case .columns(let columns): seen.append("columns " + columns.map(\.name).joined(separator: ","))
                case .row: seen.append("row")
                case .nextResult: seen.append("next")
                case .end(let ok): seen.append("end \(ok.affectedRows)")
                case .failed(let error): seen.append("error \(error.number)")
                }
            } catch {
                seen.append("\(error.code)")
            }
        }
        return seen
    }

    @Test func aStatementWithoutRows() {
        #expect(run([[0, 5, 0, 2, 0, 0, 0]]) == ["end 5"])
    }

    @Test func rowsUpToTheirEnd() {
        let packets = [
            [2], Packets.column("a"), Packets.column("b"), Packets.row(["1", nil]), Packets.row([nil, "2"]),
        ]
        #expect(run(packets + [Packets.ok(header: 0xFE)]) == ["columns a,b", "row", "row", "end 0"])
    }

    @Test func theOlderFormWithEOFPackets() {
        let packets = [[1], Packets.column("a"), Packets.eof(), Packets.row(["1"]), Packets.eof()]
        #expect(run(packets, deprecateEOF: false) == ["columns a", "row", "end 0"])
        let missing = [[1], Packets.column("a"), Packets.row(["1"])]
        #expect(run(missing, deprecateEOF: false) == ["protocol violation"])
    }

    @Test func aRowMayBeginLikeAnEOF() {
        // A first value of 16 MB or more begins with 0xFE.
        var machine = ResultSetMachine(deprecateEOF: true)
        for packet in [[1], Packets.column("a")] {
            _ = try? machine.receive(first: packet[0], length: packet.count, packet: ByteReader(packet))
        }
        let action = try? machine.receive(first: 0xFE, length: 0x100_0009, packet: ByteReader([]))
        guard case .row? = action else {
            Issue.record("taken for the end of the rows")
            return
        }
    }

    @Test func severalResults() {
        let one = [[1], Packets.column("a"), Packets.row(["1"])]
        let packets = one + [Packets.ok(status: 8, header: 0xFE)] + one + [Packets.ok(status: 8, header: 0xFE)]
        #expect(run(packets + [Packets.ok()]) == ["columns a", "row", "next", "columns a", "row", "next", "end 0"])
    }

    @Test func anErrorInTheMiddleOfTheRows() {
        let packets = [[1], Packets.column("a"), Packets.row(["1"]), Packets.error(1317, "interrupted")]
        #expect(run(packets) == ["columns a", "row", "error 1317"])
    }

    @Test func violations() {
        #expect(run([[0xFB] + Array("/etc/passwd".utf8)]) == ["protocol violation"])
        #expect(run([[0xFC, 1, 16 + 1]]) == ["limit"])
        #expect(run([[]]) == ["protocol violation"])
        #expect(run([Packets.ok(), Packets.ok()]) == ["end 0", "protocol violation"])
    }
}
