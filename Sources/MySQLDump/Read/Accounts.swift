import MySQLWire

/// Accounts as statements: never the rows of mysql.*, whose layout belongs to the server's version.
struct Accounts {
    struct Account: Sendable, Hashable {
        var user: String
        var host: String

        var quoted: String { "\(SQLText.literal(user))@\(SQLText.literal(host))" }
        /// The server's own: mysql.sys, mysql.session, mysql.infoschema.
        var isReserved: Bool {
            ["mysql.sys", "mysql.session", "mysql.infoschema"].contains(user) && host == "localhost"
        }
    }

    /// Not the snapshot's session: in 8.0.21 to 8.0.23 SHOW CREATE USER ends the transaction.
    let session: Session
    let sink: any ItemSink

    static func list(_ session: Session) async throws(DumpError) -> [Account] {
        let result = try await session.run(
            "SELECT User AS user, Host AS host FROM mysql.user ORDER BY User, Host", "list the accounts")
        return result.rows.compactMap { Account($0) }.filter { !$0.isReserved }
    }

    /// Creates the accounts and makes those that exist the same. Grants come later, when all that they name is there.
    func create(
        _ accounts: [Account], warn: (String) -> Void, omit: (String) -> Void
    ) async throws(DumpError) {
        let extras = try await AccountExtras.read(session)
        for account in accounts {
            let result = try await session.run(
                "SHOW CREATE USER \(account.quoted)", "read the definition of account \(account.quoted)")
            guard let create = result.rows.first?.bytes(0), let properties = DefinitionText.accountProperties(create)
            else {
                throw DumpError(
                    .unsupported, "\(session.server): the definition of account \(account.quoted) cannot be read")
            }
            try await sink.send(.statement(Array("CREATE USER IF NOT EXISTS \(account.quoted) ".utf8) + properties))
            let words = DefinitionText.words(properties).map(\.word)
            if words.count(where: { $0 == "IDENTIFIED" }) > 1 {
                warn("account \(account.quoted) has more than one factor: one that already exists is not changed")
            } else {
                for statement in extras.before(account) { try await sink.send(.statement(statement)) }
                try await sink.send(.statement(Array("ALTER USER \(account.quoted) ".utf8) + properties))
                for statement in extras.after(account) { try await sink.send(.statement(statement)) }
            }
        }
        let histories = accounts.filter { extras.histories.contains($0) }.map(\.quoted)
        if !histories.isEmpty {
            omit(
                "the password history of \(histories.count) accounts is not carried: "
                    + histories.prefix(10).joined(separator: ", "))
        }
    }

    /// - Parameter tables: every table and view that the dump holds, quoted; a grant on another one would fail.
    func grant(_ accounts: [Account], tables: Set<String>, warn: (String) -> Void) async throws(DumpError) {
        for account in accounts {
            try await sink.send(.directive(.account(user: account.user, host: account.host)))
            let result = try await session.run(
                "SHOW GRANTS FOR \(account.quoted)", "read the grants of account \(account.quoted)")
            for row in result.rows {
                guard let grant = row.bytes(0) else { continue }
                if let (schema, table) = DefinitionText.grantedTable(grant),
                    !Catalog.systemSchemas.contains(schema),
                    !tables.contains("\(SQLText.name(schema)).\(SQLText.name(table))")
                {
                    warn(
                        "a grant of \(account.quoted) on `\(schema)`.`\(table)`, which is not in the dump, was left out"
                    )
                    continue
                }
                try await sink.send(.statement(grant))
            }
        }
        let roles = try await session.run(
            """
            SELECT USER AS user, HOST AS host, DEFAULT_ROLE_USER AS role_user, DEFAULT_ROLE_HOST AS role_host \
            FROM mysql.default_roles \
            ORDER BY USER, HOST, DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST
            """, "list the default roles")
        var defaults: [Account: [String]] = [:]
        for row in roles.rows {
            guard let account = Account(row), let role = row.string("role_user"),
                let roleHost = row.string("role_host")
            else { continue }
            defaults[account, default: []].append(Account(user: role, host: roleHost).quoted)
        }
        for account in accounts {
            guard let roles = defaults[account] else { continue }
            try await sink.send(
                .statement("ALTER USER \(account.quoted) DEFAULT ROLE \(roles.joined(separator: ", "))"))
        }
    }
}

extension Accounts.Account {
    /// From the columns `user` and `host`.
    init?(_ row: Row) {
        guard let user = row.string("user"), let host = row.string("host") else { return nil }
        self.init(user: user, host: host)
    }
}
