/// Whose memory a state file is. A working directory that was copied or is used again holds promises of another agent, or
/// promotions of other servers, and nothing else in the file says so before a server is asked.
struct StateOwner: Sendable, Hashable {
    let agent: String
    let cluster: String
    let servers: [String]

    init(_ configuration: Configuration) {
        agent = Self.plain(configuration.agent.name)
        cluster = Self.plain(configuration.cluster)
        servers = ServerID.allCases.map { Self.plain("\(configuration.servers[$0])") }
    }

    fileprivate init(agent: String, cluster: String, servers: [String]) {
        (self.agent, self.cluster, self.servers) = (agent, cluster, servers)
    }

    /// The name of a cluster is for reports and may be changed, and so may one address: the other one says then that it is
    /// the same. Two that have changed places are the same as well.
    func hasClusterOf(_ other: StateOwner) -> Bool {
        let common = Set(servers).intersection(other.servers).count
        return common == servers.count || common > 0 && cluster == other.cluster
    }

    /// One line of a file: printable ASCII without blanks, everything else as its bytes in hexadecimal digits.
    private static func plain(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            if (0x21...0x7e).contains(byte), byte != UInt8(ascii: "%"), byte != UInt8(ascii: ",") {
                out.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                out += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return out
    }
}

extension StateOwner: CustomStringConvertible {
    var description: String { "agent '\(agent)' of cluster '\(cluster)' (\(servers.joined(separator: ", ")))" }
}

/// What stands in a state file before its content: the version of the format, a checksum over everything behind it, and
/// whose it is. Versions that know nothing of it pass over these lines.
enum StateEnvelope {
    private static let version = "format=2\n"
    private static let checksum = "checksum="
    /// The first line of the content: files of older versions begin with it.
    private static let content = "epoch="

    static func close(_ content: String, _ owner: StateOwner) -> String {
        let rest =
            "agent=\(owner.agent)\ncluster=\(owner.cluster)\nservers=\(owner.servers.joined(separator: ","))\n"
            + content
        return version + checksum + digits(rest) + "\n" + rest
    }

    /// - Returns: whose it is (nil in a file of an older version) and the content; nil for a file that is damaged.
    static func open(_ text: String) -> (owner: StateOwner?, content: String)? {
        guard text.hasPrefix(version) else { return text.hasPrefix(content) ? (nil, text) : nil }
        let lines = text.split(separator: "\n", maxSplits: 5, omittingEmptySubsequences: false)
        guard lines.count == 6 else { return nil }
        let rest = lines[2...].joined(separator: "\n")
        guard lines[1] == checksum + digits(rest) else { return nil }
        func value(_ line: Substring, _ key: String) -> String? {
            line.hasPrefix(key) ? String(line.dropFirst(key.count)) : nil
        }
        guard let agent = value(lines[2], "agent="), let cluster = value(lines[3], "cluster="),
            let servers = value(lines[4], "servers=")
        else { return nil }
        let owner = StateOwner(agent: agent, cluster: cluster, servers: servers.split(separator: ",").map(String.init))
        return (owner, String(lines[5]))
    }

    /// Against disks and editors, not against somebody who wants the file to be taken.
    private static func digits(_ text: String) -> String {
        let digits = String(StableHash.of(text), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
