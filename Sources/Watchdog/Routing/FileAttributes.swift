import CLinux
import Glibc

/// A file's extended attributes: ACLs (`system.posix_acl_access`), security labels (`security.selinux`), and whatever
/// else somebody has attached to it. A file that takes another one's place must have the same, or the router that reads
/// it may be refused.
enum FileAttributes {
    /// What is wrong with an attribute that cannot be kept.
    struct Failure: Error {
        var name: String
        var code: Int32
    }

    /// The kernel makes these itself, from the contents that the file has.
    private static let byContents: Set = ["security.ima", "security.evm"]

    /// Gives `target` the attributes that `source` has, and no others. What is the same already is left alone: setting
    /// a label may be forbidden where the file has got the right one by itself.
    static func copy(from source: Int32, to target: Int32) throws(Failure) {
        let wanted = names(source)
        for name in wanted where !byContents.contains(name) {
            guard let value = value(name, source), value != self.value(name, target) else { continue }
            let status = value.withUnsafeBytes { fsetxattr(target, name, $0.baseAddress, $0.count, 0) }
            guard status == 0 else { throw Failure(name: name, code: errno) }
        }
        // A directory's default ACL is given to every file that is made in it.
        for name in names(target) where !wanted.contains(name) && !name.hasPrefix("security.") {
            guard fremovexattr(target, name) == 0 else { throw Failure(name: name, code: errno) }
        }
    }

    /// Empty where the file system knows no attributes.
    static func names(_ file: Int32) -> [String] {
        // The kernel's own limits: 64 KiB for the names, and as much for a value.
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        let count = flistxattr(file, &buffer, buffer.count)
        guard count > 0 else { return [] }
        return buffer[..<count].split(separator: 0).map {
            String(decoding: $0.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    static func value(_ name: String, _ file: Int32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = fgetxattr(file, name, &buffer, buffer.count)
        return count < 0 ? nil : Array(buffer[..<count])
    }
}
