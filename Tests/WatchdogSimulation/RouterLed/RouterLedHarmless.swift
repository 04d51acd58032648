import Watchdog

/// Commands of router-led mode that no invariant misses where they are left out, and why.
extension RouterLedHistories {
    public static let harmless: [String: String] = Dictionary(
        uniqueKeysWithValues: reasons.map { ($0.key.rawValue, $0.value) })

    private static let reasons: [Command.Name: String] = [
        // What the model does not have. Each is tried on real servers.
        .wakeEvents: "the model has no events (S87 has them)",
        .requireRoom: "the model's copies always fit (RecoverTests)",
        .requireBroken: "the model's appliers stop at the same again (ChannelTests)",
        .requireCopyable: "the model's copies always fit (RefusalTests)",

        // What comes by itself.
        .allowLedgerWrites: "the ledger's server takes writes in this mode; quorum mode's histories miss it",
        .liftSuperReadOnly: "read_only is switched off next, and MySQL switches super_read_only off with it",
        .forbidLedgerWrites: "read_only stays on, and the next operation opens the server or closes it",
        .unlockServer: "the plan's end gives the lock back",
        .releaseOperationLock: "the session ends in the same plan, and its lock with it",
        .clearStaleLedger: "rows of the dead are cleared by the next agent that finds them",

        // The second of two guards.
        .requireOperationLock: "the ledger refuses a second MAST of an epoch that is taken",
        .requireDrained: "the look before saw the same of a server that was fenced, and it is fenced still",
    ]
}
