import Dispatch
import Glibc
import Synchronization

/// A file just written, read back: its bytes are those that were written. Members are not unpacked again: that is for
/// `verify`.
struct WrittenFile {
    let path: String
    /// What the file will be called, for messages.
    let named: String
    let sha256: [UInt8]

    /// - Parameter written: flushed to the disk meanwhile.
    func check(flushing written: Int32) throws(DumpError) {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { throw FileSystem.failure(named, "cannot read \(path) back", errno) }
        defer { _ = Glibc.close(fd) }
        let failure = Mutex<DumpError?>(nil)
        DispatchQueue.concurrentPerform(iterations: 2) { part in
            do throws(DumpError) {
                if part == 1 { return try compareDigest(fd) }
                guard fsync(written) == 0 else {
                    throw FileSystem.failure(named, "cannot flush \(path) to the disk", errno)
                }
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    private func compareDigest(_ fd: Int32) throws(DumpError) {
        guard let digest = try SHA256Stream.digest(of: fd, path: named), digest == sha256, !sha256.isEmpty else {
            throw DumpError(
                .incomplete(path: named),
                "\(path) reads back as something else than was written; is the disk failing?")
        }
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
