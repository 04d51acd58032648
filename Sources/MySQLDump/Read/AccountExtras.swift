import MySQLWire

/// What SHOW CREATE USER does not say of an account.
struct AccountExtras: Sendable {
    private struct Second: Sendable {
        var plugin: String
        /// In hexadecimal digits.
        var current: String
        var second: String
    }
    private var seconds: [Accounts.Account: Second] = [:]
    /// The lifetime of a password that is expired, in days; nil for the server's default.
    private var lifetimes: [Accounts.Account: Int64?] = [:]
    private(set) var histories: Set<Accounts.Account> = []

    /// Selects accounts that have a second password (ALTER USER ... RETAIN CURRENT PASSWORD).
    private static let hasSecond = "JSON_EXTRACT(User_attributes, '$.additional_password') IS NOT NULL"

    static func read(_ session: Session) async throws(DumpError) -> AccountExtras {
        var extras = AccountExtras()
        if session.version.isMySQL(atLeast: 8, 0, 14) {
            let found = try await session.run(
                """
                SELECT User AS user, Host AS host, plugin AS plugin, HEX(authentication_string) AS current_hash, \
                HEX(JSON_UNQUOTE(JSON_EXTRACT(User_attributes, '$.additional_password'))) AS second_hash \
                FROM mysql.user WHERE \(hasSecond)
                """, "read the second passwords")
            for row in found.rows {
                guard let account = Accounts.Account(row), let plugin = row.string("plugin"),
                    let current = row.string("current_hash"), let second = row.string("second_hash"), !second.isEmpty
                else { continue }
                extras.seconds[account] = Second(plugin: plugin, current: current, second: second)
            }
        }
        for row in try await session.run(
            """
            SELECT User AS user, Host AS host, password_lifetime AS lifetime FROM mysql.user \
            WHERE password_expired = 'Y'
            """,
            "read the lifetime of expired passwords"
        ).rows {
            if let account = Accounts.Account(row) { extras.lifetimes[account] = .some(row.int("lifetime")) }
        }
        for row in try await session.run(
            "SELECT DISTINCT User AS user, Host AS host FROM mysql.password_history",
            "look for password histories"
        ).rows {
            if let account = Accounts.Account(row) { extras.histories.insert(account) }
        }
        return extras
    }

    /// The older password becomes the second one when the newer is set.
    func before(_ account: Accounts.Account) -> [String] {
        guard let second = seconds[account] else { return [] }
        let plugin = SQLText.literal(second.plugin)
        return [
            "ALTER USER \(account.quoted) IDENTIFIED WITH \(plugin) AS 0x\(second.second)",
            "ALTER USER \(account.quoted) IDENTIFIED WITH \(plugin) AS 0x\(second.current) RETAIN CURRENT PASSWORD",
        ]
    }

    func after(_ account: Accounts.Account) -> [String] {
        guard let lifetime = lifetimes[account] else { return [] }
        let words =
            switch lifetime {
            case nil: "DEFAULT"
            case 0?: "NEVER"
            case let days?: "INTERVAL \(days) DAY"
            }
        return [
            "ALTER USER \(account.quoted) PASSWORD EXPIRE \(words)", "ALTER USER \(account.quoted) PASSWORD EXPIRE",
        ]
    }

    /// Takes the second passwords of a target's accounts away, before they become the source's.
    static func discardSecond(_ session: Session) async throws(DumpError) {
        guard session.version.isMySQL(atLeast: 8, 0, 14) else { return }
        let found = try await session.run(
            "SELECT User AS user, Host AS host FROM mysql.user WHERE \(hasSecond)",
            "look for second passwords on the target")
        for row in found.rows {
            guard let account = Accounts.Account(row) else { continue }
            try await session.run(
                "ALTER USER \(account.quoted) DISCARD OLD PASSWORD", "discard the second password of \(account.quoted)")
        }
    }
}
