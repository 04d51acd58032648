import Logging
import MySQLWire

/// The commands by which an agent takes part in an operation.
extension CommandRunner {
    func endHolders(_ hindrance: Executor.Hindrance) async throws(AgentError) {
        try await executor.onServer(purpose) { () async throws(MySQLError) in
            try await executor.endHolders(hindrance, ledger)
        }
    }

    func allowLedgerWrites() async throws(AgentError) {
        // Until then nothing was done that would have to be undone.
        try await executor.onServer("announce this agent") { () async throws(MySQLError) in
            try await ledger.takeScanLock()
            openedForLedger = false
            openedForLedger = try await ledger.allowWriting()
        }
    }

    /// The session held the scan lock, and a lock taken twice must be given back twice: with the session it goes for
    /// certain.
    func forbidLedgerWrites() async {
        guard let opened = openedForLedger else { return }
        if opened { await ledger.forbidWriting() }
        ledger.connection.abort()
    }

    func write(_ entry: LedgerEntry) async throws(AgentError) {
        try await executor.onServer("write \(entry.signal)") { () async throws(MySQLError) in
            switch entry.signal {
            case .scan: try await ledger.announce(entry)
            case .mast: try await ledger.write(entry, master: true)
            default: try await ledger.write(entry)
            }
        }
        logger.log(.signal, ["signal": "\(entry.signal)", "epoch": "\(entry.epoch)", "server": "\(ledger.server)"])
    }

    func takeOperationLock() async throws(AgentError) {
        let won = try await executor.onServer("take the operation lock") { () async throws(MySQLError) in
            try await ledger.takeOperationLock()
        }
        if !won { try? await Task.sleep(for: .milliseconds(100)) }
    }

    func requireOperationLock() async throws(AgentError) {
        let holds = try await executor.onServer("become operation master") { () async throws(MySQLError) in
            try await ledger.holdsOperationLock()
        }
        guard holds else { throw AgentError(.refused, "the operation lock is not held any more") }
    }

    func releaseOperationLock() async throws(AgentError) {
        try await executor.onServer("give the operation lock back") { () async throws(MySQLError) in
            try await ledger.giveBackOperationLock()
        }
    }

    func clearLedger() async throws(AgentError) {
        try await executor.onServer("end the operation") { () async throws(MySQLError) in
            try await ledger.dropLedger()
        }
        logger.log(.ledgerCleared, ["server": "\(name(ledger.server))"])
    }

    /// To take rows away needs super_read_only to be off; read_only keeps clients out meanwhile.
    func clearStaleLedger(_ id: ServerID) async throws(AgentError) {
        let session = try session(id)
        let what = "clear \(name(id))"
        try await executor.onServer(what) { () async throws(MySQLError) in
            try await session.run("SET GLOBAL read_only = ON", what)
            try await session.run("SET GLOBAL super_read_only = OFF", what)
            if configuration.mode == .quorum {
                try await session.clearLedger()
            } else {
                try await session.run(LedgerSchema.drop, "drop a stale ledger")
            }
        }
    }

    func closeServer(_ id: ServerID) async throws(AgentError) {
        try await run("SET GLOBAL super_read_only = ON", on: id, "close \(name(id))")
    }

    func requireNotPromoted(since epoch: UInt64) async throws(AgentError) {
        let state = try await ledgerFacts()
        if let promotion = state.ownPromotion, promotion.epoch > epoch {
            throw AgentError(
                .refused, "\(name(ledger.server)) has been promoted meanwhile (epoch \(promotion.epoch)): look again")
        }
    }
}
