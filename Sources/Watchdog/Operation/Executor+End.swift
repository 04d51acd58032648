import Logging
import MySQLWire

extension Executor {
    /// The end of an operation: the other server takes writes again, as router-led mode needs it (the routers
    /// move first, and must find it open), then the ledger is dropped on both servers.
    func terminate(
        _ seen: Observation, missing: [String], keepClosed: Bool, began: Bool, ledger: LedgerSession
    ) async throws(AgentError) {
        let other = ledger.server.other
        if !missing.isEmpty {
            logger.warning(
                "ended without the confirmation of some followers: see where their routers lead",
                metadata: ["agents": "\(missing.joined(separator: ", "))"])
        }
        if keepClosed {
            logger.warning(
                """
                \(name(other)) stays read-only, for a router may still lead to it. When all routers lead to \
                \(name(ledger.server)): SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF
                """)
        }
        if began, seen.facts(other) != nil {
            let what = "open \(name(other)) as replica"
            try await guarding(other, ledger, what) { session async throws(AgentError) in
                try await onServer(what) { () async throws(MySQLError) in
                    // Dropping what an earlier operation left needs super_read_only off; read_only keeps clients out.
                    try await session.run("SET GLOBAL read_only = ON", what)
                    try await session.run("SET GLOBAL super_read_only = OFF", what)
                    try await session.run(LedgerSchema.drop, "drop a stale ledger")
                    if keepClosed {
                        try await session.run("SET GLOBAL super_read_only = ON", what)
                    } else {
                        try await session.open()
                    }
                }
            }
        }
        try await onServer("end the operation") { () async throws(MySQLError) in try await ledger.dropLedger() }
        logger.notice("ledger dropped", metadata: ["server": "\(name(ledger.server))"])
    }

    /// Undoes what a failover did before promotion, and drops the ledger.
    func abort(_ seen: Observation, _ why: String, kind: OperationKind?, ledger: LedgerSession) async throws(AgentError)
    {
        logger.error("operation aborted", metadata: ["why": "\(why)"])
        let other = ledger.server.other
        if kind != nil, let facts = seen.facts(other), facts.rebuilding == nil {
            let what = "open \(name(other)) again"
            try await guarding(other, ledger, what) { session async throws(AgentError) in
                try await onServer(what) { () async throws(MySQLError) in try await session.open() }
            }
        }
        try await onServer("end the operation") { () async throws(MySQLError) in try await ledger.dropLedger() }
    }
}
