/// What a `RouterMachine` asks for, and what it is told.
extension RouterMachine {
    package enum Command: Sendable, Hashable {
        /// Ask the port which server it leads to, in so many milliseconds at most.
        case ask(limit: Int64)
        /// The same, and where it refuses, whether clients that came before are served still.
        case seeClosed(limit: Int64)
        /// Run the stop command.
        case stop(limit: Int64)
        /// Point the router to the server with this server_uuid, restart it, and see its port lead there.
        case turn(to: ServerID, uuid: String, limit: Int64)
        /// End the command that is under way. What became of it is told nevertheless.
        case cancel
        case report(Report)
        /// What was known has changed: the next look should come at once.
        case wake
    }

    /// What became of a command.
    package enum Outcome: Sendable, Hashable {
        /// The port leads to the server with this server_uuid.
        case leads(to: String)
        /// The port refuses connections.
        case refused
        /// The same, and clients that came before are served still.
        case served
        /// Neither: it takes connections, or nobody can tell.
        case silent
        case stopped
        case notStopped
        case turned
        case notTurned
    }

    package enum Report: Sendable, Hashable {
        case closed
        /// It was stopped, and takes connections or serves some still.
        case stillOpen
        /// Its port refuses, and it could not be stopped: who has closed the port may open it again.
        case notProvenClosed
    }
}
