import MySQLWire

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
        let runner = CommandRunner(executor, ledger: session, context: context, purpose: "\(step)")
        try await runner.run(OperationPlan(step, context))
    }
}
