import CDeflate
import CZlib
import Glibc

/// Reads a gzip file of any number of members. zlib checks CRC-32 and length of each; an end inside a member and
/// anything behind the last one are errors. Members as short as ours are unpacked whole by libdeflate, three times as
/// fast; from the first one on that is longer, and where something is wrong, zlib has the say.
final class GzipReader {
    enum Failure: Error, Equatable {
        /// read() failed.
        case system(Int32)
        /// The file ends before its last member does.
        case cut
        /// Not gzip, or altered.
        case corrupt(String)
    }

    private let fd: Int32
    private let stream: UnsafeMutablePointer<z_stream>
    private var input = [UInt8](repeating: 0, count: 2 * GzipCompressor.blockSize)
    /// libdeflate's; nil once a member was not for it.
    private var unpacker = libdeflate_alloc_decompressor()
    private var position = 0
    private var filled = 0
    private var insideMember = false
    private var members = 0
    private var output = [UInt8](repeating: 0, count: 256 << 10)

    /// - Parameter fd: read from its current position; stays the caller's to close.
    /// - Returns: nil if zlib has no memory.
    init?(fd: Int32) {
        self.fd = fd
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 15 + 16: gzip only, with its checks.
        guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            stream.deallocate()
            return nil
        }
    }

    deinit {
        if let unpacker { libdeflate_free_decompressor(unpacker) }
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Some more text, at most 1 MiB; nil after the end of the last member.
    func next() throws(Failure) -> [UInt8]? {
        while true {
            if position == filled {
                guard try fill() else {
                    if insideMember || members == 0 { throw .cut }
                    return nil
                }
            }
            if !insideMember {
                if let text = try unpackWhole() {
                    members += 1
                    if text.isEmpty { continue }
                    return text
                }
                inflateReset(stream)
                insideMember = true
            }
            let count = try inflateSome()
            if count > 0 { return Array(output[..<count]) }
        }
    }

    /// The text of the member that begins at `position`; nil if it is longer than one of ours, or not sound.
    private func unpackWhole() throws(Failure) -> [UInt8]? {
        guard let unpacker else { return nil }
        try fillUp()
        var used = 0
        var result = LIBDEFLATE_BAD_DATA
        let text = input.withUnsafeBytes { input in
            [UInt8](unsafeUninitializedCapacity: GzipCompressor.blockSize) { output, count in
                result = libdeflate_gzip_decompress_ex(
                    unpacker, input.baseAddress?.advanced(by: position), filled - position, output.baseAddress,
                    GzipCompressor.blockSize, &used, &count)
                if result != LIBDEFLATE_SUCCESS { count = 0 }
            }
        }
        guard result == LIBDEFLATE_SUCCESS else {
            libdeflate_free_decompressor(unpacker)
            self.unpacker = nil
            return nil
        }
        position += used
        return text
    }

    /// Fills the buffer, so that it holds a whole member if that is one of ours, or the rest of the file.
    private func fillUp() throws(Failure) {
        if position > 0, filled - position < GzipCompressor.blockSize + 1024 {
            input.withUnsafeMutableBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                memmove(base, base + position, filled - position)
            }
            filled -= position
            position = 0
        }
        // One of ours is at most some bytes longer than its text.
        while filled - position < GzipCompressor.blockSize + 1024, filled < input.count {
            let (from, room) = (filled, input.count - filled)
            let count = input.withUnsafeMutableBytes { read(fd, $0.baseAddress?.advanced(by: from), room) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            if count == 0 { return }
            filled += count
        }
    }

    private func fill() throws(Failure) -> Bool {
        while true {
            let count = input.withUnsafeMutableBytes { read(fd, $0.baseAddress, $0.count) }
            if count >= 0 {
                position = 0
                filled = count
                return count > 0
            }
            if errno != EINTR { throw .system(errno) }
        }
    }

    private func inflateSome() throws(Failure) -> Int {
        let (status, used, made) = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.pointee.next_in = input.baseAddress?.advanced(by: position)
                stream.pointee.avail_in = UInt32(filled - position)
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = UInt32(output.count)
                let status = inflate(stream, Z_NO_FLUSH)
                return (
                    status, filled - position - Int(stream.pointee.avail_in),
                    output.count - Int(stream.pointee.avail_out)
                )
            }
        }
        position += used
        switch status {
        case Z_OK, Z_BUF_ERROR: break
        case Z_STREAM_END:
            insideMember = false
            members += 1
        default:
            throw .corrupt(stream.pointee.msg.map { String(cString: $0) } ?? "zlib status \(status)")
        }
        return made
    }
}
