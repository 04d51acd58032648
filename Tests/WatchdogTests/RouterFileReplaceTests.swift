import CLinux
import Foundation
import MySQLWire
import Testing

@testable import Watchdog

/// Files that cannot be replaced by another one, or carry more than text.
@Suite("The router's file as hosts have it") struct RouterFileReplaceTests {
    typealias Folder = RoutingControlTests.Folder
    static let turned = "# mine\n[routing:mysql_failover]\ndestinations = 127.0.0.1:2,127.0.0.1:1\n"
    private static let order = [RoutingControlTests.b, RoutingControlTests.a]

    private static func written(_ folder: Folder, _ name: String = "router.conf") throws -> String {
        let path = "\(folder.path)/\(name)"
        try RoutingControlTests.text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    private static func inode(_ path: String) -> ino_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_ino : 0
    }

    private static func contents(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    @Test("a bind mount of one file is written in place, and both sides see it", .enabled(if: Mount.isPossible))
    func bindMount() async throws {
        let folder = try Folder()
        let real = try Self.written(folder, "real file.conf")
        let place = try Self.written(folder, "router file.conf")
        let control = RoutingControlTests.control(folder, file: place)
        #expect(try control.wayToWrite() == .renamed)
        let (before, other) = (Self.inode(real), Self.inode(place))
        try Mount.bind(real, place)
        defer { Mount.end(place) }
        guard case .inPlace(let why) = try control.wayToWrite() else {
            Issue.record("check does not see the mount")
            return
        }
        #expect(why.contains("bind mount") && Self.inode(place) == before && before != other)
        #expect(try await control.setDestinations(Self.order))
        #expect(try Self.contents(real) == Self.turned && Self.contents(place) == Self.turned)
        #expect(Self.inode(real) == before)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(left == ["real file.conf", "router file.conf"])
    }

    @Test(
        "a directory that is mounted read-only, with the file in it mounted to be written",
        .enabled(if: Mount.isPossible))
    func readOnlyDirectory() async throws {
        let (folder, work) = (try Folder(), try Folder())
        let real = try Self.written(work, "real.conf")
        let place = try Self.written(folder)
        try Mount.bind(folder.path, folder.path)
        defer { Mount.end(folder.path) }
        try Mount.close(folder.path)
        let control = RoutingControlTests.control(work, file: place)
        let error = #expect(throws: RouterError.self) { try control.wayToWrite() }
        #expect(error?.cause == .file(errno: EROFS))
        #expect(error?.message.contains("cannot create") == true, "\(error?.message ?? "")")
        await #expect(throws: RouterError.self) { try await control.setDestinations(Self.order) }

        try Mount.bind(real, place)
        defer { Mount.end(place) }
        #expect(try await control.setDestinations(Self.order))
        #expect(try Self.contents(place) == Self.turned)
    }

    @Test("a directory that the agent may not write in", .enabled(if: getuid() == 0, "root acts as somebody else"))
    func unwritableDirectory() throws {
        let (folder, work) = (try Folder(), try Folder())
        let path = try Self.written(folder)
        #expect(chmod(path, 0o666) == 0 && chmod(folder.path, 0o755) == 0 && chmod(work.path, 0o777) == 0)
        let before = Self.inode(path)
        try Nobody.acts {
            let old = try AtomicFile.read(path)
            guard case .inPlace = try AtomicFile.way(old) else {
                Issue.record("a directory that cannot be written is not seen")
                return
            }
            guard
                case .inPlace(let why) = try AtomicFile.replace(
                    old, with: Array(Self.turned.utf8), workingDirectory: work.path)
            else { return }
            #expect(why.contains("Permission denied"), "\(why)")
        }
        #expect(try Self.contents(path) == Self.turned && Self.inode(path) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: work.path).isEmpty)

        // Neither way: both are named, and the file is as it was.
        #expect(chmod(path, 0o644) == 0)
        try Nobody.acts {
            let old = try AtomicFile.read(path)
            let found = #expect(throws: RouterError.self) { try AtomicFile.way(old) }
            let met = #expect(throws: RouterError.self) {
                try AtomicFile.replace(old, with: [1], workingDirectory: work.path)
            }
            for message in [found?.message, met?.message] {
                #expect(message?.contains("cannot write \(path)") == true && message?.contains("cannot create") == true)
            }
        }
        #expect(try Self.contents(path) == Self.turned)
    }

