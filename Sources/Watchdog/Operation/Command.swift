/// One thing that a step of an operation does: a statement or a few that belong together, an external command, or one
/// long transfer. A plan is a list of them (`OperationPlan`); `CommandRunner` carries them out on real servers, and the
/// simulation carries the same values out on its model.
///
/// Each looks before it acts, so that it can be done again, and fails where the world is not as it must be; the commands
/// that begin with `require` do nothing else. What goes to the ledger's server goes over the ledger session, what goes to
/// the other one over the session that holds the operation lock there.
package enum Command: Sendable, Hashable {
    // Taking part in an operation
    /// Open the ledger session on this server, if there is none.
    case join(ServerID)
    /// End the clients' sessions that hold a global read lock: not even a row of the ledger can be written beside one.
    case endReadLocks
    /// Take the scan lock, and let the ledger be written: super_read_only off, read_only stays.
    case allowLedgerWrites
    /// Close the server again where nothing came of the announcement.
    case forbidLedgerWrites
    case writeSignal(LedgerEntry)
    case takeOperationLock
    case requireOperationLock
    case releaseOperationLock
    /// End the operation: no row is left.
    case clearLedger
    /// End the ledger session, and with it all its locks.
    case leave

    // The server that is not the ledger's
    /// Take the operation lock there too, and see that the ledger session holds its own still.
    case lockServer(ServerID)
    case unlockServer(ServerID)
    /// Stop all writes, and end the clients' sessions.
    case fenceWrites(ServerID)
    /// Remove what an earlier operation has left in the ledger of a server that is not primary.
    case clearStaleLedger(ServerID)
    /// super_read_only on.
    case closeServer(ServerID)

    // Promotion
    case liftDelay(ServerID)
    case stopReceiver(ServerID)
    case startApplier(ServerID)
    /// Give the applier a few seconds for what has arrived.
    case awaitRelayLog(ServerID)
    /// Give the replica a few seconds to fetch and apply what its source has.
    case catchUp(ServerID, from: ServerID)
    /// read_only on, super_read_only off: the promotion can be recorded, and nobody else writes.
    case allowRecord(ServerID)
    /// End the clients' sessions whose locks keep replication from being stopped.
    case endBackups(ServerID)
    case stopReplication(ServerID)
    /// Start replication again, as it was.
    case resumeReplication(ServerID)
    /// The old primary takes no writes.
    case requireFenced(ServerID)
    /// Everything that the old primary has executed is here, but for `undrained` (a GTID set).
    case requireDrained(ServerID, undrained: String)
    /// Everything that has arrived is applied, or an operator accepts the loss, or the promotion is on record already.
    case requireApplied(ServerID, recordedIn: UInt64, acceptLoss: Bool)
    case wakeEvents(ServerID)
    /// From here only forward.
    case recordPromotion(ServerID, epoch: UInt64, reason: PromotionReason, heard: UInt64?)
    /// Forget the source for good.
    case resetChannel(ServerID)
    /// Nobody has recorded a promotion of a higher epoch than this on the ledger's server.
    case requireNotPromoted(since: UInt64)

    // Opening a primary
    /// super_read_only for the time after a restart.
    case persistClosed(ServerID)
    case enableSemiSync(ServerID)
    /// The other server takes no writes, and nobody turns to it.
    case requireNoFailover(to: ServerID, since: UInt64)
    /// A majority of the agents sees this primary at this moment.
    case requireMajority(ServerID)
    /// Let clients in again, who were let in to the old primary.
    case liftOfflineMode(ServerID)
    case liftSuperReadOnly(ServerID)
    case liftReadOnly(ServerID)

    // Bringing the other server back
    /// It is closed, and holds nothing that its source lacks.
    case requireNothingErrant(ServerID, from: ServerID)
    /// Point it to its source, if it has none.
    case nameSource(ServerID, from: ServerID)
    case disableSemiSync(ServerID)
    /// Start replication and see that it runs; `insisting`, again and again where the applier is interrupted.
    case startReplication(ServerID, insisting: Bool)
    /// There is room for two dumps.
    case requireRoom(ServerID)
    /// Nothing that the source's data needs is missing.
    case requireCopyable(ServerID, from: ServerID)
    /// Wait until a majority lets the primary go on without its replica, and disable semi-sync.
    case disableSemiSyncWhenAgreed(ServerID)
    /// Started once more, the applier stops at the same transaction again, at an error by which the data differ.
    case requireBroken(ServerID)
    /// The two are what they should be, and what is only here was not made by the source.
    case requireRebuildable(ServerID, from: ServerID)
    /// Dump and verify what it holds.
    case saveData(ServerID, from: ServerID, epoch: UInt64)
    /// Say on the server that it is half a copy, before its first row is touched.
    case markForRebuild(ServerID, epoch: UInt64)
    /// Replace its data by the source's: by clone, or by a dump.
    case copyData(ServerID, from: ServerID, epoch: UInt64)
    case removeMarker(ServerID, from: ServerID)
    /// Put on record that a rebuild is begun, and why: those that fail count too.
    case noteRebuild(ServerID, on: ServerID, epoch: UInt64, cause: String)
    /// Let a server that nothing was done to take writes again.
    case reopenUnmarked(ServerID)

    // Without an operation, over a lock session or on this host
    case disableSemiSyncIfAgreed(ServerID)
    case enableSemiSyncIfOpen(ServerID)
    case disableSemiSyncIfClosed(ServerID)
    case persistClosedIfAllowed(ServerID)
    case runFenceCommand(ServerID, epoch: UInt64)
}

/// A row that is to be written into the ledger.
package struct LedgerEntry: Sendable, Hashable {
    package var signal: Signal
    package var epoch: UInt64
    /// The server_uuid that the writer's router leads to; empty if none.
    package var routed: String
    package var witness: Witness
}

/// What the writer of a row knows of the primary: what it was last seen to have executed, and whether that is all.
package struct Witness: Sendable, Hashable {
    package var executed = GTIDSet()
    package var sync = false

    package init(executed: GTIDSet = GTIDSet(), sync: Bool = false) {
        self.executed = executed
        self.sync = sync
    }
}
