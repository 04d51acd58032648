/// A server's version as it greets, compared as a tuple and never by its major number alone: MySQL went from 9.7
/// to 26.7, and MariaDB greets as 5.5.5-10.11.6-MariaDB.
public struct ServerVersion: Sendable, Hashable, CustomStringConvertible {
    public enum Flavor: String, Sendable, Hashable {
        case mysql = "MySQL"
        case mariadb = "MariaDB"
    }

    public let flavor: Flavor
    public let major: Int
    public let minor: Int
    public let patch: Int
    /// The text that the server sent.
    public let text: String

    /// Never fails: what cannot be read counts as 0.
    public init(_ text: String) {
        self.text = text
        // By bytes: characters cost microseconds here, in every connect.
        var rest = text.utf8[...]
        if rest.indices.contains(where: { rest[$0...].starts(with: "MariaDB".utf8) }) {
            flavor = .mariadb
            if rest.starts(with: "5.5.5-".utf8) { rest = rest.dropFirst(6) }
        } else {
            flavor = .mysql
        }
        let numbers =
            rest.prefix { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
            .split(separator: UInt8(ascii: ".")).prefix(3).map { Int(Substring($0)) ?? 0 }
        major = numbers.indices.contains(0) ? numbers[0] : 0
        minor = numbers.indices.contains(1) ? numbers[1] : 0
        patch = numbers.indices.contains(2) ? numbers[2] : 0
    }

    /// Whether this is MySQL (or a fork that numbers like it) of at least the given version.
    public func isMySQL(atLeast major: Int, _ minor: Int = 0, _ patch: Int = 0) -> Bool {
        flavor == .mysql && (self.major, self.minor, self.patch) >= (major, minor, patch)
    }

    public func isMariaDB(atLeast major: Int, _ minor: Int = 0, _ patch: Int = 0) -> Bool {
        flavor == .mariadb && (self.major, self.minor, self.patch) >= (major, minor, patch)
    }

    public var description: String { "\(flavor.rawValue) \(major).\(minor).\(patch)" }
}
