import Logging
import MySQLWire

/// An agent's part in an operation: its ledger session, and the steps that go over it. Owned by one loop.
final class Participation {
    private let configuration: Configuration
    private let logger: Logger
    let executor: Executor
    private(set) var session: LedgerSession?
    /// A session that was given up while one of its statements ran: the server may keep it, and its locks with it, until
    /// that statement is through.
    private var former: (server: ServerID, id: UInt64)?

    /// What the steps need besides the look: what `RouterLedPolicy` or `QuorumPolicy` knew when it chose them.
    struct Context {
        var seen: Observation
        var epoch: UInt64 = 0
        var nextEpoch: UInt64
        var witness = LedgerSession.Witness()
        var primary: ServerID?
        var ledger: Ledger?
        /// Other lists of agents: their majorities have to agree as well.
        var foreign: [AgentList] = []
    }

    init(configuration: Configuration, executor: Executor, logger: Logger) {
        self.configuration = configuration
        self.executor = executor
        self.logger = logger
    }

    /// Gives this agent's part up: the session ends, and with it the locks.
    func leave() async {
        if let session {
            if !session.isOpen { former = (session.server, session.id) }
            await session.close()
        }
        session = nil
    }

    /// Fills in what the session holds; forgets one that is lost.
    func describe(_ standing: inout LocalStatus) async {
        guard let session else { return }
        do {
            standing.holdsLock = try await session.holdsOperationLock()
            standing.server = session.server
            standing.session = session.id
        } catch {
            logger.warning("the ledger session is lost", metadata: ["error": "\(error)"])
            session.connection.abort()
            former = (session.server, session.id)
            self.session = nil
        }
    }

    /// Carries a step out. Those that belong to no ledger (`none`, `wait`, `route`, `disableSemiSync`, `enableSemiSync`, `disableSemiSyncOnReplica`,
    /// `fenceCommand`) are the loop's own.
    func perform(_ step: Step, _ context: Context) async throws(AgentError) {
        let host = configuration.agent.name
        switch step {
        case .none, .wait, .route, .disableSemiSync, .enableSemiSync, .disableSemiSyncOnReplica, .startClosed,
            .fenceCommand:
            break
        case .scan(let server):
            let session = try await join(server)
            if hasLost(context, server.other) {
                try await executor.onServer("announce this agent") { () async throws(MySQLError) in
                    try await executor.endHolders(.readLock, session)
                }
            }
            try await signal(session, .scan(host: host), epoch: 0, context)
        case .lock(let server):
            let session = try await join(server)
            let won = try await executor.onServer("take the operation lock") { () async throws(MySQLError) in
                try await session.takeOperationLock()
            }
            if !won { try? await Task.sleep(for: .milliseconds(100)) }
        case .master(let server):
            // Decided a while ago, perhaps: an agent that stood still meanwhile may have lost the lock and its session.
            let session = try await join(server)
            let holds = try await executor.onServer("become operation master") { () async throws(MySQLError) in
                try await session.holdsOperationLock()
            }
            guard holds else { throw AgentError(.refused, "the operation lock is not held any more") }
            try await signal(session, .mast(host: host), epoch: context.nextEpoch, context)
        case .withdraw:
            if let session {
                try await executor.onServer("give the operation lock back") { () async throws(MySQLError) in
                    try await session.giveBackOperationLock()
                }
            }
            await leave()
        case .follow(let server):
            try await signal(try await join(server), .folo(host: host), epoch: context.epoch, context)
        case .announce(let kind, let target):
            let session = try await join(target)
            try await signal(session, .oper(kind), epoch: context.epoch, context)
            try await signal(
                session, .targ(socket: configuration.servers[target].description), epoch: context.epoch, context)
        case .confirmFollower:
            guard let session else { throw AgentError(.refused, "no session to send FOOK on") }
            try await signal(session, .fook(host: host), epoch: context.epoch, context)
        default:
            guard let session else { throw AgentError(.refused, "the operation lock is not held any more") }
            try await lead(step, session, context)
        }
    }

    /// Whether a majority of the agents has voted that this server is lost.
    private func hasLost(_ context: Context, _ server: ServerID) -> Bool {
        guard configuration.mode == .quorum, context.primary == server,
            let votes = context.seen.facts(server.other)?.quorum?.votes
        else { return false }
        return QuorumRules(configuration).isMajority(votes)
    }

