import MySQLDump
import MySQLWire

/// Why a pass ended without success: what failed, for what, and what to do.
package struct AgentError: Error, Sendable, CustomStringConvertible {
    package enum Cause: Sendable {
        case server(MySQLError)
        case dump(DumpError)
        case router(RouterError)
        /// Another agent runs on this host, or another agent has this one's name.
        case alreadyRunning
        case workingDirectory
        /// The state file in the working directory is the memory of another agent, or of another cluster.
        case stateOfAnother
        case configuration
        /// The world changed between the look and the act, or a step did not have its effect.
        case refused
        case timeout
    }

    package var cause: Cause
    package var message: String

    package init(_ cause: Cause, _ message: String) {
        self.cause = cause
        self.message = message
    }

    /// As design and monitoring plugins count: 2 critical, 3 an own fault, 78 configuration.
    package var exitStatus: Int32 {
        switch cause {
        case .alreadyRunning, .workingDirectory, .stateOfAnother: 3
        case .configuration: 78
        default: 2
        }
    }

    package var description: String {
        switch cause {
        case .server(let error): "\(message): \(Remedy.explain(error))"
        case .dump(let error): "\(message): \(error)"
        case .router(let error): "\(message): \(error)"
        default: message
        }
    }
}
