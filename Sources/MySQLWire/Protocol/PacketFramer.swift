/// Cuts the byte stream of a server into packets. Knows no sockets: bytes are put in, ranges of whole payloads come
/// out. The payload of a packet larger than 16 MB, which comes in several frames, is joined in place.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
struct PacketFramer {
    /// A frame of this length is continued by the next one.
    static let fullFrame = 0xFF_FFFF

    /// Received bytes lie in `head..<tail`; the rest is room.
    private(set) var buffer: [UInt8] = []
    private var head = 0
    private var tail = 0
    /// The joined part of a packet whose further frames have not come yet.
    private var joined: Range<Int>?
    /// Room asked for before the next read; grows while reads fill it.
    private var readSize = 16 * 1024

    /// Longest joined payload that is accepted, in bytes. Small until the server is authenticated.
    var limit = 64 * 1024
    /// Sequence number that the next frame must carry.
    var expectedSequence: UInt8 = 0
    /// Set when an ERR packet came with a number of its own: the server sends it outside any reply, then closes.
    private(set) var sawUnsolicitedError = false

    /// The packet that `next` returned last, for an error.
    private(set) var last: (number: UInt8, length: Int)?

    /// Whether bytes were received that no returned packet holds.
    var hasUnreadBytes: Bool { tail > head }

    /// Room for the next read, and how much of it was used. Moves what is unread to the front, so ranges that were
    /// returned before are no longer valid.
    mutating func receive(_ read: (UnsafeMutableRawBufferPointer) throws(Failure) -> Channel.ReadOutcome)
        throws(Failure) -> Channel.ReadOutcome
    {
        makeRoom()
        let room = buffer.count - tail
        var outcome = Channel.ReadOutcome.wouldBlock
        var failure: Failure?
        let from = tail
        buffer.withUnsafeMutableBytes { bytes in
            do throws(Failure) {
                outcome = try read(UnsafeMutableRawBufferPointer(rebasing: bytes[from...]))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        if case .bytes(let count) = outcome {
            tail += min(count, room)
            if count == room { readSize = min(readSize * 2, 256 * 1024) }
        }
        return outcome
    }

    /// Takes bytes that are already in memory.
    mutating func append(_ bytes: [UInt8]) {
        makeRoom()
        if buffer.count - tail < bytes.count {
            buffer = Self.copy(buffer[0..<tail], room: tail + bytes.count)
        }
        buffer.replaceSubrange(tail..<tail + bytes.count, with: bytes)
        tail += bytes.count
    }

    private mutating func makeRoom() {
        if head == tail, joined == nil {
            head = 0
            tail = 0
            // A large packet must not hold its memory for as long as the session lasts.
            if buffer.count > 1 << 20 { buffer = [] }
        }
        guard buffer.count - tail < readSize else { return }
        if head > 0 {
            let unread = tail - head
            buffer.withUnsafeMutableBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                base.copyMemory(from: base + head, byteCount: unread)
            }
            if let range = joined { joined = range.lowerBound - head..<range.upperBound - head }
            head = 0
            tail = unread
        }
        // Grows with what has really come, never with what a header claims: doubles at first, by eighths where a doubled
        // buffer would be the larger part of what a long row costs.
        let grown = tail > 16 << 20 ? tail + tail / 8 : tail * 2
        let wanted = max(tail + readSize, buffer.count > tail * 3 / 2 ? 0 : grown)
        if buffer.count < wanted { buffer = Self.copy(buffer[0..<tail], room: wanted) }
    }

    /// The bytes, followed by zeros up to `room`.
    private static func copy(_ bytes: ArraySlice<UInt8>, room: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: room) { memory, count in
            _ = memory.initialize(from: bytes)
            memory[bytes.count...].initialize(repeating: 0)
            count = room
        }
    }

