import CZlib
import Glibc

/// Reads a gzip file of any number of members. zlib checks CRC-32 and length of each; an end inside a member and
/// anything behind the last one are errors.
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
    private var input = [UInt8](repeating: 0, count: 256 << 10)
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
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Some more text, at most 256 KiB; nil after the end of the last member.
    func next() throws(Failure) -> [UInt8]? {
        while true {
            if position == filled {
                guard try fill() else {
                    if insideMember || members == 0 { throw .cut }
                    return nil
                }
            }
            if !insideMember {
                inflateReset(stream)
                insideMember = true
            }
            let count = try inflateSome()
            if count > 0 { return Array(output[..<count]) }
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
