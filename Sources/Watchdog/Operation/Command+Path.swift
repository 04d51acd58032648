extension Command {
    /// Over which session a command goes.
    package enum Path: Sendable, Hashable {
        /// The ledger session.
        case ledger
        /// The session that holds the operation lock on this server, which is not the ledger's.
        case other(ServerID)
        /// A connection that is made for it, or none: it needs no lock.
        case own
        /// The session of the agent's locks on this server, outside of an operation.
        case lockSession(ServerID)
    }

    /// - Parameter home: the ledger's server.
    package func path(ledger home: ServerID?) -> Path {
        func on(_ id: ServerID) -> Path { id == home ? .ledger : .other(id) }
        switch self {
        case .join, .leave, .lockServer, .unlockServer, .requireFenced, .requireRoom, .requireCopyable, .noteRebuild,
            .runFenceCommand:
            return .own
        case .endReadLocks, .allowLedgerWrites, .forbidLedgerWrites, .writeSignal, .takeOperationLock,
            .requireOperationLock, .releaseOperationLock, .clearLedger, .requireNotPromoted,
            .liftDelay, .stopReceiver, .startApplier, .awaitRelayLog, .catchUp, .allowRecord, .endBackups,
            .resumeReplication, .requireDrained, .requireApplied, .wakeEvents, .recordPromotion,
            .enableSemiSync, .requireMajority, .disableSemiSyncWhenAgreed:
            return .ledger
        case .closeServer(let id), .stopReplication(let id), .resetChannel(let id), .disableSemiSync(let id),
            .persistClosed(let id), .liftOfflineMode(let id), .liftSuperReadOnly(let id), .liftReadOnly(let id):
            return on(id)
        case .fenceWrites(let id), .clearStaleLedger(let id), .requireNoFailover(let id, _),
            .requireNothingErrant(let id, _), .nameSource(let id, _), .startReplication(let id, _),
            .requireBroken(let id), .requireRebuildable(let id, _), .saveData(let id, _, _), .markForRebuild(let id, _),
            .copyData(let id, _, _), .removeMarker(let id, _), .reopenUnmarked(let id):
            return .other(id)
        case .disableSemiSyncIfAgreed(let id), .enableSemiSyncIfOpen(let id), .disableSemiSyncIfClosed(let id),
            .persistClosedIfAllowed(let id):
            return .lockSession(id)
        }
    }
}
