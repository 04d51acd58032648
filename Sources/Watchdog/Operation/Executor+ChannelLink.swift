import MySQLWire

/// The settings of a channel outlive the channel: a promotion writes those of the new primary's own one down beside its
/// record, for the server that will replicate from it.
extension Executor {
    /// The link of the channel that is there; nil without one.
    func currentLink(_ connection: MySQLConnection, _ what: String) async throws(MySQLError) -> ChannelLink? {
        try await connection.query(ChannelLink.sql, purpose: what, deadline: .after(.seconds(8)))
            .rows.first.map { ChannelLink($0) }
    }

    /// What a channel that is set up anew goes by.
    /// - Parameter former: the link of the channel that it replaces on the same server, which comes before what is on
    ///   record with the primary.
    func newLink(to primary: ServerID, former: ChannelLink?, _ what: String) async throws(AgentError)
        -> ChannelLink
    {
        let (recorded, hasTLS) = try await withSession(primary, what) {
            session async throws(AgentError) in
            try await onServer(what) { () async throws(MySQLError) in
                let rows = try await ServerProbe.table(
                    session.connection,
                    "SELECT name, value FROM repl_watchdog.control WHERE name LIKE '\(ChannelLink.prefix)%'",
                    "read the settings of the former channel", .after(.seconds(8)))
                let entries = (rows ?? []).map { (name: $0.string("name") ?? "", value: $0.string("value") ?? "") }
                // Empty where the server has no certificate that it could show.
                let certificate = try await session.run(
                    """
                    SELECT variable_value AS not_after FROM performance_schema.global_status
                    WHERE variable_name = 'Ssl_server_not_after'
                    """, "see whether the source has TLS"
                ).rows.first?.string("not_after")
                return (ChannelLink(entries: entries), certificate?.isEmpty == false)
            }
        }
        var link = former ?? recorded
        link.strengthen(
            to: configuration.credentials.tls, caFile: configuration.credentials.caFile,
            sourceHasTLS: hasTLS)
        return link
    }

    /// The statements that write a link down, in place of an earlier one.
    static func note(_ link: ChannelLink) -> [String] {
        let rows = link.entries.map { "(\(SQLText.literal($0.name)), \(SQLText.literal($0.value)))" }
        return ["DELETE FROM repl_watchdog.control WHERE name LIKE '\(ChannelLink.prefix)%'"]
            + (rows.isEmpty
                ? []
                : ["INSERT INTO repl_watchdog.control (name, value) VALUES \(rows.joined(separator: ", "))"])
    }
}
