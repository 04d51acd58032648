/// Cuts the text of a dump back into its items as it streams by. It knows what `ItemText` writes, and statements as
/// the mysql client reads them: quotes, backslashes, comments, DELIMITER.
struct StatementSplitter {
    struct Failure: Error, Equatable {
        var message: String
    }

    /// Longest statement, in bytes: what a packet of the protocol can carry (max_allowed_packet ends at 1 GiB).
    static let longestStatement = 1 << 30
    private static let longStatement = 8 << 20

    private enum Place: Equatable {
        case plain
        case quoted(UInt8)
        case lineComment
        case blockComment
    }

    private var buffer: [UInt8] = []
    /// The first byte that belongs to no item yet.
    private var start = 0
    /// Where the search for the end of the item goes on, and in what.
    private var scan = 0
    private var place = Place.plain
    private var inStatement = false
    /// Set by DELIMITER; nil is `;`.
    private var delimiter: [UInt8]?
    private var checksum = CRC32()
    private var ended = false
    private let longest: Int

    /// Statements and definitions handed out.
    private(set) var statements: UInt64 = 0
    /// Bytes of everything that was handed out or skipped, up to but without the `@end` line.
    private(set) var bytes: UInt64 = 0
    var crc32: UInt32 { checksum.value }

    init(longestStatement: Int = Self.longestStatement) { longest = longestStatement }

    mutating func feed(_ more: [UInt8]) {
        if start > 0, start >= buffer.count / 2 {
            buffer.removeFirst(start)
            scan -= start
            start = 0
        }
        buffer.append(contentsOf: more)
    }

    /// The next whole item; nil until more is fed.
    mutating func next() throws(Failure) -> StreamItem? {
        while true {
            if inStatement {
                guard let item = delimiter == nil ? nextStatement() : nextDefinition() else {
                    if buffer.count - start > longest {
                        throw Failure(message: "a statement of more than \(longest) bytes")
                    }
                    return nil
                }
                statements += 1
                return item
            }
            skipSpace()
            guard start < buffer.count else { return nil }
            switch buffer[start] {
            case UInt8(ascii: "-"), UInt8(ascii: "#"):
                guard let line = takeLineEnd() else { return nil }
                if let directive = try comment(line) { return .directive(directive) }
            case UInt8(ascii: "D"), UInt8(ascii: "d"):
                guard buffer.count - start >= 10 else { return nil }
                if String(decoding: buffer[start..<start + 10], as: UTF8.self).uppercased() == "DELIMITER " {
                    guard let line = takeLineEnd() else { return nil }
                    let word = buffer[(line.lowerBound + 10)..<line.upperBound].filter { $0 > 0x20 }
                    if word.isEmpty { throw Failure(message: "DELIMITER without one") }
                    delimiter = word == [UInt8(ascii: ";")] ? nil : word
                    consume(upTo: line.upperBound + 1)
                } else {
                    try begin()
                }
            default:
                try begin()
            }
        }
    }

    /// To be called at the end of the text: nothing may be left over.
    mutating func finish() throws(Failure) {
        if inStatement { throw Failure(message: "it ends inside a statement") }
        skipSpace()
        guard start == buffer.count else { throw Failure(message: "it ends inside a line") }
    }

    private mutating func begin() throws(Failure) {
        if ended { throw Failure(message: "something stands behind its end") }
        inStatement = true
        place = .plain
        scan = start
    }

    private mutating func comment(_ line: Range<Int>) throws(Failure) -> Directive? {
        let isDirective = buffer[line].starts(with: "-- @".utf8)
        guard isDirective || buffer[line].starts(with: "--".utf8) || buffer[line.lowerBound] == UInt8(ascii: "#") else {
            throw Failure(message: "a line that begins with a dash and is no comment")
        }
        guard isDirective else {
            consume(upTo: line.upperBound + 1)
            return nil
        }
        guard let directive = Directive(line: buffer[line]) else {
            throw Failure(message: "a mark that this version does not know")
        }
        if ended { throw Failure(message: "something stands behind its end") }
        if case .end = directive { ended = true }
        consume(upTo: line.upperBound + 1)
        return directive
    }

    /// A line from `start`, without its newline; nil if it is not there yet.
    private func takeLineEnd() -> Range<Int>? {
        buffer[start...].firstIndex(of: UInt8(ascii: "\n")).map { start..<$0 }
    }

    private mutating func skipSpace() {
        var end = start
        while end < buffer.count, buffer[end] <= 0x20 { end += 1 }
        consume(upTo: end)
    }

    private mutating func consume(upTo end: Int) {
        if !ended, end > start {
            bytes += UInt64(end - start)
            buffer.withUnsafeBytes { checksum.add(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
        }
        start = end
        scan = max(scan, end)
    }

    private mutating func nextDefinition() -> StreamItem? {
        let end = [UInt8(ascii: "\n")] + (delimiter ?? []) + [UInt8(ascii: "\n")]
        guard let found = buffer.firstRange(ofSequence: end, from: scan) else {
            scan = max(start, buffer.count - end.count + 1)
            return nil
        }
        let bytes = Array(buffer[start..<found.lowerBound])
        inStatement = false
        consume(upTo: found.upperBound)
        return .definition(bytes)
    }

    private mutating func nextStatement() -> StreamItem? {
        guard let end = findEnd() else { return nil }
        inStatement = false
        let from = start
        consume(upTo: end + 1)
        guard end - from > Self.longStatement else { return .statement(Array(buffer[from..<end])) }
        // The buffer itself, so that a long statement is not held twice.
        let rest = Array(buffer[(end + 1)...])
        var bytes = buffer
        buffer = rest
        start = 0
        scan = 0
        bytes.removeSubrange(end...)
        bytes.removeSubrange(..<from)
        return .statement(bytes)
    }

    /// Where the statement's `;` stands; nil if it is not there yet. A byte that needs its successor to be understood
    /// is left for the next call when it is the last one.
    private mutating func findEnd() -> Int? {
        let count = buffer.count
        return buffer.withUnsafeBufferPointer { bytes in
            while scan < count {
                let byte = bytes[scan]
                switch place {
                case .plain:
                    switch byte {
                    case UInt8(ascii: ";"): return scan
                    case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"): place = .quoted(byte)
                    case UInt8(ascii: "#"): place = .lineComment
                    case UInt8(ascii: "-"):
                        guard scan + 2 < count else { return nil }
                        if bytes[scan + 1] == byte, bytes[scan + 2] <= 0x20 { place = .lineComment }
                    case UInt8(ascii: "/"):
                        guard scan + 1 < count else { return nil }
                        if bytes[scan + 1] == UInt8(ascii: "*") {
                            place = .blockComment
                            scan += 1
                        }
                    default: break
                    }
                    scan += 1
                case .quoted(let quote):
                    if byte == UInt8(ascii: "\\"), quote != UInt8(ascii: "`") {
                        guard scan + 1 < count else { return nil }
                        scan += 2
                    } else {
                        // A doubled quote closes and opens again: the same in the end.
                        if byte == quote { place = .plain }
                        scan += 1
                    }
                case .lineComment:
                    if byte == UInt8(ascii: "\n") { place = .plain }
                    scan += 1
                case .blockComment:
                    if byte == UInt8(ascii: "*") {
                        guard scan + 1 < count else { return nil }
                        if bytes[scan + 1] == UInt8(ascii: "/") {
                            place = .plain
                            scan += 1
                        }
                    }
                    scan += 1
                }
            }
            return nil
        }
    }
}
