import Glibc
import Testing

@testable import MySQLWire

struct PacketFramerTests {
    /// Takes the next packet's bytes out.
    private func next(_ framer: inout PacketFramer) throws -> [UInt8]? {
        try framer.next().map { Array(framer.buffer[$0]) }
    }

    private func code(_ body: () throws -> Void) -> MySQLError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? Failure)?.code
        }
    }

    /// By memory: element by element, 33 MB take a debug build so long that every other test waits for a thread.
    private func isSame(_ one: ArraySlice<UInt8>, _ other: [UInt8]) -> Bool {
        one.count == other.count
            && one.withUnsafeBytes { one in
                other.withUnsafeBytes { other in
                    guard let one = one.baseAddress, let start = other.baseAddress else { return true }
                    return memcmp(one, start, other.count) == 0
                }
            }
    }

    @Test func packetsOneByteAtATime() throws {
        var framer = PacketFramer()
        var packets: [[UInt8]] = []
        for byte in frame(0, [1, 2, 3]) + frame(1, []) + frame(2, [4]) {
            framer.append([byte])
            while let packet = try next(&framer) { packets.append(packet) }
        }
        #expect(packets == [[1, 2, 3], [], [4]])
        #expect(!framer.hasUnreadBytes)
    }

    @Test(arguments: [0xFF_FFFE, 0xFF_FFFF, 0x100_0000, 2 * 0xFF_FFFF, 2 * 0xFF_FFFF + 5])
    func sizesAroundAFrameGoOutAndComeBack(_ size: Int) throws {
        var payload = [UInt8](repeating: 7, count: size - 1)
        payload[payload.count - 1] = 9
        var sequence: UInt8 = 0
        let wire = PacketWriter.frame([3], payload, sequence: &sequence)
        let frames = size / 0xFF_FFFF + 1
        #expect(Int(sequence) == frames)
        #expect(wire.count == size + 4 * frames)

        var framer = PacketFramer()
        framer.limit = 1 << 30
        var taken: Range<Int>?
        var from = 0
        while from < wire.count {
            #expect(taken == nil)
            let end = min(from + 6_000_011, wire.count)
            framer.append(Array(wire[from..<end]))
            taken = try framer.next()
            from = end
        }
        let range = try #require(taken)
        #expect(framer.buffer[range].first == 3 && isSame(framer.buffer[range].dropFirst(), payload))
        framer.append(frame(sequence, [42]))
        #expect(try next(&framer) == [42])
    }

    @Test func aNumberOutOfOrderIsAViolation() {
        var framer = PacketFramer()
        framer.append(frame(1, [1]))
        #expect(code { _ = try framer.next() } == .protocolViolation)
        var empty = PacketFramer()
        empty.append(frame(3, []))
        #expect(code { _ = try empty.next() } == .protocolViolation)
    }

    @Test func theNumberOfAContinuationIsCheckedToo() throws {
        var framer = PacketFramer()
        framer.limit = 1 << 30
        framer.append(frame(0, [UInt8](repeating: 1, count: 0xFF_FFFF)))
        #expect(try framer.next() == nil)
        framer.append(frame(2, [1]))
        #expect(code { _ = try framer.next() } == .protocolViolation)
    }

    @Test func anErrorPacketMayHaveAnyNumber() throws {
        var framer = PacketFramer()
        framer.expectedSequence = 1
        framer.append(frame(0, Packets.error(4031, "idle")))
        #expect(try next(&framer)?.first == 0xFF)
        #expect(framer.sawUnsolicitedError)
    }

    @Test func theLimitHoldsFromTheHeaderOn() {
        var framer = PacketFramer()
        framer.append([1, 0, 1, 0])
        #expect(code { _ = try framer.next() } == .limit)
    }

    @Test func theLimitHoldsWhileFramesAreJoined() throws {
        var framer = PacketFramer()
        framer.limit = 0xFF_FFFF + 10
        framer.append(frame(0, [UInt8](repeating: 1, count: 0xFF_FFFF)))
        #expect(try framer.next() == nil)
        framer.append([11, 0, 0, 1])
        #expect(code { _ = try framer.next() } == .limit)
    }

    @Test func aDetachedBufferKeepsItsPacketsAndLeavesTheRest() throws {
        var framer = PacketFramer()
        let first = [UInt8](repeating: 5, count: 10_000)
        framer.append(frame(0, first) + frame(1, [6, 6]).prefix(5))
        let range = try #require(try framer.next())
        #expect(try framer.next() == nil)
        let bytes = framer.detach()
        #expect(bytes[range] == first[...])
        framer.append([6])
        #expect(try next(&framer) == [6, 6])
    }
}
