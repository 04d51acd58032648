import MySQLWire

/// Why the local mysqlrouter could not be read, changed, restarted or verified.
package struct RouterError: Error, Sendable, CustomStringConvertible {
    package enum Cause: Sendable, Hashable {
        /// The configuration file could not be read or written; the system's error number.
        case file(errno: Int32)
        case sectionMissing
        case sectionTwice(lines: [Int])
        case keyTwice(lines: [Int])
        /// A line of the section that mysqlrouter itself would refuse.
        case malformed(line: Int)
        /// The destinations come from InnoDB Cluster's metadata: mysqlrouter finds the primary by itself.
        case metadataCache
        /// An address that mysqlrouter does not take as a destination.
        case unsupportedAddress
        /// Somebody else changed the file while it was being rewritten.
        case changedMeanwhile
        /// The command could not be started, or ended with this status.
        case command(status: String)
        /// The deadline passed while the command ran; it was killed.
        case commandTimeout
        /// The router's port leads to the server with this server_uuid, not to the target.
        case leadsElsewhere(serverUUID: String)
        /// Nobody, or nobody usable, answers at the router's port.
        case unanswered
    }
    package var cause: Cause
    /// What happened and what to do about it.
    package var message: String

    package init(_ cause: Cause, _ message: String) {
        self.cause = cause
        self.message = message
    }

    package var description: String { message }
}
