import Glibc

/// Reads the items of a dump file, and knows whether it is one, whole and unaltered. Works on a thread of its own.
actor DumpFileReader {
    private let executor = ThreadExecutor(label: "dump file")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private nonisolated let path: String
    private var fd: Int32 = -1
    private var gzip: GzipReader?
    private var splitter = StatementSplitter()
    private var summary = DumpSummary()
    private var ended = false

    init(path: String) { self.path = path }

    func open() throws(DumpError) {
        fd = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else {
            throw DumpError(
                .file(path: path, errno: errno), "cannot open \(path): \(String(cString: strerror(errno)))")
        }
        try rewind()
    }

    /// Goes back to the first byte of the same file, whatever its name has come to mean meanwhile.
    func rewind() throws(DumpError) {
        guard lseek(fd, 0, SEEK_SET) == 0, let reader = GzipReader(fd: fd) else {
            throw DumpError(.file(path: path, errno: errno), "cannot read \(path)")
        }
        gzip = reader
        splitter = StatementSplitter()
        summary = DumpSummary()
        ended = false
    }

    func close() {
        if fd >= 0 { _ = Glibc.close(fd) }
        fd = -1
        gzip = nil
    }

    /// The next items; nil after the last one, when the whole file proved to be sound.
    func next() throws(DumpError) -> [StreamItem]? {
        guard let gzip else { throw DumpError(.file(path: path, errno: EBADF), "\(path) is not open") }
        var items: [StreamItem] = []
        do {
            while items.isEmpty {
                guard let text = try gzip.next() else {
                    try splitter.finish()
                    try assertEnded()
                    return nil
                }
                splitter.feed(text)
                while let item = try splitter.next() {
                    try check(item)
                    items.append(item)
                }
            }
        } catch let failure as GzipReader.Failure {
            switch failure {
            case .system(let number):
                throw DumpError(
                    .file(path: path, errno: number), "cannot read \(path): \(String(cString: strerror(number)))")
            case .cut: throw incomplete("it is cut off")
            case .corrupt(let why): throw incomplete("it is altered or no gzip file (\(why))")
            }
        } catch let failure as StatementSplitter.Failure {
            throw incomplete(failure.message)
        } catch {
            throw error as? DumpError ?? incomplete("\(error)")
        }
        return items
    }

    /// Reads the file to its end, and compares it with its manifest where there is one.
    func verify() throws(DumpError) -> DumpReport {
        let claims = try ManifestClaims.read(besides: path)
        while try next() != nil {}
        var report = summary.report
        if let claims {
            try compare(claims)
        } else {
            report.warnings.append(
                "\(DumpManifest.path(besides: path)) is missing: the file was held only against its own end mark")
        }
        return report
    }

    /// Whether the file may be imported. Where there is a manifest its SHA-256 tells whether the file is what was written,
    /// and nothing is unpacked for that; that its members are sound shows while it is read.
    func vouch() throws(DumpError) -> DumpReport {
        guard let claims = try ManifestClaims.read(besides: path) else { return try verify() }
        try compareBytes(claims)
        return DumpReport(
            gtidExecuted: claims.gtidExecuted,
            tables: claims.tables.map { .init(schema: $0.schema, name: $0.name, rows: $0.rows) }, bytes: claims.bytes)
    }

    private func compareBytes(_ claims: ManifestClaims) throws(DumpError) {
        guard let digest = try SHA256Stream.digest(of: fd, path: path) else {
            throw DumpError(.unsupported, "OpenSSL makes no SHA-256")
        }
        guard digest.map({ Hex.digits($0) }).joined() == claims.sha256 else {
            throw incomplete("its SHA-256 is not the manifest's")
        }
    }

    private func compare(_ claims: ManifestClaims) throws(DumpError) {
        try compareBytes(claims)
        let tables = summary.facts.map {
            ManifestClaims.TableClaim(schema: $0.schema, name: $0.name, rows: $0.rows, checksum: $0.checksum)
        }
        guard claims.gtidExecuted == summary.report.gtidExecuted, claims.tables == tables,
            claims.bytes == splitter.bytes, claims.crc32 == splitter.crc32
        else { throw incomplete("what it holds is not what its manifest says") }
    }

    static func verify(_ path: String) async throws(DumpError) -> DumpReport {
        let reader = DumpFileReader(path: path)
        try await reader.open()
        do {
            let report = try await reader.verify()
            await reader.close()
            return report
        } catch {
            await reader.close()
            throw error
        }
    }

    private func check(_ item: StreamItem) throws(DumpError) {
        guard case .directive(let directive) = item else {
            guard summary.begun else { throw incomplete("it does not begin as a dump does") }
            return
        }
        if case .begin(let format, _, _, _) = directive {
            guard format == Directive.format, !summary.begun else {
                throw incomplete("its format is \(format), this version reads \(Directive.format)")
            }
        }
        if case .end(let statements, let bytes, let crc32) = directive {
            guard statements == splitter.statements, bytes == splitter.bytes, crc32 == splitter.crc32 else {
                throw incomplete("what it holds is not what its end mark says")
            }
            ended = true
        }
        summary.take(directive)
        summary.report.bytes = splitter.bytes
    }

    private func assertEnded() throws(DumpError) {
        guard ended else { throw incomplete("its end mark is missing") }
    }

    private func incomplete(_ why: String) -> DumpError {
        DumpError(
            .incomplete(path: path), "\(path) is no complete dump: \(why). Take another one; this one is never imported"
        )
    }
}

/// What the marks of a dump say of it.
struct DumpSummary: Sendable {
    var begun = false
    var version = ""
    var uuid = ""
    var facts: [TableFact] = []
    var accounts: [Accounts.Account] = []
    var report = DumpReport(gtidExecuted: "", tables: [], bytes: 0)

    mutating func take(_ directive: Directive) {
        switch directive {
        case .begin(_, let version, let uuid, let gtid):
            begun = true
            self.version = version
            self.uuid = uuid
            report.gtidExecuted = gtid
        case .table(let fact):
            facts.append(fact)
            report.tables.append(.init(schema: fact.schema, name: fact.name, rows: fact.rows))
        case .account(let user, let host): accounts.append(.init(user: user, host: host))
        case .warning(let text): report.warnings.append(text)
        case .omission(let text):
            report.warnings.append(text)
            report.omissions.append(text)
        case .need, .section, .data, .end: break
        }
    }
}
