import MySQLWire

/// What agents must agree on to decide together, in short: agents whose digests differ do not count each other's votes,
/// and the parts tell where they differ.
struct ConfigurationDigest: Sendable, Hashable, CustomStringConvertible {
    /// Raised when agents of two versions must not work together.
    static let protocolVersion = 2

    let agents: String
    let servers: String
    let safety: String
    /// The names, for those who go by another list; empty where they would not fit into what a server keeps of a client.
    let list: String

    init(_ configuration: Configuration) {
        agents = Self.agents(configuration.agents)
        let names = configuration.agents.joined(separator: ",")
        let plain = configuration.agents.allSatisfy { !$0.contains(where: { ",;: \n".contains($0) }) }
        list = plain && names.utf8.count <= 250 ? names : ""
        servers = Self.hash("\(configuration.servers.a)\n\(configuration.servers.b)")
        safety = Self.hash("\(configuration.safety.maxLostTransactions) \(configuration.router.bound)")
    }

    /// Eight hexadecimal digits of everything.
    var short: String { Self.hash(description) }

    var description: String {
        "protocol=\(Self.protocolVersion) agents=\(agents) servers=\(servers) safety=\(safety)"
    }

    /// What an agent calls itself on the servers.
    var program: String { "repl-watchdog \(description) list=\(list)" }

    /// Which parts differ from another agent's program name.
    func differences(from program: String) -> String {
        let theirs = Set(program.split(separator: " ").map(String.init))
        let parts = description.split(separator: " ").map(String.init).filter { !theirs.contains($0) }
        let names = parts.compactMap { $0.split(separator: "=").first.map(String.init) }
        return names.isEmpty ? "nothing that is known" : names.joined(separator: ", ")
    }

    /// Whether an agent with this program name speaks of the same servers, in the same way.
    func meansTheSame(_ program: String) -> Bool {
        let theirs = Set(program.split(separator: " ").map(String.init))
        return theirs.isSuperset(of: ["protocol=\(Self.protocolVersion)", "servers=\(servers)"])
    }

    static func agents(_ names: [String]) -> String { hash(names.joined(separator: "\n")) }

    static func hash(_ text: String) -> String {
        let hash = StableHash.of(text)
        let digits = String((hash ^ hash >> 32) & 0xffff_ffff, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
