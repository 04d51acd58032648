import Glibc

/// Replaces a file's contents so that a reader, also one after a crash, sees the old or the new text and nothing else.
/// Where the file cannot be replaced by another one it is written in place (`InPlaceFile`).
extension AtomicFile {
    /// How a file's contents are replaced.
    enum Way: Sendable, Equatable {
        /// A new file is renamed over it.
        case renamed
        /// Its bytes are written over, for this reason.
        case inPlace(why: String)
    }

    /// - Parameter workingDirectory: holds the old bytes while the file is written in place.
    /// - Throws: `RouterError`, also with `changedMeanwhile` when the file is no longer the one that was read.
    @discardableResult
    static func replace(
        _ old: Snapshot, with bytes: [UInt8], workingDirectory: String
    ) throws(RouterError) -> Way {
        let why: String
        if let several = severalNames(old) {
            why = several
        } else {
            do {
                try rename(over: old, bytes)
                why = ""
            } catch {
                guard error.allowsWritingInPlace else { throw error }
                why = error.message
            }
        }
        if why.isEmpty {
            try flushDirectory(old.place.directory)
            return .renamed
        }
        do {
            try InPlaceFile(workingDirectory: workingDirectory).write(bytes, over: old)
        } catch {
            throw RouterError(error.cause, "\(error.message) (it has to be written in place: \(why))")
        }
        return .inPlace(why: why)
    }

    /// The way that `replace` would go, without changing the file: a new one is made beside it and removed again.
    /// - Throws: `RouterError` where there is none.
    static func way(_ old: Snapshot) throws(RouterError) -> Way {
        var why = severalNames(old)
        if why == nil, MountTable.isMountPoint(old.path) {
            why = "\(old.path) is a mount of its own, a bind mount of one file: no other file can be renamed over it"
        }
        if why == nil {
            // Not the name that an agent uses, which may be turning the router at this moment.
            let trial = "\(old.place.directory)/.\(old.place.name).repl-watchdog-check"
            do {
                try prepare(trial, old.bytes, like: old)
                unlink(trial)
            } catch {
                guard error.allowsWritingInPlace else { throw error }
                why = error.message
            }
        }
        guard let why else { return .renamed }
        let file = open(old.path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            let error = failure("write", old.path)
            throw RouterError(error.cause, "\(error.message) (it has to be written in place: \(why))")
        }
        close(file)
        return .inPlace(why: why)
    }

    /// A file that is renamed over one of a file's names leaves the others with the old text: who reads those would not
    /// see the new.
    private static func severalNames(_ old: Snapshot) -> String? {
        old.links > 1 ? "\(old.path) has \(old.links) names (hard links), which are to stay one file" : nil
    }

    /// Writes the new bytes beside the file, with its owner, mode and attributes, flushes them and renames them over it.
    private static func rename(over old: Snapshot, _ bytes: [UInt8]) throws(RouterError) {
        // One fixed name: only one agent runs per host, and what a crash left behind is replaced.
        let temporary = "\(old.place.directory)/.\(old.place.name).repl-watchdog"
        try prepare(temporary, bytes, like: old)
        var renamed = false
        defer { if !renamed { unlink(temporary) } }
        var status = stat()
        guard lstat(old.path, &status) == 0 else { throw failure("examine", old.path) }
        guard Identity(status) == old.identity else { throw changedMeanwhile(old.path) }
        guard Glibc.rename(temporary, old.path) == 0 else { throw failure("rename a new file over", old.path) }
        renamed = true
    }

    /// Makes a file that can take the other one's place.
    private static func prepare(_ path: String, _ bytes: [UInt8], like old: Snapshot) throws(RouterError) {
        let source = open(old.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK)
        guard source >= 0 else { throw failure("open", old.path) }
        defer { close(source) }
        try create(path, bytes) { file throws(RouterError) in
            // chown before chmod: it clears the set-id bits. The attributes last: an ACL is part of the mode.
            guard fchown(file, old.owner, old.group) == 0 else { throw failure("give the old owner to", path) }
            guard fchmod(file, old.mode) == 0 else { throw failure("give the old mode to", path) }
            do throws(FileAttributes.Failure) {
                try FileAttributes.copy(from: source, to: file)
            } catch {
                errno = error.code
                throw failure("give the old \(error.name) to", path)
            }
        }
    }
}

extension RouterError {
    /// Whether a file that could not be replaced for this reason may be writable as it is: a mount of one file, a
    /// directory that is not to be written, an owner or an attribute that cannot be given away.
    fileprivate var allowsWritingInPlace: Bool {
        guard case .file(let code) = cause else { return false }
        return [EBUSY, EXDEV, EACCES, EPERM, EROFS, EOPNOTSUPP].contains(code)
    }
}
