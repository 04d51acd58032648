import Glibc

/// One agent per host and cluster: a lock on a file, given back by the kernel however the process ends. A file that
/// a dead agent left behind, and whatever number stands in it, is no obstacle.
final class HostLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// - Throws: `alreadyRunning` if another process holds the lock.
    static func take(directory: String, cluster: String) throws(AgentError) -> HostLock {
        let path = "\(directory)/repl-watchdog.lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw AgentError(
                .workingDirectory,
                "\(path) cannot be opened (errno \(errno)): working_directory must exist and be writable")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw AgentError(.alreadyRunning, "another agent runs on this host: it holds \(path)")
        }
        ftruncate(descriptor, 0)
        let text = Array("\(getpid())\n".utf8)
        _ = text.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        return HostLock(descriptor: descriptor)
    }

    deinit { close(descriptor) }
}
