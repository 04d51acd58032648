import Logging

/// Every kind of line that the agent's log has. The name stands in the line (`event=`) and does not change; what each
/// means stands in Documentation/Events.md, a row each.
package enum Event: String, Sendable, CaseIterable {
    // The process
    case watching, stopped, failed
    case configurationRead = "configuration-read"
    case configurationRefused = "configuration-refused"
    case passwordRead = "password-read"
    case passwordRefused = "password-refused"
    case routerNotBound = "router-not-bound"
    case passWaiting = "pass-waiting"
    case passEnded = "pass-ended"
    case passEndedBadly = "pass-ended-badly"
    case stateNotWritten = "state-not-written"
    case epochNotWritten = "epoch-not-written"

    // What is seen and decided
    case state, step, waiting
    case stepFailed = "step-failed"
    case handedOver = "handed-over"
    case operationAborted = "operation-aborted"
    case abortFailed = "abort-failed"
    case writesHang = "writes-hang"
    case writesGoOn = "writes-go-on"
    case loginsFail = "logins-fail"
    case loginsWork = "logins-work"

    // Sessions and what the agents keep on the servers
    case nameTaken = "name-taken"
    case nameTwice = "name-twice"
    case nameAlone = "name-alone"
    case lockSessionFailed = "lock-session-failed"
    case lockNotTaken = "lock-not-taken"
    case ledgerSessionLost = "ledger-session-lost"
    case sessionEnded = "session-ended"
    case signal
    case ledgerCleared = "ledger-cleared"
    case tablesMade = "tables-made"
    case tablesNotMade = "tables-not-made"
    case eventsNotListed = "events-not-listed"

    // Promotion
    case fenced, drain, promoted, opened
    case fenceCommandSucceeded = "fence-command-succeeded"
    case fenceCommandFailed = "fence-command-failed"
    case receiverStopped = "receiver-stopped"
    case delayLifted = "delay-lifted"
    case offlineModeEnded = "offline-mode-ended"
    case offlineModeStays = "offline-mode-stays"
    case linkNotRecorded = "link-not-recorded"
    case preparedTransactions = "prepared-transactions"
    case preparedNotListed = "prepared-not-listed"
    case eventsStayOff = "events-stay-off"
    case eventsStayDisabled = "events-stay-disabled"
    case notPutBack = "not-put-back"
    case unconfirmed
    case replicaStaysClosed = "replica-stays-closed"

    // Settings
    case semiSyncDisabled = "semi-sync-disabled"
    case semiSyncEnabled = "semi-sync-enabled"
    case startsClosed = "starts-closed"
    case mayStartOpen = "may-start-open"

    // Routers
    case routerTurned = "router-turned"
    case routerNotTurned = "router-not-turned"
    case routerFileChanged = "router-file-changed"
    case routerFileNotKept = "router-file-not-kept"
    case routerClosed = "router-closed"
    case routerNotClosed = "router-not-closed"
    case routerStillOpen = "router-still-open"
    case endsForRouter = "ends-for-router"
    case routerServesClients = "router-serves-clients"
    case routerNotProvenClosed = "router-not-proven-closed"

    // Bringing a server back
    case rebuild, saved, copied, cloned, surplus
    case rebuildMethod = "rebuild-method"
    case savedBefore = "saved-before"
    case preparedRolledBack = "prepared-rolled-back"
    case dumpWarning = "dump-warning"
    case copyWarning = "copy-warning"
    case cloneFailed = "clone-failed"
    case restartFailed = "restart-failed"
    case rebuildNotRecorded = "rebuild-not-recorded"
    case applierInterrupted = "applier-interrupted"
}

extension Logger {
    /// Writes one line: the event's sentence at its level, its name and its fields.
    package func log(_ event: Event, _ fields: Metadata = [:]) {
        let line = event.line
        assert(line.allows(fields.keys), "\(event) has the fields \(line.fields), not \(fields.keys.sorted())")
        var metadata = fields
        metadata["event"] = "\(event.rawValue)"
        log(level: line.level, "\(line.message)", metadata: metadata)
    }
}
