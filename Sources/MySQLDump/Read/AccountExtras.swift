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
                SELECT User, Host, plugin, HEX(authentication_string), \
                HEX(JSON_UNQUOTE(JSON_EXTRACT(User_attributes, '$.additional_password'))) FROM mysql.user WHERE \(hasSecond)
                """, "read the second passwords")
            for row in found.rows {
                guard let account = account(row), let plugin = row.string(2), let current = row.string(3),
                    let second = row.string(4), !second.isEmpty
                else { continue }
                extras.seconds[account] = Second(plugin: plugin, current: current, second: second)
            }
        }
        for row in try await session.run(
            "SELECT User, Host, password_lifetime FROM mysql.user WHERE password_expired = 'Y'",
            "read the lifetime of expired passwords"
        ).rows {
            if let account = account(row) { extras.lifetimes[account] = .some(row.int(2)) }
        }
        for row in try await session.run(
            "SELECT DISTINCT User, Host FROM mysql.password_history", "look for password histories"
        ).rows {
            if let account = account(row) { extras.histories.insert(account) }
        }
        return extras
    }

    private static func account(_ row: Row) -> Accounts.Account? {
        guard let user = row.string(0), let host = row.string(1) else { return nil }
        return Accounts.Account(user: user, host: host)
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
            "SELECT User, Host FROM mysql.user WHERE \(hasSecond)", "look for second passwords on the target")
        for row in found.rows {
            guard let account = account(row) else { continue }
            try await session.run(
                "ALTER USER \(account.quoted) DISCARD OLD PASSWORD", "discard the second password of \(account.quoted)")
        }
    }
}
