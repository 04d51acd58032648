import MySQLWire

/// What the dumping account must be allowed to see. Without a privilege a server does not refuse: it lists fewer
/// triggers, events and tables, and a dump would lose them without a word.
enum Privileges {
    static let needed = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"]

    static func assertSeesEverything(_ session: Session) async throws(DumpError) {
        let role = try await session.value("SELECT CURRENT_ROLE()", "read the session's roles") ?? "NONE"
        let grants = try await session.run(
            role == "NONE" ? "SHOW GRANTS" : "SHOW GRANTS FOR CURRENT_USER() USING \(role)",
            "read the dumping account's own grants")
        let held = Self.global(grants.rows.compactMap { $0.string(0) })
        let missing = needed.filter { !held.contains($0) }
        guard held.contains("ALL PRIVILEGES") || missing.isEmpty else {
            throw DumpError(
                .unsupported,
                "\(session.server): the account may not see everything, so its dump would lack what it does not see; "
                    + "grant \(missing.joined(separator: ", ")) on *.* (a dump needs \(needed.joined(separator: ", ")), "
                    + "BACKUP_ADMIN, XA_RECOVER_ADMIN, PROCESS and LOCK TABLES)")
        }
    }

    /// The privileges on *.* in what SHOW GRANTS says.
    static func global(_ grants: [String]) -> Set<String> {
        var held: Set<String> = []
        for grant in grants {
            guard grant.hasPrefix("GRANT "), let on = grant.firstRange(of: " ON *.* TO ") else { continue }
            for privilege in grant[..<on.lowerBound].dropFirst(6).split(separator: ",") {
                held.insert(String(privilege.drop { $0 == " " }))
            }
        }
        return held
    }
}
