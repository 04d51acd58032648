/// What stands in `FILE.json` beside a dump: what it is of, what it holds, where each table lies in it, and the SHA-256
/// of its bytes.
struct DumpManifest {
    /// Something that begins a gzip member: a table, or with empty names what is none.
    struct Section: Equatable {
        var schema: String
        var table: String
        var firstMember: Int
    }

    static let format = 1
    /// Of a manifest that is read: about 30 bytes for each MiB of text, so this is a dump of 8 TB.
    static let longest = 256 << 20

    var summary: DumpSummary
    var sections: [Section]
    var members: [MemberWriter.Member]
    var sha256: [UInt8]
    var file: String
    var statements: UInt64
    var bytes: UInt64
    var crc32: UInt32

    static func path(besides dump: String) -> String { dump + ".json" }

    func write(besides dump: String) throws(DumpError) {
        try FileSystem.write(Array(text.utf8), to: Self.path(besides: dump))
    }

    private var fileBytes: UInt64 { members.last.map { $0.offset + UInt64($0.length) } ?? 0 }

    var text: String {
        var spans: [String: Range<Int>] = [:]
        for (index, section) in sections.enumerated() where !section.table.isEmpty {
            let end = sections.indices.contains(index + 1) ? sections[index + 1].firstMember : members.count
            spans[key(section.schema, section.table)] = section.firstMember..<end
        }
        let tables = summary.facts.map { fact -> String in
            let span = spans[key(fact.schema, fact.name)] ?? 0..<0
            let own = members[span]
            let fields: [(String, String)] = [
                ("schema", quoted(fact.schema)), ("table", quoted(fact.name)), ("rows", "\(fact.rows)"),
                ("checksum", fact.checksum.map { quoted($0) } ?? "null"),
                ("text_bytes", "\(own.reduce(0) { $0 + UInt64($1.text) })"),
                ("offset", "\(own.first?.offset ?? 0)"), ("length", "\(own.reduce(0) { $0 + UInt64($1.length) })"),
                // Offset in the file, bytes there, bytes of text.
                ("members", "[" + own.map { "[\($0.offset),\($0.length),\($0.text)]" }.joined(separator: ",") + "]"),
            ]
            return "    " + object(fields)
        }
        let header = members[..<min(members.count, sections.first?.firstMember ?? 0)]
        let fields: [(String, String)] = [
            ("format", "\(Self.format)"), ("tool", quoted(MySQLDump.tool)),
            ("server_version", quoted(summary.version)), ("server_uuid", quoted(summary.uuid)),
            ("gtid_executed", quoted(summary.report.gtidExecuted)), ("file", quoted(file)),
            ("file_bytes", "\(fileBytes)"), ("sha256", quoted(hex(sha256))),
            ("rows", "\(summary.report.rows)"), ("statements", "\(statements)"), ("text_bytes", "\(bytes)"),
            ("text_crc32", "\(crc32)"),
            // Session settings: what must stand before a table that is cut out.
            ("header_length", "\(header.reduce(0) { $0 + UInt64($1.length) })"),
            ("warnings", "[" + summary.report.warnings.map { quoted($0) }.joined(separator: ",") + "]"),
        ]
        return "{\n" + fields.map { "  \(quoted($0.0)): \($0.1),\n" }.joined() + "  \"tables\": [\n"
            + tables.joined(separator: ",\n") + "\n  ]\n}\n"
    }

    /// With a length, so that no two pairs read alike.
    private func key(_ schema: String, _ table: String) -> String { "\(schema.utf8.count):\(schema)\(table)" }
    private func object(_ fields: [(String, String)]) -> String {
        "{" + fields.map { "\(quoted($0.0)): \($0.1)" }.joined(separator: ", ") + "}"
    }
    private func quoted(_ text: String) -> String { JSON.quote(text) }
    private func hex(_ bytes: [UInt8]) -> String { bytes.map { Hex.digits($0) }.joined() }
}

/// What `verify` and `import` compare a file with.
struct ManifestClaims: Equatable {
    var sha256: String
    var fileBytes: UInt64
    var gtidExecuted: String
    var bytes: UInt64
    var crc32: UInt32
    var tables: [TableClaim]

    struct TableClaim: Equatable {
        var schema: String
        var name: String
        var rows: UInt64
        var checksum: String?
    }

    /// - Returns: nil if the dump has no manifest.
    static func read(besides dump: String) throws(DumpError) -> ManifestClaims? {
        let path = DumpManifest.path(besides: dump)
        guard let bytes = try FileSystem.read(path, limit: DumpManifest.longest) else { return nil }
        guard let document = JSON.parse(bytes), document["format"]?.unsigned == UInt64(DumpManifest.format),
            let claims = ManifestClaims(document)
        else {
            throw DumpError(
                .incomplete(path: path),
                "\(path) is no manifest of a dump that this version reads; take it away if \(dump) is known to be whole"
            )
        }
        return claims
    }

    private init?(_ document: JSON) {
        guard let sha256 = document["sha256"]?.string, sha256.utf8.count == 64,
            let fileBytes = document["file_bytes"]?.unsigned, let gtid = document["gtid_executed"]?.string,
            let bytes = document["text_bytes"]?.unsigned,
            let crc32 = document["text_crc32"]?.unsigned.flatMap({ UInt32(exactly: $0) }),
            let tables = document["tables"]?.array
        else { return nil }
        self.sha256 = sha256
        self.fileBytes = fileBytes
        gtidExecuted = gtid
        self.bytes = bytes
        self.crc32 = crc32
        self.tables = []
        for table in tables {
            guard let schema = table["schema"]?.string, let name = table["table"]?.string,
                let rows = table["rows"]?.unsigned
            else { return nil }
            self.tables.append(.init(schema: schema, name: name, rows: rows, checksum: table["checksum"]?.string))
        }
    }
}
