import Foundation

/// Where a program of the test bed runs: on this machine's loopback, or in a network namespace that stands for a host.
public struct Place: Sendable {
    /// As everybody else reaches it.
    public let address: String
    /// The name of the namespace, as `ip netns` knows it; nil: this process's own.
    let namespace: String?

    static let loopback = Place(address: "127.0.0.1", namespace: nil)

    static let nsenter = ["/usr/bin/nsenter", "/bin/nsenter"].first { FileManager.default.isExecutableFile(atPath: $0) }

    /// What a server there binds to.
    var bindAddress: String { namespace == nil ? "127.0.0.1" : "0.0.0.0" }

    /// The command that runs `command` there. It becomes `command`, with the same process id.
    func command(_ command: [String]) -> [String] {
        guard let namespace, let nsenter = Self.nsenter else { return command }
        return [nsenter, "--net=/run/netns/\(namespace)", "--"] + command
    }
}
