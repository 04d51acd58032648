import Logging
import MySQLDump
import MySQLWire

/// Carries the commands of one plan out on real servers. It keeps what one command finds and a later one needs, and the
/// session that holds the operation lock on the server that is not the ledger's; all of it for one plan only.
actor CommandRunner {
    let executor: Executor
    let ledger: LedgerSession
    let context: OperationContext
    /// What the step is for, as errors and the log say it.
    let purpose: String

    /// The session on the other server, while its operation lock is held.
    var other: ServerSession?
    /// super_read_only was switched off for the ledger, under the scan lock.
    var openedForLedger: Bool?
    /// The old primary, fenced, and its events.
    var source: (facts: ServerFacts, events: Executor.EventStatuses?)?
    /// The server that is promoted, with its replication stopped.
    var stopped: ServerFacts?
    var rebuild = RebuildState()

    /// What a rebuild finds before it touches anything.
    struct RebuildState {
        /// The server took writes before it was fenced.
        var wasOpen = false
        var replica: ServerFacts?
        var source: ServerFacts?
        var marker: RebuildMarker?
        /// What the replica had executed when its data was saved; nil if unknown.
        var saved: GTIDSet?
        /// What it had executed when it was looked at: with more than that it is not wiped.
        var known: GTIDSet?
        /// This plan has begun to mark it.
        var isMarked = false
        /// Each rebuild counts, and counts once.
        let number = UInt32.random(in: 0...(.max))
        /// The channel that the new one replaces.
        var link: ChannelLink?
    }
    /// When a rebuild has to be over.
    let deadline: Deadline

    var configuration: Configuration { executor.configuration }
    var logger: Logger { executor.logger }
    func name(_ id: ServerID) -> String { executor.name(id) }

    init(_ executor: Executor, ledger: LedgerSession, context: OperationContext, purpose: String) {
        self.executor = executor
        self.ledger = ledger
        self.context = context
        self.purpose = purpose
        deadline = .after(executor.configuration.safety.operationTimeout)
    }

    /// One command after the other; the first that fails ends the plan.
    func run(_ plan: OperationPlan) async throws(AgentError) {
        do throws(AgentError) {
            for command in plan.commands {
                try requireSession(for: command)
                try await carryOutUnlessBusy(command)
            }
            await unlock()
        } catch {
            for command in plan.onFailure {
                do {
                    try await carryOut(command)
                } catch {
                    logger.log(.notPutBack, ["command": "\(command.name)", "error": "\(error)"])
                }
            }
            other?.connection.abort()
            other = nil
            throw error
        }
    }

    /// A ping that keeps the session awake (`Executor.keeping`) may be under way on it, for a moment: then nothing was sent.
    private func carryOutUnlessBusy(_ command: Command) async throws(AgentError) {
        var patience: Deadline?
        while true {
            do throws(AgentError) {
                return try await carryOut(command)
            } catch {
                guard case .server(let cause) = error.cause, cause.code == .busy, patience?.hasPassed != true,
                    !Task.isCancelled
                else { throw error }
                patience = patience ?? .after(.seconds(2))
                try? await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// Nothing is done to the other server without its lock.
    private func requireSession(for command: Command) throws(AgentError) {
        if case .other(let id) = command.path(ledger: ledger.server) { _ = try session(id) }
    }

    private func carryOut(_ command: Command) async throws(AgentError) {
        switch command {
        // The owner of the ledger session does these.
        case .join, .leave: break
        case .endReadLocks: try await endHolders(.readLock)
        case .allowLedgerWrites: try await allowLedgerWrites()
        case .forbidLedgerWrites: await forbidLedgerWrites()
        case .writeSignal(let entry): try await write(entry)
        case .takeOperationLock: try await takeOperationLock()
        case .requireOperationLock: try await requireOperationLock()
        case .releaseOperationLock: try await releaseOperationLock()
        case .clearLedger: try await clearLedger()
        case .lockServer(let id): try await lock(id)
        case .unlockServer: await unlock()
        case .fenceWrites(let id): try await fenceWrites(id)
        case .clearStaleLedger(let id): try await clearStaleLedger(id)
        case .closeServer(let id): try await closeServer(id)
        case .liftDelay(let id): try await liftDelay(id)
        case .stopReceiver(let id): try await stopReceiver(id)
        case .startApplier(let id): try await startApplier(id)
        case .awaitRelayLog(let id): try await awaitRelayLog(id)
        case .catchUp(let new, let old): try await catchUp(new, from: old)
        case .allowRecord(let id): try await allowRecord(id)
        case .endBackups: try await endHolders(.backup)
        case .stopReplication(let id): try await stopReplication(id)
        case .resumeReplication(let id): try await resumeReplication(id)
        case .requireFenced(let id): try await requireFenced(id)
        case .requireDrained(let id, let undrained): try await requireDrained(id, undrained)
        case .requireApplied(let id, let epoch, let loss): try await requireApplied(id, epoch, acceptLoss: loss)
        case .wakeEvents: await wakeEvents()
        case .recordPromotion(let id, let epoch, let why, let heard): try await record(id, epoch, why, heard: heard)
        case .resetChannel(let id): try await resetChannel(id)
        case .requireNotPromoted(let epoch): try await requireNotPromoted(since: epoch)
        case .persistClosed(let id): try await persistClosed(id)
        case .enableSemiSync: try await executor.enableSemiSyncBeforeOpening(ledger)
        case .requireNoFailover(let id, let epoch): try await requireNoFailover(to: id, since: epoch)
        case .requireMajority(let id): try await requireMajority(id)
        case .liftOfflineMode(let id): await liftOfflineMode(id)
        case .liftSuperReadOnly(let id): try await run("SET GLOBAL super_read_only = OFF", on: id, "open \(name(id))")
        case .liftReadOnly(let id): try await liftReadOnly(id)
        case .requireNothingErrant(let id, let source): try await requireNothingErrant(id, from: source)
        case .nameSource(let id, let source): try await nameSource(id, from: source)
        case .disableSemiSync(let id): try await disableSemiSync(id)
        case .startReplication(let id, let insisting): try await startReplication(id, insisting: insisting)
        case .requireRoom(let id): try await requireRoom(id)
        case .requireCopyable(let id, let source): try await requireCopyable(id, from: source)
        case .disableSemiSyncWhenAgreed: try await executor.disableSemiSyncByMajority(ledger, context.foreign)
        case .requireBroken(let id): try await requireBroken(id)
        case .requireRebuildable(let id, let source): try await requireRebuildable(id, from: source)
        case .saveData(let id, let source, let epoch): try await saveData(id, from: source, epoch)
        case .markForRebuild(let id, _): try await markForRebuild(id)
        case .copyData(let id, let source, let epoch): try await copyData(id, from: source, epoch)
        case .removeMarker(let id, let source): try await removeMarker(id, from: source)
        case .noteRebuild(let id, let primary, let epoch, let cause):
            await noteRebuild(of: id, on: primary, epoch, cause: cause)
        case .reopenUnmarked(let id): try await reopenUnmarked(id)
        case .disableSemiSyncIfAgreed, .enableSemiSyncIfOpen, .disableSemiSyncIfClosed, .persistClosedIfAllowed,
            .runFenceCommand:
            throw AgentError(.refused, "\(purpose): \(command.name) belongs to no operation")
        }
    }

    // MARK: Sessions

    /// Where a command for this server goes.
    func connection(_ id: ServerID) throws(AgentError) -> MySQLConnection {
        if ledger.server == id { return ledger.connection }
        return try session(id).connection
    }

    /// The session that holds the operation lock on the other server.
    func session(_ id: ServerID) throws(AgentError) -> ServerSession {
        guard let other, other.server == id else {
            throw AgentError(.refused, "\(purpose): the operation lock on \(name(id)) is not held")
        }
        return other
    }

    func run(_ sql: String, on id: ServerID, _ what: String) async throws(AgentError) {
        let connection = try connection(id)
        try await executor.onServer(what) { () async throws(MySQLError) in
            try await connection.query(sql, purpose: what, deadline: .after(.seconds(8)))
        }
    }

    /// What the server of the ledger says now.
    func ledgerFacts() async throws(AgentError) -> ServerFacts {
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await ServerProbe(cluster: configuration.cluster).facts(
                ledger.connection, deadline: .after(.seconds(8)))
        }
    }

    /// What another server says now, over a session of its own.
    func facts(_ id: ServerID) async throws(AgentError) -> ServerFacts {
        try await executor.withSession(id, purpose) { session async throws(AgentError) in
            try await executor.onServer(purpose) { () async throws(MySQLError) in
                try await session.facts(cluster: configuration.cluster)
            }
        }
    }

    /// Takes the operation lock there too, and sees from outside that the ledger session holds its own still. An agent
    /// that was frozen since it decided finds its ledger session gone here; one that freezes later loses this session
    /// before anybody else takes the lock.
    func lock(_ id: ServerID) async throws(AgentError) {
        if other?.server == id { return }
        let session = try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await ServerSession.open(configuration, id)
        }
        do throws(AgentError) {
            try await executor.onServer(purpose) { () async throws(MySQLError) in
                try await session.takeOver(cluster: configuration.cluster, logger: logger)
            }
            let holder = try await executor.withSession(ledger.server, purpose) { probe async throws(AgentError) in
                try await executor.onServer(purpose) { () async throws(MySQLError) in
                    try await probe.run(
                        "SELECT IS_USED_LOCK(\(SQLText.literal(LedgerSchema.operationLock(configuration.cluster)))) AS holder",
                        "see who holds the operation lock"
                    ).rows.first?.int("holder")
                }
            }
            guard holder == Int64(ledger.id) else {
                throw AgentError(.refused, "\(purpose): the operation lock is not held any more, nothing was done")
            }
        } catch {
            session.connection.abort()
            throw error
        }
        other = session
    }

    func unlock() async {
        await other?.close()
        other = nil
    }
}
