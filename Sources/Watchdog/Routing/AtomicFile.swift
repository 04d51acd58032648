import Glibc

/// A small file that is read and written whole: what it held when it was read, and by what a change is noticed.
enum AtomicFile {
    /// Longest file that is read, in bytes.
    static let sizeLimit = 1 << 20

    /// What a file held, and by what a later change of it can be noticed.
    struct Snapshot: Sendable {
        /// The path with all symbolic links resolved.
        var path: String
        var bytes: [UInt8]
        var owner: uid_t
        var group: gid_t
        var mode: mode_t
        /// The number of its names.
        var links: Int
        var identity: Identity

        /// The directory that it lies in, and its name there.
        var place: (directory: String, name: String) {
            let slash = path.lastIndex(of: "/") ?? path.startIndex
            return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
        }
    }

    struct Identity: Sendable, Equatable {
        private var device: dev_t
        private var inode: ino_t
        private var size: off_t
        private var modified: Int
        private var nanoseconds: Int

        init(_ status: stat) {
            device = status.st_dev
            inode = status.st_ino
            size = status.st_size
            modified = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    static func read(_ path: String) throws(RouterError) -> Snapshot {
        guard let resolved = realpath(path, nil) else { throw failure("find", path) }
        defer { free(resolved) }
        let target = String(cString: resolved)
        let file = open(target, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard file >= 0 else { throw failure("open", target) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("examine", target) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= sizeLimit else {
            throw RouterError(
                .file(errno: EINVAL), "\(target) is no regular file of at most \(sizeLimit >> 10) KiB")
        }
        return Snapshot(
            path: target, bytes: try contents(file, target), owner: status.st_uid, group: status.st_gid,
            mode: status.st_mode & 0o7777, links: Int(status.st_nlink), identity: Identity(status))
    }

    /// From where the descriptor stands to the end, or one byte more than the limit.
    static func contents(_ file: Int32, _ path: String) throws(RouterError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= sizeLimit {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", path)
            }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return bytes
    }

    /// Makes a file with these bytes, synced; none where something fails. What has this name already is removed.
    static func create(
        _ path: String, _ bytes: [UInt8], finish: (Int32) throws(RouterError) -> Void = { _ in }
    ) throws(RouterError) {
        unlink(path)
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("create", path) }
        var whole = false
        defer {
            close(file)
            if !whole { unlink(path) }
        }
        try write(bytes, to: file, path)
        try finish(file)
        guard fsync(file) == 0 else { throw failure("flush", path) }
        whole = true
    }

    /// From the first byte on.
    static func write(_ bytes: [UInt8], to file: Int32, _ path: String) throws(RouterError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(file, $0.baseAddress.map { $0 + written }, $0.count - written, off_t(written))
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", path)
            }
            written += count
        }
    }

    static func flushDirectory(_ directory: String) throws(RouterError) {
        let handle = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw failure("open", directory) }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw failure("flush", directory) }
    }

    static func changedMeanwhile(_ path: String) -> RouterError {
        RouterError(.changedMeanwhile, "\(path) was changed by somebody else at the same time; nothing was written")
    }

    static func failure(_ what: String, _ path: String) -> RouterError {
        let code = errno
        let remedy = code == EACCES || code == EPERM ? "; the agent needs the right to do so" : ""
        return RouterError(.file(errno: code), "cannot \(what) \(path): \(systemText(code))\(remedy)")
    }
}
