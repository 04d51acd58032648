/// The rows of a text result set.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
enum TextRow {
    /// Appends the place of each value of one row; length -1 is NULL.
    /// - Parameters:
    ///   - bytes: the buffer that holds the packet; shorter than 2 GiB, which the packet limit sees to.
    ///   - range: the packet.
    @inline(__always)
    static func decode(
        _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, columns: Int,
        into offsets: inout [(start: Int32, length: Int32)]
    ) throws(Failure) {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count, bytes.count <= Int(Int32.max) else {
            throw Failure(.limit, "more than 2 GiB of rows in one batch")
        }
        var at = range.lowerBound
        let end = range.upperBound
        for column in 0..<columns {
            guard at < end else { throw tooShort(column, at - range.lowerBound) }
            let first = bytes[at]
            at += 1
            var length = UInt64(first)
            if first >= 0xFB {
                if first == 0xFB {
                    offsets.append((Int32(truncatingIfNeeded: at), -1))
                    continue
                }
                let width = first == 0xFC ? 2 : first == 0xFD ? 3 : 8
                guard first != 0xFF, end - at >= width else { throw tooShort(column, at - range.lowerBound) }
                length = 0
                for index in 0..<width { length |= UInt64(bytes[at + index]) << UInt64(8 * index) }
                at += width
            }
            guard length <= UInt64(end - at) else { throw tooShort(column, at - range.lowerBound) }
            offsets.append((Int32(truncatingIfNeeded: at), Int32(truncatingIfNeeded: length)))
            at += Int(truncatingIfNeeded: length)
        }
    }

    private static func tooShort(_ column: Int, _ offset: Int) -> Failure {
        .violation("row, byte \(offset): too short for the value of column \(column)")
    }
}
