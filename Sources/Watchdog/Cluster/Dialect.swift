import MySQLWire

/// The words of replication statements, which changed with the versions (research and manual: CHANGE REPLICATION
/// SOURCE since 8.0.23, START REPLICA since 8.0.22, RESET MASTER gone in 8.4).
struct Dialect: Sendable {
    let version: ServerVersion

    private var replica: String { version.isMySQL(atLeast: 8, 0, 22) ? "REPLICA" : "SLAVE" }

    var status: String { "SHOW \(replica) STATUS" }
    var start: String { "START \(replica)" }
    var stop: String { "STOP \(replica)" }
    var startReceiver: String { "START \(replica) IO_THREAD" }
    var startApplier: String { "START \(replica) SQL_THREAD" }
    var stopApplier: String { "STOP \(replica) SQL_THREAD" }
    var withoutDelay: String {
        version.isMySQL(atLeast: 8, 0, 23)
            ? "CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 0" : "CHANGE MASTER TO MASTER_DELAY = 0"
    }
    var stopReceiver: String { "STOP \(replica) IO_THREAD" }
    /// Ends replication for good. Only the channel: never RESET MASTER on a server that survives.
    var resetAll: String { "RESET \(replica) ALL" }

    /// Points the server to its source by GTID auto-position.
    func changeSource(
        to source: ServerAddress, user: String, password: Secret, link: ChannelLink
    ) -> String {
        let modern = version.isMySQL(atLeast: 8, 0, 23)
        let word = modern ? "SOURCE" : "MASTER"
        var parts: [String] = []
        if case .tcp(let host, let port) = source {
            parts += ["\(word)_HOST=\(SQLText.literal(host))", "\(word)_PORT=\(port)"]
        }
        parts += [
            "\(word)_USER=\(SQLText.literal(user))", "\(word)_PASSWORD=\(SQLText.literal(password.reveal()))",
            "\(word)_AUTO_POSITION=1", "\(word)_CONNECT_RETRY=2", "\(word)_RETRY_COUNT=0",
            "\(word)_HEARTBEAT_PERIOD=1",
        ]
        parts += link.options(version)
        // caching_sha2_password without TLS needs the source's RSA key when its cache is cold, as after a restart.
        if version.isMySQL(atLeast: 8, 0, 4) {
            parts.append(modern ? "GET_SOURCE_PUBLIC_KEY=1" : "GET_MASTER_PUBLIC_KEY=1")
        }
        let verb = modern ? "CHANGE REPLICATION SOURCE TO" : "CHANGE MASTER TO"
        return "\(verb) \(parts.joined(separator: ", "))"
    }
}
