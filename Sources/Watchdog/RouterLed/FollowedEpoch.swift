import Glibc

/// What an agent keeps between its lives: the epoch of the last promotion that its router followed.
struct FollowedEpoch: Sendable {
    let path: String
    private(set) var epoch: UInt64

    init(directory: String) {
        path = "\(directory)/repl-watchdog.state"
        epoch = Self.read(path) ?? 0
    }

    private static func read(_ path: String) -> UInt64? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return nil }
        for line in String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0] == "epoch" { return UInt64(parts[1]) }
        }
        return nil
    }

    /// Remembers a higher epoch; a lower one is ignored.
    mutating func note(epoch new: UInt64) throws(AgentError) {
        guard new > epoch else { return }
        try WorkingDirectory.write("epoch=\(new)\n", to: path)
        epoch = new
    }
}
