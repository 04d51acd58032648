import Logging
import MySQLWire

/// A replica that applies late on purpose (SOURCE_DELAY) has everything, and would apply it in an hour.
extension Executor {
    /// Takes the delay off, so that what has arrived is applied at once.
    ///
    /// CHANGE REPLICATION SOURCE deletes the relay logs, and with them what only they hold, unless the receiver or the
    /// applier runs; and the applier must not run for this option. So the receiver must: it may be connecting in vain to
    /// a source that is dead.
    /// https://dev.mysql.com/doc/refman/8.4/en/change-replication-source-to.html
    func liftDelay(_ connection: MySQLConnection, _ what: String) async throws(MySQLError) {
        let dialect = Dialect(version: connection.serverVersion)
        let deadline = Deadline.after(.seconds(8))
        func run(_ sql: String) async throws(MySQLError) -> ResultSet {
            try await connection.query(sql, purpose: what, deadline: deadline)
        }
        func channel() async throws(MySQLError) -> ReplicationChannel? {
            try await run(dialect.status).rows.first.map(ReplicationChannel.init)
        }
        func refused(_ why: String) -> MySQLError {
            MySQLError(
                .protocolViolation, phase: .reply, server: connection.address.description, purpose: what, message: why)
        }
        guard let before = try await channel(), before.delay > 0 else { return }
        if before.receiver == .off { _ = try await run(dialect.startReceiver) }
        _ = try await run(dialect.stopApplier)
        guard let stopped = try await channel(), stopped.receiver != .off else {
            _ = try await run(dialect.startApplier)
            throw refused("the receiver does not run: without it the relay logs would go with the delay")
        }
        _ = try await run(dialect.withoutDelay)
        _ = try await run(dialect.startApplier)
        guard let after = try await channel(), stopped.retrieved.isSubset(of: after.retrieved)
        else { throw refused("relay logs are gone: what was received and not applied must be fetched again") }
        logger.log(.delayLifted, ["seconds": "\(before.delay)", "why": "\(what)"])
    }
}
