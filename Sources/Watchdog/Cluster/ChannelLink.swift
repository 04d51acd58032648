import MySQLWire

/// By which means a channel reaches its source, apart from whose it is and where it leads: what a server that is brought
/// back takes over from the channel that was there before.
/// https://dev.mysql.com/doc/refman/8.4/en/performance-schema-replication-connection-configuration-table.html
struct ChannelLink: Sendable, Hashable {
    /// By its column in performance_schema.replication_connection_configuration.
    enum Setting: String, Sendable, CaseIterable {
        case tls = "SSL_ALLOWED"
        case ca = "SSL_CA_FILE"
        case caPath = "SSL_CA_PATH"
        case certificate = "SSL_CERTIFICATE"
        case key = "SSL_KEY"
        case cipher = "SSL_CIPHER"
        case verifies = "SSL_VERIFY_SERVER_CERTIFICATE"
        case revoked = "SSL_CRL_FILE"
        case revokedPath = "SSL_CRL_PATH"
        case tlsVersion = "TLS_VERSION"
        case ciphersuites = "TLS_CIPHERSUITES"
        case publicKey = "PUBLIC_KEY"
        case compression = "COMPRESSION_ALGORITHM"
        case zstdLevel = "ZSTD_COMPRESSION_LEVEL"
        case network = "NETWORK_NAMESPACE"
    }

    private(set) var values: [Setting: String] = [:]

    init() {}

    static let sql = """
        SELECT * FROM performance_schema.replication_connection_configuration
        WHERE host <> '' AND channel_name NOT IN ('group_replication_applier', 'group_replication_recovery') LIMIT 1
        """

    /// Reads a row of the table; columns that the version does not have are left out.
    init(_ row: Row) {
        for setting in Setting.allCases {
            if let value = row.string(setting.rawValue) { set(setting, value) }
        }
    }

    /// Reads what `entries` wrote.
    init(entries: [(name: String, value: String)]) {
        for (name, value) in entries where name.hasPrefix(Self.prefix) {
            if let setting = Setting(rawValue: String(name.dropFirst(Self.prefix.count))) {
                set(setting, value)
            }
        }
    }

    /// Before the names of its rows in repl_watchdog.control.
    static let prefix = "channel:"
    /// As wide as the column `value` there.
    private static let widest = 255

    var entries: [(name: String, value: String)] {
        Setting.allCases.compactMap { setting in
            values[setting].map { (Self.prefix + setting.rawValue, $0) }
        }
    }

    private mutating func set(_ setting: Setting, _ value: String) {
        guard !value.isEmpty, value.utf8.count <= Self.widest else { return }
        if setting == .zstdLevel, !(1...22).contains(Int(value) ?? 0) { return }
        values[setting] = value
    }

    var usesTLS: Bool { values[.tls] == "YES" }

    /// Never weaker than the agents' own sessions: those that prefer TLS have it wherever the source does.
    mutating func strengthen(to tls: TLSMode, caFile: String?, sourceHasTLS: Bool) {
        switch tls {
        case .disabled: return
        case .preferred: if !sourceHasTLS { return }
        case .required: break
        case .verifyCA, .verifyIdentity:
            if let caFile { values[.ca] = caFile }
            if tls == .verifyIdentity { values[.verifies] = "YES" }
        }
        values[.tls] = "YES"
    }

    /// The options of CHANGE REPLICATION SOURCE TO (or CHANGE MASTER TO).
    func options(_ version: ServerVersion) -> [String] {
        let word = version.isMySQL(atLeast: 8, 0, 23) ? "SOURCE" : "MASTER"
        func text(_ setting: Setting, _ option: String) -> String? {
            values[setting].map { "\(option)=\(SQLText.literal($0))" }
        }
        var parts = ["\(word)_SSL=\(usesTLS ? 1 : 0)"]
        if usesTLS {
            parts += [
                text(.ca, "\(word)_SSL_CA"), text(.caPath, "\(word)_SSL_CAPATH"),
                text(.certificate, "\(word)_SSL_CERT"), text(.key, "\(word)_SSL_KEY"),
                text(.cipher, "\(word)_SSL_CIPHER"), text(.revoked, "\(word)_SSL_CRL"),
                text(.revokedPath, "\(word)_SSL_CRLPATH"), text(.tlsVersion, "\(word)_TLS_VERSION"),
            ].compactMap { $0 }
            if values[.verifies] == "YES" { parts.append("\(word)_SSL_VERIFY_SERVER_CERT=1") }
            if version.isMySQL(atLeast: 8, 0, 19) {
                parts += [text(.ciphersuites, "\(word)_TLS_CIPHERSUITES")].compactMap { $0 }
            }
        }
        if version.isMySQL(atLeast: 8, 0, 4) {
            parts += [text(.publicKey, "\(word)_PUBLIC_KEY_PATH")].compactMap { $0 }
        }
        if version.isMySQL(atLeast: 8, 0, 18) {
            parts += [text(.compression, "\(word)_COMPRESSION_ALGORITHMS")].compactMap { $0 }
            if let level = values[.zstdLevel].flatMap({ Int($0) }) {
                parts.append("\(word)_ZSTD_COMPRESSION_LEVEL=\(level)")
            }
        }
        if version.isMySQL(atLeast: 8, 0, 22) {
            parts += [text(.network, "NETWORK_NAMESPACE")].compactMap { $0 }
        }
        return parts
    }
}
