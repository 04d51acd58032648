import MySQLWire

/// What an operator can do about a server that does not answer as it should.
enum Remedy {
    /// What the source has still is sent again by its GTID. What the relay logs alone hold, of a source that has lost it or
    /// is gone, would be thrown away with them.
    static let damagedRelayLogs =
        "the relay logs are damaged: while the source lives, STOP REPLICA; RESET REPLICA; START REPLICA; there fetches "
        + "again what they held; without the source keep them"

    /// Of a server that takes connections and does not greet.
    static let noGreeting =
        "mysqld or its host stands still; or an account statement (CREATE USER, ALTER USER, GRANT) that waits for its replica "
        + "holds up every login: agents that are connected let it go after some seconds, and a session that is still open can: "
        + "SET GLOBAL rpl_semi_sync_source_enabled = OFF"

    static func of(_ error: MySQLError) -> String? {
        if let number = error.number {
            switch number {
            case 1040, 1203, 1226: return "raise max_connections, or find out who holds the connections"
            case 1044, 1142, 1143, 1227, 1370: return "grant the agent's account what it needs (README, Grants)"
            case 1045, 1698:
                return
                    "correct [credentials] user and password (its file is read again at every refusal), or the account "
                    + "on the server"
            case 1053, 3032, 3168: return "wait until the server has started or stopped"
            case 1129: return "run FLUSH HOSTS (TRUNCATE performance_schema.host_cache) on the server"
            case 1130: return "let the agent's account connect from this host ('user'@'host')"
            case 1290: return "the server is read-only: find out who closed it"
            case 1524: return "give the account a password plugin that the server has (caching_sha2_password)"
            case 3118, 3955: return "unlock the agent's account"
            default: return nil
            }
        }
        switch error.code {
        case .resolve: return "see whether this host can resolve the name, or configure an address"
        case .refused: return "see whether mysqld runs there and listens on this port"
        case .unreachable: return "see whether the network to this server is up"
        case .timeout where error.phase == .greeting:
            return noGreeting
        case .timeout, .closed: return "see whether the host is up, and what listens on this port"
        case .tls: return "correct [credentials] tls and ca_file, or the server's certificate"
        case .authentication: return "use tls = \"required\", or an account with caching_sha2_password"
        case .protocolViolation: return "see that a MySQL server, and not something else, listens on this port"
        default: return nil
        }
    }

    /// The error in words, with what can be done about it, in short: it stands in the middle of other things.
    static func explain(_ error: MySQLError) -> String {
        if error.code == .timeout, error.phase == .greeting {
            return "\(error): it stands still, or something holds up every login (see check)"
        }
        return of(error).map { "\(error): \($0)" } ?? "\(error)"
    }
}
