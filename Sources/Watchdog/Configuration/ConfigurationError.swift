/// Everything that is wrong with a configuration, all of it at once.
package struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    /// EX_CONFIG of sysexits.h.
    package static let exitStatus: Int32 = 78

    package struct Problem: Sendable, Hashable, CustomStringConvertible {
        package var file: String
        /// From 1; nil where no line is to blame.
        package var line: Int?
        /// What is wrong and what would be right. Never holds a secret.
        package var message: String

        package init(file: String, line: Int? = nil, message: String) {
            self.file = file
            self.line = line
            self.message = message
        }

        package var description: String { "\(file):\(line.map { "\($0):" } ?? "") \(message)" }
    }

    package var problems: [Problem]

    package init(_ problems: [Problem]) { self.problems = problems }

    /// One line per problem, in the file's order.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
