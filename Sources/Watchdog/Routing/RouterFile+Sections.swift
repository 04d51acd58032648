import MySQLWire

extension RouterFile {
    /// A routing section beside the agent's own. The agent turns its own only: the clients of another one stay where
    /// that one leads, whoever is primary.
    struct OtherSection: Sendable, Hashable {
        /// `routing:ro`, as the file has it.
        var name: String
        /// `mode = read-only`, or round-robin, of which every other session gets the replica: the operator does not write
        /// through it. mysqlrouter itself lets writes through.
        var isForReading: Bool
    }

    /// The routing sections beside `section` that list one of the servers, in the file's order.
    func otherSections(than section: String, leadingTo servers: [ServerAddress]) -> [OtherSection] {
        let own = Self.normalised(Array(section.utf8))
        var found: [OtherSection] = []
        var current: OtherSection?
        for line in lines() {
            let text = trimmed(line.content)
            guard let first = text.first.map({ bytes[$0] }), first != UInt8(ascii: "#"), first != UInt8(ascii: ";")
            else { continue }
            if first == UInt8(ascii: "[") {
                let header = bytes[text.dropFirst()].prefix { $0 != UInt8(ascii: "]") }
                let name = Self.normalised(Array(header))
                let routes = name == Array("routing".utf8) || name.starts(with: Array("routing:".utf8))
                current =
                    routes && name != own
                    ? OtherSection(name: String(decoding: header, as: UTF8.self), isForReading: false) : nil
                continue
            }
            guard let (option, value) = option(text) else { continue }
            let reads =
                option == "mode" && value.lowercased() == "read-only"
                || option == "routing_strategy" && value.lowercased().hasPrefix("round-robin")
            if reads, let name = current?.name {
                current?.isForReading = true
                if let index = found.lastIndex(where: { $0.name == name }) { found[index].isForReading = true }
            }
            guard let section = current, option == Self.option else { continue }
            let addresses = value.split(separator: ",").compactMap { ServerAddress(Self.trim(String($0))) }
            if addresses.contains(where: servers.contains) { found.append(section) }
        }
        return found
    }

    /// An option's name in lower case, and its value.
    private func option(_ line: Range<Int>) -> (name: String, value: String)? {
        guard let separator = line.first(where: { bytes[$0] == UInt8(ascii: "=") || bytes[$0] == UInt8(ascii: ":") })
        else { return nil }
        func text(_ range: Range<Int>) -> String { String(decoding: bytes[trimmed(range)], as: UTF8.self) }
        return (text(line.lowerBound..<separator).lowercased(), text(separator + 1..<line.upperBound))
    }
}
