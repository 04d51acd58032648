import Logging
import MySQLWire

extension Executor {
    /// Makes the agents' tables on the open primary, as statements that replicate. What is there already stays as it is.
    /// While somebody holds either server for a backup it is left for later: the replica's applier would wait with them.
    func makeTables(_ primary: ServerID) async throws(AgentError) {
        let what = "make the agents' tables on \(name(primary))"
        for id in ServerID.allCases {
            try await withSession(id, what) { session async throws(AgentError) in
                let backups = try await onServer(what) { () async throws(MySQLError) in
                    try await Self.holders(.backup, session.connection, deadline: .after(.seconds(4)))
                }
                guard backups.isEmpty else {
                    throw AgentError(.refused, "\(what): \(name(id)) is held by \(backups[0].text)")
                }
            }
        }
        try await withSession(primary, what) { session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in
                try await session.run("SET SESSION sql_log_bin = 1, lock_wait_timeout = 2", what)
                for statement in LedgerSchema.standing { try await session.run(statement, what) }
            }
        }
        logger.log(.tablesMade, ["server": "\(name(primary))"])
    }
}
