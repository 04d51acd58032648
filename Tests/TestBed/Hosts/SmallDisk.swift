import Foundation
import Glibc

/// A file system of its own that lies over a folder of the test bed, holds what the folder held, and can be filled to
/// its last block and made roomy again at any time. Needs root. `Scripts/lib/clear` takes it away with the folder in
/// which it was made, also when the run dies.
final class SmallDisk: Sendable {
    /// Where it covers something.
    private let path: String
    /// Where it lies itself.
    private let disk: String

    private static let roomy = "size=1g"

    /// Whether this machine and this user may have one.
    static let isPossible: Bool = {
        guard geteuid() == 0 else { return false }
        let path = FileManager.default.temporaryDirectory.appending(path: "rw-disk-\(getpid())").path()
        guard (try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)) != nil else {
            return false
        }
        defer { rmdir(path) }
        guard (try? run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", path])) != nil else { return false }
        return (try? run("umount", [path])) != nil
    }()

    /// Lays it over `path`, which lies in `folder`. Nobody may write there meanwhile.
    init(over path: String, in folder: GuardedFolder) throws {
        self.path = path
        disk = folder.path + "/disk"
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        try Self.run("mount", ["-t", "tmpfs", "-o", Self.roomy, "tmpfs", disk])
        try Self.run("cp", ["-a", "\(path)/.", "\(disk)/"])
        try Self.run("mount", ["--bind", disk, path])
    }

    /// From now on there is no room for another block.
    func fill() throws {
        var last: (any Error)?
        for _ in 0..<50 {
            var info = statvfs()
            guard statvfs(disk, &info) == 0 else { throw TestBedError("\(disk): errno \(errno)") }
            // Somebody may take a block between the two: then it is refused, and tried again.
            let used = UInt64(info.f_blocks - info.f_bfree) * UInt64(info.f_frsize)
            do {
                return try Self.run("mount", ["-o", "remount,size=\(used)", disk])
            } catch {
                last = error
            }
        }
        throw last ?? TestBedError("\(disk) cannot be filled")
    }

    /// There is room again.
    func free() throws { try Self.run("mount", ["-o", "remount,\(Self.roomy)", disk]) }

    /// Puts what it holds back into the folder that it covers, and takes it away. Nobody may write there meanwhile.
    func remove() throws {
        try Self.run("umount", [path])
        let entries = try FileManager.default.contentsOfDirectory(atPath: path)
        try Self.run("rm", ["-rf", "--"] + entries.map { "\(path)/\($0)" })
        try Self.run("cp", ["-a", "\(disk)/.", "\(path)/"])
        try Self.run("umount", [disk])
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let (status, output) = try captured("/bin/\(program)", arguments, errors: true)
        guard status == 0 else {
            let said = String(decoding: output, as: UTF8.self)
            throw TestBedError("\(program) \(arguments.joined(separator: " ")): \(said)")
        }
    }
}
