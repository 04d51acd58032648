import Glibc

/// Replaces a file's contents so that a reader, also one after a crash, sees the old or the new text and nothing else.
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
        fileprivate var identity: Identity
    }

    fileprivate struct Identity: Sendable, Equatable {
        var device: dev_t
        var inode: ino_t
        var size: off_t
        var modified: Int
        var nanoseconds: Int

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
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= sizeLimit {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", target)
            }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return Snapshot(
            path: target, bytes: bytes, owner: status.st_uid, group: status.st_gid, mode: status.st_mode & 0o7777,
            identity: Identity(status))
    }

    /// Writes the new bytes beside the file, with its owner and mode, flushes them, renames them over it and flushes
    /// the directory.
    /// - Throws: `RouterError`, also with `changedMeanwhile` when the file is no longer the one that was read.
    static func replace(_ old: Snapshot, with bytes: [UInt8]) throws(RouterError) {
        let slash = old.path.lastIndex(of: "/") ?? old.path.startIndex
        let directory = slash == old.path.startIndex ? "/" : String(old.path[..<slash])
        // One fixed name: only one agent runs per host, and what a crash left behind is replaced.
        let temporary = "\(directory)/.\(old.path[old.path.index(after: slash)...]).repl-watchdog"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("create", temporary) }
        var renamed = false
        defer {
            close(file)
            if !renamed { unlink(temporary) }
        }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(file, $0.baseAddress.map { $0 + written }, $0.count - written) }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", temporary)
            }
            written += count
        }
        // chown before chmod: it clears the set-id bits.
        guard fchown(file, old.owner, old.group) == 0 else { throw failure("give the old owner to", temporary) }
        guard fchmod(file, old.mode) == 0 else { throw failure("give the old mode to", temporary) }
        guard fsync(file) == 0 else { throw failure("flush", temporary) }
        var status = stat()
        guard lstat(old.path, &status) == 0 else { throw failure("examine", old.path) }
        guard Identity(status) == old.identity else {
            throw RouterError(
                .changedMeanwhile, "\(old.path) was changed by somebody else at the same time; nothing was written")
        }
        guard rename(temporary, old.path) == 0 else { throw failure("rename over", old.path) }
        renamed = true
        try flushDirectory(directory)
    }

    static func flushDirectory(_ directory: String) throws(RouterError) {
        let handle = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw failure("open", directory) }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw failure("flush", directory) }
    }

    private static func failure(_ what: String, _ path: String) -> RouterError {
        let code = errno
        let remedy = code == EACCES || code == EPERM ? "; the agent needs the right to do so" : ""
        return RouterError(.file(errno: code), "cannot \(what) \(path): \(systemText(code))\(remedy)")
    }
}
