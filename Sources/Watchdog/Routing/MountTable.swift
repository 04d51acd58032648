import Glibc

/// What is mounted where, as the kernel tells this process.
enum MountTable {
    /// Whether something is mounted at this very path, as a bind mount of one file is.
    /// - Parameter path: with all symbolic links resolved.
    static func isMountPoint(_ path: String) -> Bool {
        guard let file = fopen("/proc/self/mountinfo", "re") else { return false }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var size = 0
        defer { free(line) }
        while getline(&line, &size, file) > 0, let start = line {
            if isMountPoint(path, line: String(cString: start)) { return true }
        }
        return false
    }

    /// One line of `/proc/self/mountinfo`: the fifth word is the place, with blanks as `\040`.
    static func isMountPoint(_ path: String, line: String) -> Bool {
        let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: false)
        return words.count > 5 && words[4] == escaped(path)
    }

    /// As the kernel writes a path there.
    private static func escaped(_ path: String) -> String {
        path.replacing("\\", with: "\\134").replacing(" ", with: "\\040").replacing("\t", with: "\\011")
            .replacing("\n", with: "\\012")
    }
}
