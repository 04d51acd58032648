import CDeflate
import Dispatch
import Glibc
import Synchronization

/// A file just written, read back: that its bytes are those that were written, and that every member gives back text
/// of the right length and CRC-32. Members are unpacked side by side.
struct WrittenFile {
    let path: String
    /// What the file will be called, for messages.
    let named: String
    let members: [MemberWriter.Member]
    let sha256: [UInt8]

    /// - Parameter written: flushed to the disk meanwhile.
    func check(flushing written: Int32) throws(DumpError) {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { throw FileSystem.failure(named, "cannot read \(path) back", errno) }
        defer { _ = Glibc.close(fd) }
        let next = Atomic<Int>(0)
        let failure = Mutex<DumpError?>(nil)
        let workers = MemberWriter.cores
        DispatchQueue.concurrentPerform(iterations: workers + 2) { worker in
            do throws(DumpError) {
                if worker == 0 {
                    guard fsync(written) == 0 else {
                        throw FileSystem.failure(named, "cannot flush \(path) to the disk", errno)
                    }
                    return
                }
                if worker == 1 { return try compareDigest(fd) }
                guard let unpacker = libdeflate_alloc_decompressor() else { throw broken("no memory") }
                defer { libdeflate_free_decompressor(unpacker) }
                while true {
                    let index = next.add(1, ordering: .relaxed).oldValue
                    guard index < members.count, failure.withLock({ $0 == nil }) else { return }
                    try unpack(members[index], fd, unpacker)
                }
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    private func compareDigest(_ fd: Int32) throws(DumpError) {
        guard let digest = try SHA256Stream.digest(of: fd, path: named), digest == sha256, !sha256.isEmpty else {
            throw broken("its bytes are not those that were written")
        }
    }

    private func unpack(_ member: MemberWriter.Member, _ fd: Int32, _ unpacker: OpaquePointer) throws(DumpError) {
        var bytes = [UInt8](repeating: 0, count: member.length)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                pread(fd, $0.baseAddress?.advanced(by: done), $0.count - done, off_t(member.offset) + off_t(done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw broken("a member cannot be read") }
            done += count
        }
        var actual = 0
        var text = [UInt8](repeating: 0, count: max(1, member.text))
        let result = bytes.withUnsafeBytes { input in
            text.withUnsafeMutableBytes { output in
                libdeflate_gzip_decompress(
                    unpacker, input.baseAddress, input.count, output.baseAddress, output.count, &actual)
            }
        }
        guard result == LIBDEFLATE_SUCCESS, actual == member.text else { throw broken("a member is not sound") }
    }

    private func broken(_ why: String) -> DumpError {
        DumpError(
            .incomplete(path: named),
            "\(path) reads back as something else than was written: \(why); is the disk failing?")
    }
}

extension SHA256Stream {
    /// The digest of a whole file, read from its first byte without moving anybody's position; nil if OpenSSL failed.
    static func digest(of fd: Int32, path: String) throws(DumpError) -> [UInt8]? {
        let hash = SHA256Stream()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset: off_t = 0
        while true {
            let count = buffer.withUnsafeMutableBytes { pread(fd, $0.baseAddress, $0.count, offset) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileSystem.failure(path, "cannot read \(path)", errno) }
            if count == 0 { break }
            buffer.withUnsafeBytes { hash.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += off_t(count)
        }
        let digest = hash.digest()
        return digest.isEmpty ? nil : digest
    }
}
