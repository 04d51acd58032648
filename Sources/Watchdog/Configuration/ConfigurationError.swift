/// Everything that is wrong with a configuration, all of it at once.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    /// EX_CONFIG of sysexits.h.
    public static let exitStatus: Int32 = 78

    public struct Problem: Sendable, Hashable, CustomStringConvertible {
        public var file: String
        /// From 1; nil where no line is to blame.
        public var line: Int?
        /// What is wrong and what would be right. Never holds a secret.
        public var message: String

        public init(file: String, line: Int? = nil, message: String) {
            self.file = file
            self.line = line
            self.message = message
        }

        public var description: String { "\(file):\(line.map { "\($0):" } ?? "") \(message)" }
    }

    public var problems: [Problem]

    public init(_ problems: [Problem]) { self.problems = problems }

    /// One line per problem, in the file's order.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
