import Glibc

/// Where dumps are saved. Checked before anything is destroyed.
struct WorkingDirectory: Sendable {
    let path: String

    /// Throws unless the directory exists, can be written, and has room for two dumps of `size` bytes.
    func check(roomFor size: UInt64) throws(AgentError) {
        try checkExists()
        var info = statvfs()
        guard statvfs(path, &info) == 0 else {
            throw AgentError(.workingDirectory, "\(path): its free space cannot be read (errno \(errno))")
        }
        let free = UInt64(info.f_bavail) * UInt64(info.f_frsize)
        // Two dumps: the one that is being saved, and the next one before anybody has cleared the first away.
        let (need, overflow) = size.multipliedReportingOverflow(by: 2)
        guard !overflow, free >= need else {
            throw AgentError(
                .workingDirectory,
                "\(path): \(free >> 20) MiB free, room for two dumps needs \(need >> 20) MiB. "
                    + "It holds \(SavedFiles.find(in: path).text). Nothing was changed: make room or name another "
                    + "working_directory")
        }
    }

    func checkExists() throws(AgentError) {
        var info = stat()
        guard stat(path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR else {
            throw AgentError(
                .workingDirectory, "working_directory \(path) does not exist or is no directory: make it (mode 0700)")
        }
        guard access(path, W_OK | X_OK) == 0 else {
            throw AgentError(.workingDirectory, "working_directory \(path) cannot be written by this user")
        }
    }

    /// A name for a new dump: cluster, server, UTC time and epoch, so that no dump replaces another.
    func dumpPath(cluster: String, server: ServerID, epoch: UInt64) -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let stamp =
            "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))Z"
        let name = cluster.map { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" ? $0 : "_" }
        return "\(path)/\(String(name))-\(server)-\(stamp)-epoch\(epoch).sql.gz"
    }

    /// Writes a small file whole or not at all: temporary name, fsync, rename.
    static func write(_ text: String, to path: String) throws(AgentError) {
        let temporary = path + ".partial"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw AgentError(.workingDirectory, "\(temporary) cannot be written (errno \(errno))")
        }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else {
                let code = errno
                Glibc.close(descriptor)
                unlink(temporary)
                throw AgentError(.workingDirectory, "\(temporary) cannot be written (errno \(code))")
            }
            bytes = bytes.dropFirst(written)
        }
        let synced = fsync(descriptor) == 0
        Glibc.close(descriptor)
        guard synced, rename(temporary, path) == 0 else {
            let code = errno
            unlink(temporary)
            throw AgentError(.workingDirectory, "\(path) cannot be put in place (errno \(code))")
        }
    }
}
