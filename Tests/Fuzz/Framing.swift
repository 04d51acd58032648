/// The framer against a plain model of it: the same packets, or a failure of both.
enum Framing {
    /// The first byte says in how large pieces the stream comes, the second the limit; the rest is the stream.
    static func run(_ bytes: [UInt8]) {
        guard bytes.count >= 2 else { return }
        let piece = 1 + Int(bytes[0])
        let limit = 16 << Int(bytes[1] % 12)
        var framer = PacketFramer()
        framer.limit = limit
        var seen: [[UInt8]] = []
        var failed = false
        var at = 2
        do throws(Failure) {
            while at < bytes.count {
                let end = min(at + piece, bytes.count)
                if bytes[1] & 0x80 == 0 {
                    framer.append(Array(bytes[at..<end]))
                } else {
                    _ = try framer.receive { (room) throws(Failure) in
                        demand(room.count >= end - at)
                        room.copyBytes(from: bytes[at..<end])
                        return .bytes(end - at)
                    }
                }
                at = end
                while true {
                    if bytes[1] & 0x20 != 0 {
                        // The short way that rows take.
                        try framer.takeWhole { (all, range) throws(Failure) in
                            demand(range.lowerBound > 0 && range.upperBound <= all.count && range.count <= limit)
                            if all[range.lowerBound] >= 0xFE { return false }
                            seen.append(Array(all[range]))
                            return true
                        }
                    }
                    guard let range = try framer.next() else { break }
                    demand(range.lowerBound >= 0 && range.upperBound <= framer.buffer.count && range.count <= limit)
                    seen.append(Array(framer.buffer[range]))
                }
                if bytes[1] & 0x40 != 0 {
                    let before = framer.hasUnreadBytes
                    _ = framer.detach()
                    demand(framer.hasUnreadBytes == before)
                }
            }
        } catch {
            failed = true
            describe(error)
        }
        let model = packets(Array(bytes[2...]), limit: limit)
        demand(model.failed == failed && model.packets == seen)
    }

    private static func packets(_ bytes: [UInt8], limit: Int) -> (packets: [[UInt8]], failed: Bool) {
        var packets: [[UInt8]] = []
        var at = 0
        var expected: UInt8 = 0
        while bytes.count - at >= 4 {
            let length = Int(bytes[at]) | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2]) << 16
            if bytes[at + 3] != expected {
                if length == 0 { return (packets, true) }
                guard bytes.count - at >= 5 else { break }
                if bytes[at + 4] != 0xFF { return (packets, true) }
            }
            if length > limit { return (packets, true) }
            guard bytes.count - at - 4 >= length else { break }
            expected = bytes[at + 3] &+ 1
            packets.append(Array(bytes[at + 4..<at + 4 + length]))
            at += 4 + length
        }
        return (packets, false)
    }
}
