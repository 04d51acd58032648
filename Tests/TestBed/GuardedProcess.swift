import Glibc

/// Any program that a test runs beside the servers, an agent for example. Ends when its folder is cleared and when the
/// test process dies.
public final class GuardedProcess: Sendable {
    public let folder: GuardedFolder
    public let log: String
    private let child: ChildProcess

    /// - Parameters:
    ///   - name: unique within the folder; its output is appended to `name`.log there.
    ///   - command: the program's absolute path and its arguments; one of them must name a file in the folder, by
    ///     which the guard knows the process again.
    public init(
        _ name: String, in folder: GuardedFolder, command: [String], environment: [String: String] = [:]
    ) throws {
        guard command.contains(where: { $0.contains(folder.path + "/") }) else {
            throw TestBedError("no argument of \(command) names a file in \(folder.path): a guard would not know it")
        }
        self.folder = folder
        log = "\(name).log"
        child = try folder.spawn(name, log: log, command, environment: environment)
    }

    public var pid: pid_t { child.pid }
    public var isRunning: Bool { child.status == nil }
    /// What it has written so far, standard output and standard error.
    public var output: String { folder.read(log) }

    public func signal(_ number: Int32) { child.signal(number) }

    /// SIGKILL, and waits for the end.
    public func kill() async {
        child.signal(SIGKILL)
        await child.wait()
    }

    /// SIGTERM, after `limit` SIGKILL.
    public func stop(within limit: Duration = .seconds(10)) async { await child.end(limit) }

    /// Waits for its end.
    /// - Returns: the exit status, 128 plus the signal if it was killed by one.
    public func exitStatus(within limit: Duration = .seconds(60)) async throws -> Int32 {
        guard let status = await child.wait(limit) else {
            throw TestBedError("still running after \(limit); its output:\n\(output.suffix(2000))")
        }
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }
}