    private func lead(_ step: Step, _ session: LedgerSession, _ context: Context) async throws(AgentError) {
        let executor = executor
        let awake = [session.connection]
        let seen = context.seen
        let epoch = context.epoch
        let agents = configuration.mode == .quorum
        switch step {
        case .fence(let server):
            try await executor.keeping(awake) { () async throws(AgentError) in
                try await executor.fence(server, ledger: session)
            }
        case .drain(let from, let to): try await executor.drain(from: from, to: to, ledger: session)
        case .stopReceiver(let server): try await executor.stopReceiver(server, ledger: session)
        case .applyRelayLog(let server): try await executor.applyRelayLog(server, ledger: session)
        case .promote(let server, let undrained):
            try await executor.promote(
                server, undrained: undrained, epoch: epoch,
                reason: agents ? "switchover: asked for by an operator" : "the routers lead to the replica",
                ledger: session)
        case .promoteWithoutSource(let server, let reason):
            try await executor.promoteWithoutSource(
                server, reason: reason, acceptLoss: seen.facts(server)?.quorum?.lossAccepted == true, epoch: epoch,
                heard: context.ledger?.rows.last?.id ?? 0, ledger: session)
        case .open(let server):
            guard agents else { return try await executor.openPrimary(server, ledger: session) }
            let promoted = context.ledger?.kind == .failover
            try await executor.keeping(awake) { () async throws(AgentError) in
                try await executor.openPrimary(server, seen: seen, promoted: promoted, ledger: session)
            }
        case .resume(let replica, let primary):
            try await executor.keeping(awake) { () async throws(AgentError) in
                try await executor.resume(replica, from: primary, ledger: session)
            }
        case .rebuild(let replica, let primary, let why):
            let reopen = context.ledger?.kind == .recover && !agents
            let foreign = context.foreign
            try await executor.keeping(awake) { () async throws(AgentError) in
                try await executor.rebuild(
                    replica, from: primary, why: why, epoch: epoch, reopen: reopen, foreign: foreign, ledger: session)
            }
        case .confirmMaster:
            try await signal(session, .maok(host: configuration.agent.name), epoch: epoch, context)
        case .terminate(let missing, let keepClosed):
            if agents {
                try await executor.keeping(awake) { () async throws(AgentError) in
                    try await executor.finish(seen, primary: context.primary, missing: missing, ledger: session)
                }
            } else {
                try await executor.terminate(
                    seen, missing: missing, keepClosed: keepClosed, began: context.ledger?.kind != nil, ledger: session)
            }
            await leave()
        case .abort(let why):
            if agents {
                try await executor.rollBack(why, seen, primary: context.primary, ledger: session)
            } else {
                try await executor.abort(seen, why, kind: context.ledger?.kind, ledger: session)
            }
            await leave()
        default: break
        }
    }

    /// This agent's session on a server; opened if there is none.
    private func join(_ server: ServerID) async throws(AgentError) -> LedgerSession {
        if let session, session.server == server, session.isOpen { return session }
        await leave()
        let (configuration, logger) = (configuration, logger)
        let opened = try await executor.onServer("take part in an operation") { () async throws(MySQLError) in
            try await LedgerSession.open(
                configuration.connectionOptions(configuration.servers[server]), server: server,
                agent: configuration.agent.name, cluster: configuration.cluster,
                keepsTables: configuration.mode == .quorum, logger: logger, deadline: .after(.seconds(8)))
        }
        guard let opened else {
            if let former, former.server == server {
                try await endFormer(former.id, on: server)
                throw AgentError(.refused, "this agent's former session on \(executor.name(server)) is not over yet")
            }
            throw AgentError(
                .alreadyRunning,
                "an agent named \(configuration.agent.name) is connected already: every agent needs its own agent.name")
        }
        session = opened
        former = nil
        return opened
    }

    /// Ends what this agent has left running on a server, and only that.
    private func endFormer(_ id: UInt64, on server: ServerID) async throws(AgentError) {
        let what = "end this agent's former session on \(executor.name(server))"
        let lock = LedgerSchema.agentLock(configuration.cluster, configuration.agent.name)
        try await executor.withSession(server, what) { session async throws(AgentError) in
            try await executor.onServer(what) { () async throws(MySQLError) in
                let holder = try await session.run("SELECT IS_USED_LOCK(\(SQLText.literal(lock)))", what)
                guard holder.rows.first?.int(0) == Int64(id) else { return }
                do throws(MySQLError) {
                    try await session.run("KILL \(id)", what)
                } catch {
                    if error.number != 1094 { throw error }
                }
            }
        }
    }

    private func signal(
        _ session: LedgerSession, _ signal: Signal, epoch: UInt64, _ context: Context
    ) async throws(AgentError) {
        var routed = ""
        if case .leadsTo(let uuid) = context.seen.router { routed = uuid }
        let witness = context.witness
        try await executor.onServer("write \(signal)") { () async throws(MySQLError) in
            switch signal {
            case .scan: try await session.scan(seen: routed, witness: witness)
            case .mast: try await session.master(epoch: epoch, seen: routed, witness: witness)
            default: try await session.write(signal, epoch: epoch, seen: routed, witness: witness)
            }
        }
        logger.notice("signal", metadata: ["event": "\(signal)", "epoch": "\(epoch)", "server": "\(session.server)"])
    }
}
