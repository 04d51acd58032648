import Glibc

/// The dumps that rebuilds have left in the working directory: of what a server held before it was wiped, and of what was
/// copied onto it. Some hold rows that are on no server any more, and no agent can tell whether anybody has looked: so none
/// is ever deleted, and they are counted where somebody asks.
struct SavedFiles: Sendable, Equatable {
    var names: [String] = []
    var bytes: UInt64 = 0

    /// More than these are to be looked through: five rebuilds, each with what was saved and what was copied.
    static let many = 10

    /// "12 dumps of rebuilds, 340 MiB, the oldest shop-a-20260102T030405Z-epoch7.sql.gz"
    var text: String {
        guard let oldest = names.min(by: { Self.stamp($0) < Self.stamp($1) }) else { return "no dumps of rebuilds" }
        return "\(names.count) dump\(names.count == 1 ? "" : "s") of rebuilds, \(bytes >> 20) MiB, the oldest \(oldest)"
    }

    /// A name as `WorkingDirectory.dumpPath` gives it, of any cluster; a file that is still being written is none.
    static func isOne(_ name: String) -> Bool { name.hasSuffix(".sql.gz") && !stamp(name).isEmpty }

    /// The time in a name; empty where there is none.
    private static func stamp(_ name: String) -> Substring {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[parts.count - 1].hasPrefix("epoch"), ["a", "b"].contains(parts[parts.count - 3])
        else { return "" }
        let stamp = parts[parts.count - 2]
        return stamp.count == 16 && stamp.hasSuffix("Z") ? stamp : ""
    }

    /// What cannot be read is not counted: a report goes on without it.
    static func find(in path: String) -> SavedFiles {
        var found = SavedFiles()
        guard let directory = opendir(path) else { return found }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var info = stat()
            guard isOne(name), lstat("\(path)/\(name)", &info) == 0, info.st_mode & S_IFMT == S_IFREG else { continue }
            found.names.append(name)
            found.bytes += UInt64(max(0, info.st_size))
        }
        return found
    }
}