    /// The payload of the next whole packet as a range of `buffer`, valid until the next `receive` or `append`; nil if
    /// more bytes are needed.
    mutating func next() throws(Failure) -> Range<Int>? {
        while true {
            if let range = joined {
                let at = range.upperBound
                guard tail - at >= 4 else { return nil }
                let length = frameLength(at)
                guard buffer[at + 3] == expectedSequence else { throw outOfOrder(buffer[at + 3]) }
                guard range.count + length <= limit else { throw tooLarge() }
                guard tail - at - 4 >= length else { return nil }
                removeHeader(at)
                expectedSequence &+= 1
                joined = range.lowerBound..<at + length
                if length == Self.fullFrame { continue }
                return finish()
            }
            guard tail - head >= 4 else { return nil }
            let length = frameLength(head)
            let sequence = buffer[head + 3]
            if sequence != expectedSequence {
                guard length > 0 else { throw outOfOrder(sequence) }
                guard tail - head >= 5 else { return nil }
                guard buffer[head + 4] == 0xFF else { throw outOfOrder(sequence) }
                sawUnsolicitedError = true
            }
            guard length <= limit else { throw tooLarge() }
            guard tail - head - 4 >= length else { return nil }
            expectedSequence = sequence &+ 1
            joined = head + 4..<head + 4 + length
            if length == Self.fullFrame { continue }
            return finish()
        }
    }

    /// Hands out packets of one frame that are there whole, one after the other, for as long as `body` takes them. What
    /// it does not take, and whatever else is next, is for `next`.
    @inline(__always)
    mutating func takeWhole(
        _ body: (UnsafeBufferPointer<UInt8>, Range<Int>) throws(Failure) -> Bool
    ) throws(Failure) {
        guard joined == nil else { return }
        var at = head
        var sequence = expectedSequence
        var length = 0
        var failure: Failure?
        buffer.withUnsafeBufferPointer { bytes in
            do throws(Failure) {
                while tail - at >= 5 {
                    let next = Int(bytes[at]) | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2]) << 16
                    guard next > 0, next < Self.fullFrame, next <= limit, next <= tail - at - 4,
                        bytes[at + 3] == sequence, try body(bytes, at + 4..<at + 4 + next)
                    else { break }
                    length = next
                    at += 4 + next
                    sequence &+= 1
                }
            } catch {
                failure = error
            }
        }
        if at > head { last = (sequence &- 1, length) }
        head = at
        expectedSequence = sequence
        if let failure { throw failure }
    }

    private mutating func finish() -> Range<Int>? {
        guard let range = joined else { return nil }
        joined = nil
        head = range.upperBound
        last = (expectedSequence &- 1, range.count)
        return range
    }

    private func frameLength(_ at: Int) -> Int {
        Int(buffer[at]) | Int(buffer[at + 1]) << 8 | Int(buffer[at + 2]) << 16
    }

    private mutating func removeHeader(_ at: Int) {
        let count = tail - at - 4
        buffer.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            (base + at).copyMemory(from: base + at + 4, byteCount: count)
        }
        tail -= 4
    }

    /// Gives the buffer away, with the packets that were taken from it in their places, and starts a new one with
    /// what is unread.
    mutating func detach() -> [UInt8] {
        // What fills little of the buffer is copied out: that costs less than a new buffer, and does not keep the
        // empty part alive for as long as the batch lives.
        if head <= buffer.count / 2 { return Array(buffer[0..<head]) }
        var fresh = Self.copy(buffer[head..<tail], room: max(readSize, tail - head))
        if let range = joined { joined = range.lowerBound - head..<range.upperBound - head }
        tail -= head
        head = 0
        swap(&fresh, &buffer)
        return fresh
    }

    private func outOfOrder(_ sequence: UInt8) -> Failure {
        .violation("packet number \(sequence) came where \(expectedSequence) was due")
    }

    private func tooLarge() -> Failure {
        Failure(.limit, "the server sends a packet of more than \(limit) bytes")
    }
}
