/// Frames payloads for the wire.
enum PacketWriter {
    /// One packet with its headers, cut into frames of 16 MB where needed; a payload that fills its last frame is
    /// followed by an empty one.
    /// - Parameters:
    ///   - head: the first bytes of the payload, for example a command byte.
    ///   - sequence: number of the first frame; afterwards the number that the server's answer begins with.
    static func frame(_ head: [UInt8], _ body: [UInt8], sequence: inout UInt8) -> [UInt8] {
        let total = head.count + body.count
        let frames = total / PacketFramer.fullFrame + 1
        var out: [UInt8] = []
        out.reserveCapacity(total + 4 * frames)
        var sent = 0
        for _ in 0..<frames {
            let length = min(PacketFramer.fullFrame, total - sent)
            out.append(UInt8(truncatingIfNeeded: length))
            out.append(UInt8(truncatingIfNeeded: length >> 8))
            out.append(UInt8(truncatingIfNeeded: length >> 16))
            out.append(sequence)
            sequence &+= 1
            if sent < head.count {
                // The head is a few bytes: it always fits into the first frame.
                out.append(contentsOf: head)
                out.append(contentsOf: body[0..<length - head.count])
            } else {
                out.append(contentsOf: body[sent - head.count..<sent - head.count + length])
            }
            sent += length
        }
        return out
    }
}
