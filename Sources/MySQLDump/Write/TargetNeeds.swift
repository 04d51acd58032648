import MySQLWire

/// Asks a server whether it can take a dump, before anything is touched.
struct TargetNeeds {
    let session: Session

    /// - Throws: what is missing, all of it.
    func assertMet(_ needs: [ImportNeed], warn: (String) -> Void) async throws(DumpError) {
        var missing: [String] = []
        for kind in ImportNeed.Kind.allCases {
            let wanted = needs.filter { $0.kind == kind }
            guard !wanted.isEmpty else { continue }
            missing += try await unmet(kind, wanted, warn: warn)
        }
        guard !missing.isEmpty else { return }
        throw DumpError(
            .unsupported,
            "\(session.server) cannot take this dump; nothing was touched: "
                + missing.prefix(20).joined(separator: "; "))
    }

    private func unmet(
        _ kind: ImportNeed.Kind, _ wanted: [ImportNeed], warn: (String) -> Void
    ) async throws(DumpError) -> [String] {
        switch kind {
        case .obstacle: return wanted.map(\.value)
        case .capitals:
            guard try await one("SELECT @@GLOBAL.lower_case_table_names") != "0" else { return [] }
            return wanted.map { "lower_case_table_names is not 0 there, and the dump has names like \($0.value)" }
        case .caseless:
            if try await one("SELECT @@GLOBAL.lower_case_table_names") == "0" {
                warn(
                    "\(session.server) has lower_case_table_names = 0, the source has 1: routines and views that write a "
                        + "name with other capitals will not find it")
            }
            return []
        case .pageSize:
            let here = try await one("SELECT @@GLOBAL.innodb_page_size").flatMap { UInt64($0) } ?? 0
            return wanted.filter { UInt64($0.value) ?? 0 > here }.map {
                "innodb_page_size is \(here) there, the source has \($0.value): rows and keys may not fit"
            }
        case .engine:
            let disabled = Set(
                (try await one("SELECT @@GLOBAL.disabled_storage_engines") ?? "").lowercased().split(separator: ",")
                    .map { String($0.filter { $0 != " " }) })
            let here = try await all(
                "SELECT ENGINE AS name FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT')"
            )
            .subtracting(disabled)
            return absent(wanted, here) { "it has no engine \($0.value) (table \($0.by))" }
        case .plugin:
            let here = try await all(
                "SELECT PLUGIN_NAME AS name FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE'")
            return absent(wanted, here) { "it has no authentication plugin \($0.value) (account \($0.by))" }
        case .collation:
            let here = try await all("SELECT COLLATION_NAME AS name FROM information_schema.COLLATIONS")
            return absent(wanted, here) { "it has no collation \($0.value) (schema \($0.by))" }
        case .tablespace:
            let here = try await all(
                "SELECT NAME AS name FROM information_schema.INNODB_TABLESPACES WHERE SPACE_TYPE = 'General'")
            return absent(wanted, here) {
                "it has no tablespace \($0.value) (table \($0.by)): create it there (CREATE TABLESPACE)"
            }
        }
    }

    private func absent(
        _ wanted: [ImportNeed], _ here: Set<String>, _ words: (ImportNeed) -> String
    ) -> [String] {
        wanted.filter { !here.contains($0.value.lowercased()) }.map(words)
    }

    private func one(_ sql: String) async throws(DumpError) -> String? {
        try await session.value(sql, "see whether the target can take the dump")
    }

    /// The column `name`, in small letters.
    private func all(_ sql: String) async throws(DumpError) -> Set<String> {
        Set(
            try await session.run(sql, "see whether the target can take the dump").rows.compactMap {
                $0.string("name")?.lowercased()
            })
    }
}
