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
            logger.log(.ledgerSessionLost, ["error": "\(error)"])
            session.connection.abort()
            former = (session.server, session.id)
            self.session = nil
        }
    }

    /// Carries a step out by its plan.
    func perform(_ step: Step, _ context: OperationContext) async throws(AgentError) {
        var context = context
        context.joined = session?.server
        var plan = OperationPlan(step, context)
        if case .join(let server)? = plan.commands.first {
            try await join(server)
            plan.commands.removeFirst()
        }
        let leaves = plan.commands.last == .leave
        if leaves { plan.commands.removeLast() }
        guard !plan.commands.isEmpty else { return }
        guard let session else { throw AgentError(.refused, "the operation lock is not held any more") }
        report(step)
        let runner = CommandRunner(executor, ledger: session, context: context, purpose: purpose(step))
        if plan.isLong {
            let plan = plan
            try await executor.keeping([session.connection]) { () async throws(AgentError) in try await runner.run(plan)
            }
        } else {
            try await runner.run(plan)
        }
        if leaves { await leave() }
    }

    private func report(_ step: Step) {
        switch step {
        case .abort(let why):
            logger.log(.operationAborted, ["why": "\(why)", "reason": "\(why.code.rawValue)"])
        case .rebuild(let replica, _, let why):
            logger.log(
                .rebuild,
                [
                    "server": "\(executor.name(replica))", "why": "\(why.text)", "reason": "\(why.code.rawValue)",
                ])
            reportMethod("no: \(why.text)", replica)
        case .resume(let replica, let primary):
            let primary = executor.name(primary)
            reportMethod("yes: \(primary) has all of its transactions, and all that it lacks", replica)
        case .terminate(let missing, let keepClosed):
            if !missing.isEmpty {
                logger.log(.unconfirmed, ["agents": "\(missing.joined(separator: ", "))"])
            }
            if keepClosed, configuration.mode == .routerLed, let server = session?.server {
                let now = executor.name(server)
                logger.log(
                    .replicaStaysClosed,
                    [
                        "server": "\(executor.name(server.other))",
                        "remedy": "once all routers lead to \(now): SET GLOBAL super_read_only = OFF, read_only = OFF",
                    ])
            }
        default: break
        }
    }

    private func reportMethod(_ used: String, _ replica: ServerID) {
        logger.log(.rebuildMethod, ["server": "\(executor.name(replica))", "method": "gtid", "used": "\(used)"])
    }

    /// What a step is for, as errors say it.
    private func purpose(_ step: Step) -> String {
        func name(_ id: ServerID) -> String { executor.name(id) }
        return switch step {
        case .fence(let id): "stop writes on \(name(id))"
        case .stopReceiver(let id): "stop the receiver of \(name(id))"
        case .promote(let id, _), .promoteWithoutSource(let id, _): "promote \(name(id))"
        case .open(let id): "open \(name(id)) as primary"
        case .resume(let replica, let primary): "replicate on \(name(replica)) from \(name(primary))"
        case .rebuild(let replica, let primary, _): "rebuild \(name(replica)) from \(name(primary))"
        case .terminate, .abort: "end the operation"
        case .scan: "announce this agent"
        default: "\(step)"
        }
    }

    /// This agent's session on a server; opened if there is none.
    private func join(_ server: ServerID) async throws(AgentError) {
        if let session, session.server == server, session.isOpen { return }
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
    }

    /// Ends what this agent has left running on a server, and only that.
    private func endFormer(_ id: UInt64, on server: ServerID) async throws(AgentError) {
        let what = "end this agent's former session on \(executor.name(server))"
        let lock = LedgerSchema.agentLock(configuration.cluster, configuration.agent.name)
        try await executor.withSession(server, what) { session async throws(AgentError) in
            try await executor.onServer(what) { () async throws(MySQLError) in
                let holder = try await session.run("SELECT IS_USED_LOCK(\(SQLText.literal(lock))) AS holder", what)
                guard holder.rows.first?.int("holder") == Int64(id) else { return }
                do throws(MySQLError) {
                    try await session.run("KILL \(id)", what)
                } catch {
                    if error.number != 1094 { throw error }
                }
            }
        }
    }
}
