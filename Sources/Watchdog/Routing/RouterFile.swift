import MySQLWire

/// The text of a mysqlrouter configuration file, of which only one value is ever changed. Every other byte stays:
/// comments, other sections, order, indentation, line ends, bytes that are no UTF-8.
///
/// The format is mysqlrouter's own INI: a line is blank, a comment (`#` or `;` first), `[section]` or
/// `[section:key]`, or `option = value` (also with `:`). A value runs to the end of its line; there are neither
/// trailing comments nor continuation lines. Section names and option names ignore case, the section's key does not.
/// https://dev.mysql.com/doc/mysql-router/8.4/en/mysql-router-conf-options.html
package struct RouterFile: Sendable, Equatable {
    package static let option = "destinations"

    package private(set) var bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }

    package init(text: String) { self.bytes = Array(text.utf8) }

    /// The text of `destinations` in a section such as `routing:mysql_failover`; nil if the section has none.
    package func destinationsText(section: String) throws(RouterError) -> String? {
        try text(of: Self.option, section: section)
    }

    /// The text of any option of a section; nil if the section has none of this name.
    package func text(of option: String, section: String) throws(RouterError) -> String? {
        try find(section, option).value.map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    /// The destinations of a section, in order; a destination without a port has MySQL's own, 3306.
    package func destinations(section: String) throws(RouterError) -> [ServerAddress] {
        guard let text = try destinationsText(section: section) else { return [] }
        try Self.refuseMetadataCache(text, section: section)
        var addresses: [ServerAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: true) {
            let word = Self.trim(String(part))
            if word.isEmpty { continue }
            guard let address = ServerAddress(word), case .tcp = address else {
                throw RouterError(
                    .unsupportedAddress,
                    "destination '\(word)' in section [\(section)] is no host:port"
                        + (word.contains("{")
                            ? ": write the address itself, not mysqlrouter's {name} of another option"
                            : "; repair it by hand"))
            }
            addresses.append(address)
        }
        return addresses
    }

    /// The same file with other destinations; equal to `self` if they are so already.
    /// - Throws: `RouterError` where the section is missing or given twice, where `destinations` is given twice or comes
    ///   from a metadata cache, where an address is a unix socket, and where the section has a line that mysqlrouter
    ///   would refuse.
    package func settingDestinations(
        _ addresses: [ServerAddress], section: String
    ) throws(RouterError) -> RouterFile {
        for address in addresses {
            guard case .tcp = address else {
                throw RouterError(
                    .unsupportedAddress,
                    "\(address) is a unix socket: mysqlrouter reaches its destinations over TCP only; "
                        + "give the server's host:port in [servers]")
            }
        }
        let place = try find(section)
        let text = addresses.map(\.description).joined(separator: ",")
        if let value = place.value {
            try Self.refuseMetadataCache(String(decoding: bytes[value], as: UTF8.self), section: section)
            // What already says the same in other words (spaces, an implied port) is left as it is. What cannot be
            // read as addresses at all is replaced.
            if let current = try? destinations(section: section), current == addresses { return self }
            var copy = self
            copy.bytes.replaceSubrange(value, with: Array(text.utf8))
            return copy
        }
        var line = place.indentation + Array("\(Self.option) = \(text)".utf8) + place.lineEnd
        // mysqlrouter refuses a last line without its end, but the new line must not join it all the same.
        if place.insertion > 0, bytes[place.insertion - 1] != UInt8(ascii: "\n") { line = place.lineEnd + line }
        var copy = self
        copy.bytes.insert(contentsOf: line, at: place.insertion)
        return copy
    }

    /// Where the option is, or where it would belong.
    private struct Place {
        /// The bytes of the value, without the blanks around it; nil if the section has no such option.
        var value: Range<Int>?
        /// Where a new line goes: after the section's last option.
        var insertion: Int
        var indentation: [UInt8]
        var lineEnd: [UInt8]
    }

    private func find(_ section: String, _ option: String = Self.option) throws(RouterError) -> Place {
        let wanted = Self.normalised(Array(section.utf8))
        var headers: [Int] = []
        var options: [(line: Int, value: Range<Int>)] = []
        var place = Place(value: nil, insertion: bytes.count, indentation: [], lineEnd: Array("\n".utf8))
        var inside = false
        for (index, line) in lines().enumerated() {
            let number = index + 1
            let text = trimmed(line.content)
            guard let first = text.first.map({ bytes[$0] }) else { continue }
            if first == UInt8(ascii: "#") || first == UInt8(ascii: ";") { continue }
            if first == UInt8(ascii: "[") {
                // mysqlrouter refuses a header without its bracket; so does whoever must not guess where it ends.
                guard bytes[text.upperBound - 1] == UInt8(ascii: "]"), text.count >= 2 else {
                    throw RouterError(.malformed(line: number), "line \(number) is a section header without a ']'")
                }
                inside = Self.normalised(Array(bytes[text.lowerBound + 1..<text.upperBound - 1])) == wanted
                if inside {
                    headers.append(number)
                    place.insertion = line.end
                    place.lineEnd = Array(bytes[line.content.upperBound..<line.end])
                }
                continue
            }
            guard inside else { continue }
            guard
                let separator = text.first(where: {
                    bytes[$0] == UInt8(ascii: "=") || bytes[$0] == UInt8(ascii: ":")
                }), Self.isName(bytes[trimmed(text.lowerBound..<separator)])
            else {
                throw RouterError(
                    .malformed(line: number),
                    "line \(number) in section [\(section)] is no 'option = value'; "
                        + "mysqlrouter knows no continuation lines and would refuse the file")
            }
            place.insertion = line.end
            place.indentation = Array(bytes[line.content.lowerBound..<text.lowerBound])
            let name = String(decoding: bytes[trimmed(text.lowerBound..<separator)], as: UTF8.self)
            if name.lowercased() == option {
                options.append((number, trimmed(separator + 1..<line.content.upperBound)))
            }
        }
        guard !headers.isEmpty else {
            throw RouterError(
                .sectionMissing, "has no section [\(section)]; add it, or name the right one as router.section")
        }
        guard headers.count == 1 else {
            throw RouterError(
                .sectionTwice(lines: headers),
                "has section [\(section)] more than once (lines \(Self.list(headers))); mysqlrouter would refuse it")
        }
        guard options.count <= 1 else {
            let numbers = options.map(\.line)
            throw RouterError(
                .keyTwice(lines: numbers),
                "gives '\(option)' more than once in section [\(section)] (lines \(Self.list(numbers))); "
                    + "keep one")
        }
        if place.lineEnd.isEmpty { place.lineEnd = Array("\n".utf8) }
        place.value = options.first?.value
        return place
    }

    /// Every line: its content without the line end (LF or CRLF), and where the next one starts.
    func lines() -> [(content: Range<Int>, end: Int)] {
        var result: [(content: Range<Int>, end: Int)] = []
        var start = 0
        while start < bytes.count {
            let newline = bytes[start...].firstIndex(of: UInt8(ascii: "\n"))
            var stop = newline ?? bytes.count
            if newline != nil, stop > start, bytes[stop - 1] == UInt8(ascii: "\r") { stop -= 1 }
            let end = newline.map { $0 + 1 } ?? bytes.count
            result.append((start..<stop, end))
            start = end
        }
        return result
    }

    /// The range without the blanks at both its ends.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high, Self.isBlank(bytes[low]) { low += 1 }
        while high > low, Self.isBlank(bytes[high - 1]) { high -= 1 }
        return low..<high
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (0x09...0x0D).contains(byte)
    }

    private static func isName(_ name: ArraySlice<UInt8>) -> Bool {
        !name.isEmpty
            && name.allSatisfy {
                $0 == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
            }
    }

    /// A section's name with the part before the key in lower case, as mysqlrouter compares it.
    static func normalised(_ name: [UInt8]) -> [UInt8] {
        let colon = name.lastIndex(of: UInt8(ascii: ":")) ?? name.endIndex
        return name[..<colon].map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
            + name[colon...]
    }

    private static func refuseMetadataCache(_ text: String, section: String) throws(RouterError) {
        guard !text.contains("://") else {
            throw RouterError(
                .metadataCache,
                "section [\(section)] takes its destinations from '\(text)': that router follows InnoDB Cluster's "
                    + "metadata by itself; name a section with static destinations")
        }
    }

    static func trim(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard let low = bytes.firstIndex(where: { !isBlank($0) }),
            let high = bytes.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(decoding: bytes[low...high], as: UTF8.self)
    }

    private static func list(_ numbers: [Int]) -> String { numbers.map(String.init).joined(separator: ", ") }
}
