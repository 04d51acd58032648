/// The one thing to do next. Each is done only after the world was looked at again, and can be done again.
package enum Step: Sendable, Hashable {
    /// Nothing is to be done; the pass is over.
    case none(Reason)
    /// Something is under way that others do, or that takes time: look again.
    case wait(Reason)

    // Election
    /// Write SCAN into the ledger on this server (made if need be).
    case scan(on: ServerID)
    /// Take the operation lock, and look again before anything is written.
    case lock(on: ServerID)
    /// Write MAST.
    case master(on: ServerID)
    /// Give the operation lock back: others consider an operation that this agent sees no need for.
    case withdraw(Reason)
    /// Write FOLO.
    case follow(on: ServerID)
    /// Write OPER and TARG.
    case announce(OperationKind, target: ServerID)

    // Failover
    /// Stop writes on the server that was primary.
    case fence(ServerID)
    /// Wait until the new primary has applied everything that the old one has.
    case drain(from: ServerID, to: ServerID)
    /// End the replica's replication: from here only forward. `undrained`: transactions of the old primary that could
    /// not be fetched; they are saved before its data is touched.
    case promote(ServerID, undrained: String)
    /// Open the new primary and put the promotion on record.
    case open(ServerID)
    /// Point the local router to this server.
    case route(to: ServerID)

    // Failover by quorum mode, without the old primary
    /// Run the operator's command that makes sure that this server is off.
    case fenceCommand(ServerID)
    /// Stop the receiver: what has arrived here is now all that will, and a semi-synchronous primary can acknowledge
    /// nothing more.
    case stopReceiver(ServerID)
    /// Wait until everything that has arrived is applied.
    case applyRelayLog(ServerID)
    /// As `promote`, with nobody to ask what else there is.
    case promoteWithoutSource(ServerID, reason: PromotionReason)

    // Semi-synchronous replication
    /// Let the primary go on without a replica that is gone.
    case disableSemiSync(ServerID)
    /// Let the primary wait for its replica again.
    case enableSemiSync(ServerID)
    /// Let a replica's own applier commit without waiting for replicas that it does not have.
    case disableSemiSyncOnReplica(ServerID)
    /// Persist that the primary starts with super_read_only.
    case startClosed(ServerID)

    // Bringing the other server back
    /// Replicate by GTID from where it stands.
    case resume(ServerID, from: ServerID)
    /// Save its data, then make it a copy of the primary.
    case rebuild(ServerID, from: ServerID, why: RebuildReason)

    // The end
    case confirmMaster
    case confirmFollower
    /// Both servers take writes again, as router-led mode needs it; then the ledger is dropped. `missing` names
    /// agents that did not confirm; with `keepClosed` the replica stays closed, for one of their routers may still
    /// lead to it.
    case terminate(missing: [String], keepClosed: Bool)
    /// Undo what was done before promotion, and drop the ledger.
    case abort(Reason)
}
