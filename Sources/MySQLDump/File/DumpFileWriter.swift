import Glibc

/// Writes a dump to `FILE.partial` as gzip members and gives it its name only when it is whole, on the disk, and read
/// back; its manifest stands beside it by then. Works on a thread of its own, which only cuts the text into blocks:
/// compressing and writing is done beside.
actor DumpFileWriter: ItemSink {
    private let executor = ThreadExecutor(label: "dump file")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let path: String
    private let partial: String
    private var fd: Int32 = -1
    private var members: MemberWriter?
    /// Text that waits for a whole member; always shorter than one.
    private var pending: [UInt8] = []
    /// Blocks given to `members`.
    private var blocks = 0
    private var sections: [DumpManifest.Section] = []
    private var summary = DumpSummary()
    private var statements: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private var checksum = CRC32()
    private var ended = false
    /// The manifest stands, and its dump does not yet.
    private var promised = false

    init(path: String) {
        self.path = path
        partial = path + ".partial"
    }

    func open() throws(DumpError) {
        // What an earlier run left is not written into but replaced, so that nobody who has it open is surprised.
        _ = unlink(partial)
        fd = Glibc.open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard fd >= 0 else { throw failure("cannot create \(partial)", errno) }
        // The mask of the process can only have taken bits away.
        guard fchmod(fd, 0o600) == 0 else { throw failure("cannot set the mode of \(partial)", errno) }
        members = MemberWriter(fd: fd)
    }

    func send(_ item: StreamItem) throws(DumpError) {
        switch item {
        case .statement(let sql, _):
            // Long ones go to the members without being copied as a whole.
            statements += 1
            try append(sql)
            try append(ItemText.statementEnd)
        case .definition, .comment:
            if case .definition = item { statements += 1 }
            try append(text(item))
        case .directive(let directive):
            summary.take(directive)
            switch directive {
            case .end:
                // Seals everything before it: a member that is missing or doubled shows.
                try flush()
                ended = true
                let end = Directive.end(statements: statements, bytes: bytes, crc32: checksum.value)
                try append(text(.directive(end)), counted: false)
            case .section(let schema, let table):
                try flush()
                sections.append(.init(schema: schema, table: table, firstMember: blocks))
                try append(text(item))
            default: try append(text(item))
            }
        }
    }

    /// Ends the file, waits until it is on the disk, reads it back, and gives it its name.
    func finish() throws(DumpError) -> DumpReport {
        guard ended else { throw DumpError(.incomplete(path: path), "\(path): the dump ended early") }
        let gtid = summary.report.gtidExecuted
        if !gtid.isEmpty {
            try append(
                text(.comment("To let the server go on as a replica of the one that this was taken from, run")),
                counted: false)
            try append(Array("-- SET @@GLOBAL.gtid_purged = '\(ItemText.oneLine(gtid))';\n".utf8), counted: false)
        }
        try append(text(.comment("Dump completed")), counted: false)
        try flush()
        let written = try drain()
        try WrittenFile(path: partial, named: path, sha256: written.sha256).check(flushing: fd)
        close()
        summary.report.bytes = bytes
        let manifest = DumpManifest(
            summary: summary, sections: sections, members: written.members, sha256: written.sha256,
            file: path.split(separator: "/").last.map(String.init) ?? path,
            statements: statements, bytes: bytes, crc32: checksum.value)
        // First: a dump whose manifest is missing is not one that this made.
        try manifest.write(besides: path)
        promised = true
        guard rename(partial, path) == 0 else { throw failure("cannot rename \(partial)", errno) }
        promised = false
        try FileSystem.syncDirectory(of: path)
        return summary.report
    }

    /// Takes the unfinished file away.
    func discard() {
        close()
        _ = unlink(partial)
        if promised { _ = unlink(DumpManifest.path(besides: path)) }
    }

    private func close() {
        members?.cancel()
        members = nil
        if fd >= 0 { _ = Glibc.close(fd) }
        fd = -1
    }

    private func text(_ item: StreamItem) -> [UInt8] {
        var text: [UInt8] = []
        ItemText.append(item, to: &text)
        return text
    }

    /// - Parameter counted: whether the end mark vouches for it.
    private func append(_ text: [UInt8], counted: Bool = true) throws(DumpError) {
        if counted {
            text.withUnsafeBytes { checksum.add($0) }
            bytes += UInt64(text.count)
        }
        var done = 0
        while done < text.count {
            let end = min(text.count, done + GzipCompressor.blockSize - pending.count)
            pending += text[done..<end]
            done = end
            if pending.count == GzipCompressor.blockSize { try flush() }
        }
    }

    /// Ends the member.
    private func flush() throws(DumpError) {
        guard let members else { throw failure("\(partial) is not open", EBADF) }
        guard !pending.isEmpty else { return }
        let block = pending
        pending = []
        pending.reserveCapacity(GzipCompressor.blockSize)
        if case .failure(let error) = members.add(block) { throw failure("cannot write \(partial)", error.number) }
        blocks += 1
    }

    /// Waits for the last member.
    private func drain() throws(DumpError) -> (members: [MemberWriter.Member], sha256: [UInt8]) {
        switch members?.drain() {
        case .success(let written): return written
        case .failure(let error): throw failure("cannot write \(partial)", error.number)
        case nil: throw failure("\(partial) is not open", EBADF)
        }
    }

    private func failure(_ message: String, _ number: Int32) -> DumpError {
        FileSystem.failure(path, message, number)
    }
}
