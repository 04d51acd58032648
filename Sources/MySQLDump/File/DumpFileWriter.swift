import Glibc

/// Writes a dump to `FILE.partial` as gzip members and gives it its name only when it is whole, on the disk, and read
/// back. Works on a thread of its own, which only cuts the text into blocks: compressing and writing is done beside.
actor DumpFileWriter: ItemSink {
    private let executor = ThreadExecutor(label: "dump file")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let path: String
    private let partial: String
    private var fd: Int32 = -1
    private var members: MemberWriter?
    /// Text that waits for a whole member.
    private var pending: [UInt8] = []
    private var statements: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private var checksum = CRC32()

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
        var item = item
        switch item {
        case .statement, .definition: statements += 1
        case .directive(.end):
            // Seals everything before it: a member that is missing or doubled shows.
            try flush(whole: true)
            item = .directive(.end(statements: statements, bytes: bytes, crc32: checksum.value))
        default: break
        }
        let before = pending.count
        ItemText.append(item, to: &pending)
        let added = pending.count - before
        pending.withUnsafeBytes { checksum.add(UnsafeRawBufferPointer(rebasing: $0[before...])) }
        bytes += UInt64(added)
        try flush(whole: false)
    }

    /// Ends the file, waits until it is on the disk, reads it back, and gives it its name.
    func finish(gtid: String) async throws(DumpError) -> DumpReport {
        if !gtid.isEmpty {
            ItemText.append(
                .comment("To let the server go on as a replica of the one that this was taken from, run"), to: &pending)
            pending.append(contentsOf: "-- SET @@GLOBAL.gtid_purged = '\(ItemText.oneLine(gtid))';\n".utf8)
        }
        ItemText.append(.comment("Dump completed"), to: &pending)
        try flush(whole: true)
        try drain()
        guard fsync(fd) == 0 else { throw failure("cannot flush \(partial) to the disk", errno) }
        close()
        let report = try await DumpFileReader.verify(partial)
        guard rename(partial, path) == 0 else { throw failure("cannot rename \(partial)", errno) }
        try syncDirectory()
        return report
    }

    /// Takes the unfinished file away.
    func discard() {
        close()
        _ = unlink(partial)
    }

    private func close() {
        members?.cancel()
        members = nil
        if fd >= 0 { _ = Glibc.close(fd) }
        fd = -1
    }

    private func flush(whole: Bool) throws(DumpError) {
        guard let members else { throw failure("\(partial) is not open", EBADF) }
        var done = 0
        while pending.count - done >= GzipCompressor.blockSize || whole && done < pending.count {
            let end = min(pending.count, done + GzipCompressor.blockSize)
            if case .failure(let error) = members.add(Array(pending[done..<end])) {
                throw failure("cannot write \(partial)", error.number)
            }
            done = end
        }
        if done > 0 { pending.removeFirst(done) }
    }

    /// Waits for the last member.
    private func drain() throws(DumpError) {
        if case .failure(let error)? = members?.drain() { throw failure("cannot write \(partial)", error.number) }
    }

    /// A new name is on the disk only when its directory is.
    private func syncDirectory() throws(DumpError) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let fd = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard fd >= 0 else { throw failure("cannot open \(directory)", errno) }
        defer { _ = Glibc.close(fd) }
        guard fsync(fd) == 0 else { throw failure("cannot flush \(directory) to the disk", errno) }
    }

    private func failure(_ message: String, _ number: Int32) -> DumpError {
        DumpError(.file(path: path, errno: number), "\(message): \(String(cString: strerror(number)))")
    }
}
