import Glibc

/// Small files, and what makes them last.
enum FileSystem {
    static func failure(_ path: String, _ message: String, _ number: Int32) -> DumpError {
        DumpError(.file(path: path, errno: number), "\(message): \(String(cString: strerror(number)))")
    }

    /// A new name is on the disk only when its directory is.
    static func syncDirectory(of path: String) throws(DumpError) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let fd = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard fd >= 0 else { throw failure(path, "cannot open \(directory)", errno) }
        defer { _ = Glibc.close(fd) }
        guard fsync(fd) == 0 else { throw failure(path, "cannot flush \(directory) to the disk", errno) }
    }

    /// Writes a file whole or not at all: another name, fsync, rename. Its mode is 0600.
    static func write(_ bytes: [UInt8], to path: String) throws(DumpError) {
        let partial = path + ".partial"
        _ = unlink(partial)
        let fd = Glibc.open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard fd >= 0 else { throw failure(path, "cannot create \(partial)", errno) }
        let failed = all(bytes, to: fd) ?? (fsync(fd) == 0 ? nil : errno)
        _ = Glibc.close(fd)
        guard failed == nil, rename(partial, path) == 0 else {
            let number = failed ?? errno
            _ = unlink(partial)
            throw failure(path, "cannot write \(path)", number)
        }
    }

    /// - Returns: the system's error number; nil if all was written.
    static func all(_ bytes: [UInt8], to fd: Int32) -> Int32? {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress?.advanced(by: done), $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            done += count
        }
        return nil
    }

    /// Reads a file that is no longer than `limit` bytes.
    /// - Returns: nil if there is none.
    static func read(_ path: String, limit: Int) throws(DumpError) -> [UInt8]? {
        let fd = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else {
            if errno == ENOENT { return nil }
            throw failure(path, "cannot open \(path)", errno)
        }
        defer { _ = Glibc.close(fd) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(fd, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(path, "cannot read \(path)", errno) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= limit else {
                throw DumpError(.file(path: path, errno: EFBIG), "\(path) is longer than \(limit >> 20) MiB")
            }
        }
    }
}
