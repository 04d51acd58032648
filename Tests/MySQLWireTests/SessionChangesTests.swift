import Testing

@testable import MySQLWire

struct SessionChangesTests {
    private func entry(_ kind: UInt8, _ data: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.uint8(kind)
        writer.lenencBytes(data)
        return writer.bytes
    }

    private func texts(_ texts: [String]) -> [UInt8] {
        var writer = ByteWriter()
        for text in texts { writer.lenencBytes(Array(text.utf8)) }
        return writer.bytes
    }

    private func ok(_ entries: [UInt8], header: UInt8 = 0) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(Packets.ok(status: 0x4002, header: header))
        writer.lenencBytes([])
        writer.lenencBytes(entries)
        return writer.bytes
    }

    private let gtids = "3e11fa47-71ca-11e1-9e33-c80aa9429562:23"

    @Test func theGTIDsOfACommitAmongOtherChanges() throws {
        let packet = ok(
            entry(0, texts(["autocommit", "ON"])) + entry(1, texts(["db"])) + entry(2, texts(["1"]))
                + entry(3, [0] + texts([gtids])) + entry(4, texts([""])) + entry(99, [1, 2, 3]))
        #expect(try OKPacket.decode(ByteReader(packet), sessionTrack: true).gtids == gtids)
        #expect(try OKPacket.decode(ByteReader(packet)).gtids == nil, "not agreed upon")
    }

    @Test func mariadbTellsByAVariable() throws {
        let packet = ok(entry(0, texts(["autocommit", "ON"])) + entry(0, texts(["last_gtid", "0-1-7"])))
        #expect(try OKPacket.decode(ByteReader(packet), sessionTrack: true).gtids == "0-1-7")
    }

    @Test func theReplyCarriesThemOn() throws {
        var machine = ResultSetMachine(deprecateEOF: true, sessionTrack: true)
        let packet = ok(entry(3, [0] + texts([gtids])))
        guard case .end(let ok) = try machine.receive(first: 0, length: packet.count, packet: ByteReader(packet))
        else {
            Issue.record("no end")
            return
        }
        #expect(ok.gtids == gtids)
    }

    @Test func everyTruncationIsAnErrorOrAValue() {
        let packet = ok(entry(0, texts(["a", "b"])) + entry(3, [0] + texts([gtids])))
        for length in 0..<packet.count {
            do {
                let ok = try OKPacket.decode(ByteReader(packet, 0..<length), sessionTrack: true)
                #expect(length <= 8, "cut to \(length)")
                #expect(ok.gtids == nil)
            } catch {
                #expect(error.code == .protocolViolation)
            }
        }
        for bad: [UInt8] in [[3], [3, 0], [3, 2, 0, 9], [0, 1, 5], [0, 2, 1, 97], [7, 0xFF], [3, 200, 1]] {
            #expect(throws: Failure.self, "\(bad)") { try OKPacket.decode(ByteReader(ok(bad)), sessionTrack: true) }
        }
    }
}
