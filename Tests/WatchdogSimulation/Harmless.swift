import Watchdog

/// Commands that no invariant misses where they are left out, and why that is no fault of the invariants.
extension Histories {
    public static let harmless: [String: String] = {
        var reasons: [Command.Name: String] = [:]
        for (names, reason) in groups { for name in names { reasons[name] = reason } }
        return Dictionary(uniqueKeysWithValues: reasons.map { ($0.key.rawValue, $0.value) })
    }()

    private static let groups: [([Command.Name], String)] = [
        // What the model does not have. Each is tried on real servers.
        ([.endReadLocks, .endBackups], "the model has no read locks of clients (S84 has them)"),
        ([.liftDelay], "the model has no SOURCE_DELAY (S88 has one)"),
        ([.liftOfflineMode], "the model has no offline_mode (S96 has one)"),
        ([.wakeEvents], "the model has no events (S87 has them)"),
        ([.requireRoom, .requireCopyable], "the model's copies always fit (RecoverTests, RefusalTests)"),
        ([.persistClosed, .persistClosedIfAllowed], "the model's servers always start closed"),
        ([.requireBroken], "the model's appliers stop at the same again (ChannelTests)"),
        ([.noteRebuild], "the model does not count rebuilds (QuorumPolicyTests do)"),
        ([.reopenUnmarked], "of router-led mode, whose own model misses it"),
        ([.runFenceCommand], "a router that is not proven closed is waited for instead"),

        // What comes later by itself.
        ([.startApplier, .awaitRelayLog, .catchUp], "the next look waits for the same"),
        ([.releaseOperationLock], "the session ends in the same plan, and its lock with it"),
        (
            [.leave],
            "the loop gives its part up when nothing is left to do; missed in one of some thousand histories (seed 1447)"
        ),
        ([.allowRecord, .liftSuperReadOnly], "the ledger's first row has switched super_read_only off already"),
        (
            [.forbidLedgerWrites, .clearStaleLedger, .closeServer, .resumeReplication],
            "read_only stays on, and the next recovery closes the server and starts replication"
        ),
        ([.disableSemiSyncIfAgreed], "commits only wait, until the replica is back or replaced (S17)"),
        ([.disableSemiSync], "a commit that waits for nobody is let go at the next look"),

        // The second of two guards.
        (
            [.requireOperationLock],
            "the ledger refuses a second MAST beside a living one, and of an epoch that is taken"
        ),
        ([.requireNotPromoted], "only the holder of the operation lock records a promotion, and rolls back"),
        (
            [.requireNoFailover],
            "the look before saw no failover, and the operation lock there keeps one from beginning"
        ),
        (
            [.requireMajority],
            "the majority has lasted; an opener that stood still since has lost its ledger session before others vote"
        ),
        ([.enableSemiSync], "the loop of any agent switches it on at its next look"),
        ([.requireNothingErrant], "the look before saw nothing; what commits in between is too rare in the model"),
    ]
}
