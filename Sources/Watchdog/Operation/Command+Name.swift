extension Command {
    /// What a command is called: in logs, and where the simulation leaves one out, repeats or swaps it.
    package enum Name: String, Sendable, Hashable, CaseIterable {
        case join, endReadLocks, allowLedgerWrites, forbidLedgerWrites, writeSignal, takeOperationLock
        case requireOperationLock, releaseOperationLock, clearLedger, leave
        case lockServer, unlockServer, fenceWrites, clearStaleLedger, closeServer
        case liftDelay, stopReceiver, startApplier, awaitRelayLog, catchUp, allowRecord, endBackups, stopReplication
        case resumeReplication, requireFenced, requireDrained, requireApplied, wakeEvents, recordPromotion, resetChannel
        case requireNotPromoted
        case persistClosed, enableSemiSync, requireNoFailover, requireMajority, liftOfflineMode
        case liftSuperReadOnly, liftReadOnly
        case requireNothingErrant, nameSource, disableSemiSync, startReplication, requireRoom, requireCopyable
        case disableSemiSyncWhenAgreed, requireBroken, requireRebuildable, saveData, markForRebuild, copyData,
            removeMarker
        case noteRebuild, reopenUnmarked
        case disableSemiSyncIfAgreed, enableSemiSyncIfOpen, disableSemiSyncIfClosed, persistClosedIfAllowed
        case runFenceCommand
    }

    package var name: Name {
        switch self {
        case .join: .join
        case .endReadLocks: .endReadLocks
        case .allowLedgerWrites: .allowLedgerWrites
        case .forbidLedgerWrites: .forbidLedgerWrites
        case .writeSignal: .writeSignal
        case .takeOperationLock: .takeOperationLock
        case .requireOperationLock: .requireOperationLock
        case .releaseOperationLock: .releaseOperationLock
        case .clearLedger: .clearLedger
        case .leave: .leave
        case .lockServer: .lockServer
        case .unlockServer: .unlockServer
        case .fenceWrites: .fenceWrites
        case .clearStaleLedger: .clearStaleLedger
        case .closeServer: .closeServer
        case .liftDelay: .liftDelay
        case .stopReceiver: .stopReceiver
        case .startApplier: .startApplier
        case .awaitRelayLog: .awaitRelayLog
        case .catchUp: .catchUp
        case .allowRecord: .allowRecord
        case .endBackups: .endBackups
        case .stopReplication: .stopReplication
        case .resumeReplication: .resumeReplication
        case .requireFenced: .requireFenced
        case .requireDrained: .requireDrained
        case .requireApplied: .requireApplied
        case .wakeEvents: .wakeEvents
        case .recordPromotion: .recordPromotion
        case .resetChannel: .resetChannel
        case .requireNotPromoted: .requireNotPromoted
        case .persistClosed: .persistClosed
        case .enableSemiSync: .enableSemiSync
        case .requireNoFailover: .requireNoFailover
        case .requireMajority: .requireMajority
        case .liftOfflineMode: .liftOfflineMode
        case .liftSuperReadOnly: .liftSuperReadOnly
        case .liftReadOnly: .liftReadOnly
        case .requireNothingErrant: .requireNothingErrant
        case .nameSource: .nameSource
        case .disableSemiSync: .disableSemiSync
        case .startReplication: .startReplication
        case .requireRoom: .requireRoom
        case .requireCopyable: .requireCopyable
        case .disableSemiSyncWhenAgreed: .disableSemiSyncWhenAgreed
        case .requireBroken: .requireBroken
        case .requireRebuildable: .requireRebuildable
        case .saveData: .saveData
        case .markForRebuild: .markForRebuild
        case .copyData: .copyData
        case .removeMarker: .removeMarker
        case .noteRebuild: .noteRebuild
        case .reopenUnmarked: .reopenUnmarked
        case .disableSemiSyncIfAgreed: .disableSemiSyncIfAgreed
        case .enableSemiSyncIfOpen: .enableSemiSyncIfOpen
        case .disableSemiSyncIfClosed: .disableSemiSyncIfClosed
        case .persistClosedIfAllowed: .persistClosedIfAllowed
        case .runFenceCommand: .runFenceCommand
        }
    }
}