    @Test("a file with several names stays one file")
    func hardLinks() async throws {
        let folder = try Folder()
        let path = try Self.written(folder)
        let second = "\(folder.path)/second.conf"
        #expect(link(path, second) == 0)
        let control = RoutingControlTests.control(folder)
        guard case .inPlace(let why) = try control.wayToWrite() else {
            Issue.record("check does not see the second name")
            return
        }
        #expect(why.contains("2 names"))
        #expect(try await control.setDestinations(Self.order))
        #expect(Self.inode(path) == Self.inode(second))
        #expect(try Self.contents(second) == Self.turned)
    }

    @Test("attributes and the ACL go with the file; a default ACL of the directory does not come to it")
    func attributes() async throws {
        let folder = try Folder()
        let path = try Self.written(folder)
        #expect(chmod(path, 0o640) == 0)
        // user::rw-, user:1234:r--, group::r--, mask::r--, other::---
        let acl = Self.acl([(1, 6, .max), (2, 4, 1234), (4, 4, .max), (16, 4, .max), (32, 0, .max)])
        let label = Array("system_u:object_r:mysqlrouter_etc_t:s0".utf8)
        guard Self.set("user.label", label, path), Self.set("system.posix_acl_access", acl, path) else {
            return  // A file system without them.
        }
        let before = Self.inode(path)
        #expect(try await RoutingControlTests.control(folder).setDestinations(Self.order))
        #expect(Self.inode(path) != before)
        #expect(Self.value("user.label", path) == label)
        #expect(Self.value("system.posix_acl_access", path) == acl)

        #expect(Self.set("system.posix_acl_access", nil, path) && chmod(path, 0o640) == 0)
        #expect(Self.set("system.posix_acl_default", acl, folder.path))
        #expect(try await RoutingControlTests.control(folder).setDestinations([RoutingControlTests.a]))
        #expect(Self.value("system.posix_acl_access", path) == nil)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o640)
    }

    /// As the kernel keeps it: a version, then a tag, rights and a number for each entry.
    private static func acl(_ entries: [(tag: UInt16, rights: UInt16, id: UInt32)]) -> [UInt8] {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }
        return bytes(UInt32(2)) + entries.flatMap { bytes($0.tag) + bytes($0.rights) + bytes($0.id) }
    }

    private static func set(_ name: String, _ value: [UInt8]?, _ path: String) -> Bool {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        guard let value else { return fremovexattr(file, name) == 0 }
        return fsetxattr(file, name, value, value.count, 0) == 0
    }

    private static func value(_ name: String, _ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        return FileAttributes.value(name, file)
    }
}

/// Mounts of this host, as root.
enum Mount {
    static let isPossible: Bool = {
        guard getuid() == 0, let folder = try? RoutingControlTests.Folder() else { return false }
        guard (try? bind(folder.path, folder.path)) != nil else { return false }
        end(folder.path)
        return true
    }()

    static func bind(_ what: String, _ place: String) throws { try call(what, place, nil, MS.bind) }

    /// What is mounted there may only be read from now on.
    static func close(_ place: String) throws { try call(nil, place, nil, MS.bind | MS.remount | MS.readOnly) }

    /// A file system of that size in memory.
    static func memory(_ place: String, size: String) throws { try call("tmpfs", place, "tmpfs", 0, "size=\(size)") }

    static func end(_ place: String) {
        typealias Call = @convention(c) (UnsafePointer<CChar>, Int32) -> Int32
        guard let symbol = dlsym(nil, "umount2") else { return }
        // MNT_DETACH: whoever has it open still goes on.
        _ = unsafeBitCast(symbol, to: Call.self)(place, 2)
    }

    /// Of sys/mount.h, which Swift's own import leaves out.
    private enum MS {
        static let readOnly: UInt = 1
        static let remount: UInt = 32
        static let bind: UInt = 4_096
    }

    private static func call(
        _ what: String?, _ place: String, _ type: String?, _ flags: UInt, _ data: String? = nil
    ) throws {
        typealias Text = UnsafePointer<CChar>
        typealias Call = @convention(c) (Text?, Text, Text?, UInt, Text?) -> Int32
        let mount = unsafeBitCast(try #require(dlsym(nil, "mount")), to: Call.self)
        guard mount(what, place, type, flags, data) == 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EPERM)
        }
    }
}

/// Whoever may do on the file system what nobody may; this thread alone, and only while `body` runs.
enum Nobody {
    private typealias Call = @convention(c) (UInt32) -> Int32
    private static let id: UInt32 = 65_534

    static func acts(_ body: () throws -> Void) throws {
        let user = unsafeBitCast(try #require(dlsym(nil, "setfsuid")), to: Call.self)
        _ = user(id)
        defer { _ = user(0) }
        try body()
    }
}
