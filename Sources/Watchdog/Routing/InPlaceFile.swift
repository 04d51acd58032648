import Glibc

/// Writes a file's bytes over, under the inode that it has: for a file that cannot be replaced by another one.
///
/// A crash may leave the file half written. So both texts are kept in the working directory first, and whoever changes
/// the file next puts the old one back where it finds a mixture of the two. Where writing fails, that is done at once.
struct InPlaceFile {
    let workingDirectory: String

    private var record: String { "\(workingDirectory)/router-file-being-written" }

    func write(_ bytes: [UInt8], over old: AtomicFile.Snapshot) throws(RouterError) {
        let file = try open(old.path)
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw AtomicFile.failure("examine", old.path) }
        guard AtomicFile.Identity(status) == old.identity else { throw AtomicFile.changedMeanwhile(old.path) }
        try keep(.init(path: old.path, old: old.bytes, new: bytes))
        do {
            try put(bytes, file, old.path)
        } catch {
            do {
                try put(old.bytes, file, old.path)
            } catch let second {
                throw RouterError(
                    error.cause,
                    "\(error.message); then the old contents could not be put back either (\(second.message)): they are "
                        + "kept in \(record)")
            }
            unlink(record)
            throw RouterError(error.cause, "\(error.message); the old contents were put back")
        }
        unlink(record)
    }

    /// Makes good what a crash has left half written; to be called before the file is read to be changed.
    func finishInterrupted() throws(RouterError) {
        guard access(record, F_OK) == 0 else { return }
        guard let kept = Kept(try AtomicFile.read(record).bytes) else {
            throw RouterError(
                .file(errno: EINVAL), "\(record) is nothing that an agent has written; look at it, and remove it")
        }
        let now: AtomicFile.Snapshot
        do {
            now = try AtomicFile.read(kept.path)
        } catch {
            guard case .file(ENOENT) = error.cause else { throw error }
            // Somebody has taken the file away since: there is nothing to put right.
            unlink(record)
            return
        }
        if kept.isHalfWritten(now.bytes) {
            let file = try open(now.path)
            defer { close(file) }
            try put(kept.old, file, now.path)
        }
        unlink(record)
    }

    private func open(_ path: String) throws(RouterError) -> Int32 {
        let file = Glibc.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw AtomicFile.failure("write", path) }
        return file
    }

    /// Writes, syncs, and reads back.
    private func put(_ bytes: [UInt8], _ file: Int32, _ path: String) throws(RouterError) {
        try AtomicFile.write(bytes, to: file, path)
        guard ftruncate(file, off_t(bytes.count)) == 0 else { throw AtomicFile.failure("cut", path) }
        guard fsync(file) == 0 else { throw AtomicFile.failure("flush", path) }
        guard lseek(file, 0, Int32(SEEK_SET)) == 0 else { throw AtomicFile.failure("read back", path) }
        guard try AtomicFile.contents(file, path) == bytes else {
            throw RouterError(
                .file(errno: EIO), "\(path) does not hold what was written to it; look for who else writes it")
        }
    }

    private func keep(_ kept: Kept) throws(RouterError) {
        let temporary = record + ".partial"
        try AtomicFile.create(temporary, kept.bytes)
        guard rename(temporary, record) == 0 else {
            let error = AtomicFile.failure("keep the old contents in", record)
            unlink(temporary)
            throw error
        }
        try AtomicFile.flushDirectory(workingDirectory)
    }

    /// What is kept while a file is written: where it is, and both texts.
    struct Kept: Equatable {
        var path: String
        var old: [UInt8]
        var new: [UInt8]

        init(path: String, old: [UInt8], new: [UInt8]) { (self.path, self.old, self.new) = (path, old, new) }

        /// A line with the three lengths, then the three.
        var bytes: [UInt8] { Array("\(path.utf8.count) \(old.count) \(new.count)\n\(path)".utf8) + old + new }

        init?(_ bytes: [UInt8]) {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            let lengths = String(decoding: bytes[..<end], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
            let body = bytes[(end + 1)...]
            guard lengths.count == 3, lengths.allSatisfy({ (0...body.count).contains($0) }),
                lengths[0] + lengths[1] + lengths[2] == body.count
            else { return nil }
            let (path, rest) = (body.prefix(lengths[0]), body.dropFirst(lengths[0]))
            self.init(
                path: String(decoding: path, as: UTF8.self), old: Array(rest.prefix(lengths[1])),
                new: Array(rest.dropFirst(lengths[1])))
        }

        /// Whether these bytes can be what was left of the write: neither of the two texts, and each byte from one of
        /// them. What somebody else has written since is not taken for it.
        func isHalfWritten(_ now: [UInt8]) -> Bool {
            now != old && now != new && now.count <= max(old.count, new.count)
                && now.indices.allSatisfy { index in
                    index < old.count && now[index] == old[index] || index < new.count && now[index] == new[index]
                }
        }
    }
}
