import Foundation
import Glibc
import Synchronization

/// A folder for one server, router or agent. It and every process that was started into it are gone when it is
/// cleared, and also when the test process dies in whatever way, kill -9 included (see Scripts/lib/guard).
public final class GuardedFolder: Sendable {
    /// Short, so that the path of a unix socket in it fits into the 107 bytes that the system allows.
    public let path: String
    private let cleared = Mutex(false)
    /// Those of this process that have not been cleared to the end, by path.
    private static let living = Mutex<[String: GuardedFolder]>([:])

    public init(_ name: String) throws {
        let parent = FileManager.default.temporaryDirectory.path(percentEncoded: false)
        let template = (parent.utf8.count <= 40 ? parent : "/tmp") + (parent.hasSuffix("/") ? "" : "/")
        var path = Array((template + "rw-\(name.prefix(12))-XXXXXX").utf8CString)
        guard mkdtemp(&path) != nil else {
            throw TestBedError("no folder \(template): \(String(cString: strerror(errno)))")
        }
        self.path = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try Guard.shared.get().send("add \(self.path)")
        Self.living.withLock { $0[self.path] = self }
    }

    /// Starts a program: nothing on its input, its output appended to `log` in this folder, in a session of its own, its
    /// process id in `name`.pid.
    func spawn(
        _ name: String, log: String, _ command: [String], environment: [String: String] = [:]
    ) throws -> ChildProcess {
        try ChildProcess(launch(name, command), output: "\(path)/\(log)", environment: environment)
    }

    /// The command that notes its process id in `name`.pid and becomes `command`.
    func launch(_ name: String, _ command: [String]) -> [String] {
        [ServerFiles.scripts + "/lib/launch", "\(path)/\(name).pid"] + command
    }

    /// Stops what runs in the folder and removes it. What it started is reaped by whoever holds the `ChildProcess`.
    public func clear() async {
        guard
            cleared.withLock({ cleared in
                !cleared
                    && {
                        cleared = true; return true
                    }()
            })
        else { return }
        if let clearing = try? ChildProcess([ServerFiles.scripts + "/lib/clear", path], output: "/dev/null") {
            await clearing.wait()
        }
        letGo()
    }

    private func letGo() {
        try? Guard.shared.get().send("drop \(path)")
        _ = Self.living.withLock { $0.removeValue(forKey: path) }
    }

    /// Clears whatever this process has not cleared yet, for a program that is to end at once. Nothing is started in
    /// these folders any more.
    public static func clearAll(within limit: Duration = .seconds(60)) async {
        let end = ContinuousClock.now.advanced(by: limit)
        // Somebody may be clearing one already, and one may be made at this moment.
        while case let left = living.withLock({ Array($0.values) }), !left.isEmpty, ContinuousClock.now < end {
            for folder in left { Task { await folder.clear() } }
            await pause(.milliseconds(20))
        }
    }

    /// Leaves everything that this process has not cleared as it is, for somebody who wants to look at it: it outlives
    /// the process. `Scripts/lib/clear` removes such a folder.
    public static func keepAll() {
        for folder in living.withLock({ Array($0.values) }) { folder.letGo() }
    }

    public func read(_ file: String) -> String {
        (try? Data(contentsOf: URL(filePath: "\(path)/\(file)"))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    public func write(_ file: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(file)"))
    }
}

/// The one guard of this test process, at the other end of a pipe.
private final class Guard: Sendable {
    static let shared = Result { try Guard() }
    private let writeEnd: Int32
    private let process: ChildProcess

    private init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TestBedError("no pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        writeEnd = ends[1]
        process = try ChildProcess([ServerFiles.scripts + "/lib/guard"], input: ends[0], output: "/dev/null")
        close(ends[0])
    }

    /// A line is shorter than what a pipe takes in one piece, so lines of several tasks do not mix.
    func send(_ line: String) throws {
        let bytes = Array((line + "\n").utf8)
        guard write(writeEnd, bytes, bytes.count) == bytes.count else {
            throw TestBedError("the guard process is gone: \(String(cString: strerror(errno)))")
        }
    }
}
