import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// An agent's part in an operation, played by hand.
extension LedgerSession {
    func scan(seen: String) async throws {
        try await takeScanLock()
        _ = try await allowWriting()
        try await announce(LedgerEntry(signal: .scan(host: agent), epoch: 0, routed: seen, witness: Witness()))
    }

    func master(epoch: UInt64, seen: String) async throws(MySQLError) {
        try await write(
            LedgerEntry(signal: .mast(host: agent), epoch: epoch, routed: seen, witness: Witness()), master: true)
    }

    func write(_ signal: Signal, epoch: UInt64, seen: String) async throws {
        try await write(LedgerEntry(signal: signal, epoch: epoch, routed: seen, witness: Witness()))
    }
}

extension Backends {
    /// Carries out what an operation master has decided, over its session.
    func carryOut(
        _ step: Step, _ mode: Configuration.Mode, over session: LedgerSession, epoch: UInt64 = 1,
        heard: UInt64? = nil,
        seen: Observation = Observation(a: .downSoft(""), b: .downSoft(""), router: .noAnswer("")),
        primary: ServerID? = nil
    ) async throws(AgentError) {
        let runner = runner(mode, over: session, epoch: epoch, heard: heard, seen: seen, primary: primary, "\(step)")
        try await runner.run(OperationPlan(step, runner.context))
    }

    /// What carries the commands of one plan out, or of one that is run piece by piece.
    func runner(
        _ mode: Configuration.Mode, over session: LedgerSession, epoch: UInt64 = 1, heard: UInt64? = nil,
        seen: Observation = Observation(a: .downSoft(""), b: .downSoft(""), router: .noAnswer("")),
        primary: ServerID? = nil, _ purpose: String = "test"
    ) -> CommandRunner {
        let executor = executor(mode)
        let rows = [
            LedgerRow(
                id: heard ?? 1, signal: .mast(host: session.agent), agent: session.agent, epoch: epoch,
                session: session.id)
        ]
        var context = OperationContext(
            executor.configuration, seen: seen, ledger: Ledger(server: session.server, rows: rows), nextEpoch: epoch + 1
        )
        context.joined = session.server
        context.primary = primary
        return CommandRunner(executor, ledger: session, context: context, purpose: purpose)
    }

    func operationMaster(on server: MySQLServer) async throws -> LedgerSession {
        let session = try #require(
            try await LedgerSession.open(
                server.connectionOptions(.agent), server: .a, agent: "web1", cluster: "shop",
                deadline: .after(.seconds(10))))
        try await session.scan(seen: "")
        #expect(try await session.takeOperationLock())
        return session
    }
}
