import Logging

extension Event {
    /// What a line of this event holds.
    package struct Line: Sendable {
        package let level: Logger.Level
        package let message: String
        /// Names of the fields; one that may be missing ends with a question mark.
        package let fields: [String]

        init(_ level: Logger.Level, _ message: String, _ fields: String...) {
            self.level = level
            self.message = message
            self.fields = fields
        }

        func allows(_ names: some Collection<String>) -> Bool {
            let known = Set(fields.map { $0.hasSuffix("?") ? String($0.dropLast()) : $0 })
            return known.isSuperset(of: names) && Set(names).isSuperset(of: fields.filter { !$0.hasSuffix("?") })
        }
    }

    /// Every event has its line here; a test sees to it.
    package static let lines: [Event: Line] = [
        .watching: Line(.notice, "watching", "cluster", "agent", "mode"),
        .stopped: Line(.notice, "stopped"),
        .failed: Line(.error, "failed", "error"),
        .configurationRead: Line(.notice, "the configuration was read again", "changed"),
        .configurationRefused: Line(.error, "the configuration stays as it was", "why"),
        .passwordRead: Line(.notice, "the password file has changed", "account", "file"),
        .passwordRefused: Line(
            .error, "the password file is of no use, the password before stays", "account", "file", "why"),
        .routerNotBound: Line(.error, "router.bound = true is not what this host does", "why", "remedy"),
        .passWaiting: Line(.info, "waiting before the pass", "wait"),
        .passEnded: Line(.info, "pass ended", "state", "summary"),
        .passEndedBadly: Line(.warning, "pass ended", "state", "summary"),
        .stateNotWritten: Line(.error, "cannot persist agent state; no action taken", "error"),
        .epochNotWritten: Line(.warning, "the promotion that was followed is not remembered", "error"),
        .state: Line(.notice, "state", "state", "why", "reason"),
        .step: Line(.notice, "step", "step", "reason?"),
        .waiting: Line(.info, "step", "step", "reason?"),
        .stepFailed: Line(.error, "step failed", "step", "error"),
        .handedOver: Line(.warning, "handing the operation over", "waited"),
        .operationAborted: Line(.error, "operation aborted", "why", "reason"),
        .abortFailed: Line(.error, "the operation could not be aborted", "error"),
        .writesHang: Line(.error, "writes hang", "server", "remedy"),
        .writesGoOn: Line(.notice, "writes do not hang any more", "server"),
        .loginsFail: Line(.error, "new connections fail; the agent asks over an open session", "server", "why"),
        .loginsWork: Line(.notice, "new connections are accepted again", "server"),
        .nameTaken: Line(.info, "another session of this agent's name is present", "server"),
        .nameTwice: Line(.error, "another host's agent goes by this one's name", "agent"),
        .nameAlone: Line(.notice, "no other agent goes by this one's name any more", "agent"),
        .lockSessionFailed: Line(.info, "lock session could not be opened", "server", "error"),
        .lockNotTaken: Line(.info, "lock not taken", "lock", "error"),
        .ledgerSessionLost: Line(.warning, "the ledger session is lost", "error"),
        .sessionEnded: Line(
            .warning, "a client's session is ended, for its lock stands in the way", "server", "session"),
        .signal: Line(.notice, "signal", "signal", "epoch", "server"),
        .ledgerCleared: Line(.notice, "ledger cleared", "server"),
        .tablesMade: Line(.notice, "the agents' tables are there", "server"),
        .tablesNotMade: Line(.info, "the agents' tables are not there yet", "error"),
        .eventsNotListed: Line(.info, "the list of events is not kept", "error"),
        .fenced: Line(.notice, "fenced", "server", "sessions_ended"),
        .drain: Line(.notice, "drain", "server", "complete"),
        .promoted: Line(.notice, "promoted", "server", "epoch", "gtid_executed", "reason", "why"),
        .opened: Line(.notice, "server opened for writes", "server"),
        .fenceCommandSucceeded: Line(.notice, "fence command succeeded", "server"),
        .fenceCommandFailed: Line(.error, "fence command failed", "server", "error"),
        .receiverStopped: Line(.notice, "receiver stopped", "server"),
        .offlineModeEnded: Line(.notice, "the new primary lets clients in, as the old one did", "server"),
        .offlineModeStays: Line(.error, "the new primary stays in offline_mode", "server", "error"),
        .delayLifted: Line(.notice, "the delay of the replica is taken off", "seconds", "why"),
        .preparedTransactions: Line(
            .warning, "XA transactions are prepared on the new primary: they hold locks until they are ended there",
            "server", "xids"),
        .preparedNotListed: Line(
            .warning, "it is not known which XA transactions are prepared on the new primary", "server", "error"),
        .linkNotRecorded: Line(.warning, "the settings of the former channel are not on record", "error"),
        .eventsStayOff: Line(
            .error, "events stay off: it is not on record whether they were on", "server", "events", "remedy"),
        .eventsStayDisabled: Line(.warning, "events stay disabled", "name?", "error"),
        .notPutBack: Line(.error, "could not be put back", "command", "error"),
        .unconfirmed: Line(
            .warning, "ended without the confirmation of some followers: see where their routers lead", "agents"),
        .replicaStaysClosed: Line(
            .warning, "the replica stays read-only, for a router may still lead to it", "server", "remedy"),
        .semiSyncDisabled: Line(.warning, "semi-sync disabled: commits no longer wait for the replica", "server"),
        .semiSyncEnabled: Line(.notice, "semi-sync enabled: commits wait for the replica", "server"),
        .startsClosed: Line(.notice, "super_read_only persisted: the server starts closed", "server"),
        .mayStartOpen: Line(
            .error, "super_read_only could not be persisted: the server may start open", "server", "error"),
        .routerTurned: Line(.notice, "router turned", "server", "file_changed", "restarted"),
        .routerNotTurned: Line(.error, "the router could not be turned", "error"),
        .routerFileChanged: Line(
            .warning, "somebody else has changed where the router's file leads: it is written again", "file", "found",
            "wanted"),
        .routerFileNotKept: Line(
            .error, "the router leads where it should, and its file cannot be kept so", "error"),
        .routerClosed: Line(.warning, "router closed", "address"),
        .routerNotClosed: Line(.error, "the router is not closed", "error"),
        .endsForRouter: Line(
            .critical,
            "the router is not proven closed in time: this process ends itself, and the bound router with it", "limit"),
        .routerStillOpen: Line(.error, "the router still takes connections, or serves some", "address"),
        .routerServesClients: Line(
            .error, "the router's port is closed, and a client that came before is served on", "address", "client"),
        .routerNotProvenClosed: Line(
            .error, "the router's port refuses, but it could not be stopped: it may open again", "address", "remedy"),
        .rebuild: Line(.notice, "rebuild", "server", "why", "reason"),
        .rebuildMethod: Line(.notice, "rebuild method", "server", "method", "used"),
        .savedBefore: Line(.notice, "data was saved before", "saved"),
        .saved: Line(.notice, "saved", "server", "file", "rows", "only_here"),
        .surplus: Line(
            .warning, "transactions that the primary lacks are kept in the saved dump only", "gtids", "file"),
        .preparedRolledBack: Line(
            .warning, "prepared XA transactions of the server that is rebuilt were rolled back", "server", "xids"),
        .dumpWarning: Line(.warning, "dump", "warning"),
        .copied: Line(.notice, "copied", "server", "rows", "tables", "file"),
        .copyWarning: Line(.warning, "copy", "warning"),
        .cloned: Line(.notice, "cloned", "server", "gtid_executed"),
        .cloneFailed: Line(.error, "clone failed", "server", "why"),
        .restartFailed: Line(.warning, "restart command failed", "error"),
        .rebuildNotRecorded: Line(.warning, "the rebuild is not on record", "error"),
        .applierInterrupted: Line(.warning, "the applier was interrupted", "server", "error"),
    ]

    package var line: Line { Self.lines[self] ?? Line(.error, rawValue) }
}
