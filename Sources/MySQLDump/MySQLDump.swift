import MySQLWire

/// Logical dumps over MySQLWire.
public enum MySQLDump {
    static let tool = "repl-watchdog \(PackageVersion.current)"

    /// Dumps a whole server in one consistent snapshot to a gzip file that `zcat FILE | mysql` takes. The file appears
    /// under its name only when it is complete, flushed to disk and verified; until then it is `FILE.partial`. Its
    /// mode is 0600.
    public static func dump(
        from source: ConnectionOptions, to path: String, options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) -> DumpReport {
        let writer = DumpFileWriter(path: path)
        try await writer.open()
        do throws(DumpError) {
            let reader = try await SourceReader.open(source, options: options, deadline: deadline)
            do throws(DumpError) {
                var report = try await reader.dump(to: writer)
                await reader.close()
                let verified = try await writer.finish()
                guard verified.tables == report.tables, verified.gtidExecuted == report.gtidExecuted else {
                    throw DumpError(.incomplete(path: path), "\(path) reads back as something else than was written")
                }
                report.bytes = verified.bytes
                return report
            } catch {
                reader.abort()
                throw error
            }
        } catch {
            await writer.discard()
            throw error
        }
    }

    /// Imports a file written by `dump` into a server: refuses a cut, altered or unfinished one before the first
    /// statement, wipes the target's schemas and GTID history, and sets gtid_purged as the very last statement.
    /// Replication on the target must have been stopped. Until the import is whole the target carries a mark
    /// (`ongoing_rebuild.marker`) by which agents know it for half a copy; another import repairs one that was broken
    /// off.
    public static func importFile(
        _ path: String, into target: ConnectionOptions, options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) -> DumpReport {
        let file = DumpFileReader(path: path)
        try await file.open()
        do throws(DumpError) {
            let verified = try await file.vouch()
            try await file.rewind()
            let target = try await Target.open(target, options: options, deadline: deadline)
            do throws(DumpError) {
                var report = try await RowLoaders.using(target.loaders) { rows throws(DumpError) in
                    var loader = Loader(target: target, rows: rows, wanted: verified, progress: options.progress)
                    while let items = try await file.next() {
                        for item in items { try await loader.take(item) }
                    }
                    return try await loader.finish()
                }
                guard report.tables == verified.tables, report.gtidExecuted == verified.gtidExecuted else {
                    throw DumpError(.incomplete(path: path), "\(path) changed while it was imported")
                }
                try await target.restoreSettings()
                await target.close()
                await file.close()
                report.warnings += verified.warnings.filter { !report.warnings.contains($0) }
                report.omissions += verified.omissions.filter { !report.omissions.contains($0) }
                return report
            } catch {
                target.abort()
                throw error
            }
        } catch {
            await file.close()
            throw error
        }
    }

    /// Makes the target a copy of the source in one stream: snapshot, wipe, rows, row counts and checksums compared,
    /// gtid_purged last. Nothing on the target is touched before the source's snapshot stands. Replication
    /// on the target must have been stopped and reset, and is not set up. read_only may be ON there, super_read_only
    /// may not. After a failure the target's gtid_executed is empty (it claims nothing that it may not have), and its
    /// event_scheduler stays OFF; its mark says that it is half a copy.
    /// - Parameter path: keeps the same stream in a file too, whole or not at all, as `dump` would have written it. The
    ///   copy does not depend on it: a disk that is full, broken or stuck is reported as a warning.
    public static func copy(
        from source: ConnectionOptions, to target: ConnectionOptions, keeping path: String? = nil,
        options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) -> DumpReport {
        let target = try await Target.open(target, options: options, deadline: deadline)
        do throws(DumpError) {
            let reader = try await SourceReader.open(source, options: options, deadline: deadline)
            do throws(DumpError) {
                guard try await sameServer(reader.snapshot, target) == false else {
                    throw DumpError(
                        .unsupported,
                        "\(target.session.server) is the source itself: it would be wiped; nothing was done")
                }
                if let copied = try await RebuildMark.source(reader.side) {
                    throw DumpError(
                        .unsupported,
                        "\(reader.side.server) is itself an unfinished copy of server \(copied); nothing was done")
                }
                let report = try await pipe(reader, target, file: path)
                await reader.close()
                try await target.restoreSettings()
                await target.close()
                return report
            } catch {
                reader.abort()
                throw error
            }
        } catch {
            target.abort()
            throw error
        }
    }

    /// Asks both servers, before anything is done, whether a copy can succeed; changes nothing.
    /// - Throws: everything that is in the way.
    public static func assertCopyable(
        from source: ConnectionOptions, to target: ConnectionOptions, options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) {
        let reader = try await SourceSnapshot.openReader(source, deadline: deadline)
        do throws(DumpError) {
            try await Privileges.assertSeesEverything(reader)
            let needs = try await SourceNeeds(
                session: reader, excluded: options.excludedSchemas, accounts: options.accounts
            ).read()
            let session = try await Session.open(target, deadline: deadline)
            do throws(DumpError) {
                try await TargetNeeds(session: session).assertMet(needs) { _ in }
                await session.close()
            } catch {
                session.connection.abort()
                throw error
            }
            await reader.close()
        } catch {
            reader.connection.abort()
            throw error
        }
    }

    /// Reads a dump from its first to its last byte: gzip integrity, statement stream, end marker with row counts.
    public static func verify(_ path: String) async throws(DumpError) -> DumpReport {
        try await DumpFileReader.verify(path)
    }

    /// Bytes of data and indexes of all schemas that `dump` would write, as information_schema estimates them: what a
    /// working directory must have room for.
    public static func estimateSize(
        of source: ConnectionOptions, options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) -> UInt64 {
        let session = try await SourceSnapshot.openReader(source, deadline: deadline)
        let excluded = Catalog.systemSchemas.union(options.excludedSchemas).sorted()
            .map(SQLText.literal).joined(separator: ", ")
        let text = try await session.value(
            """
            SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES \
            WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN (\(excluded))
            """, "estimate the size of the schemas")
        await session.close()
        guard let text, let size = UInt64(text) else {
            throw DumpError(.unsupported, "\(session.server) does not tell the size of its schemas")
        }
        return size
    }

    private static func sameServer(_ source: SourceSnapshot, _ target: Target) async throws(DumpError) -> Bool {
        try await target.session.value("SELECT @@GLOBAL.server_uuid", "identify the target") == source.serverUUID
    }

    /// Reads the source while the target is written, at most a few statements ahead.
    private static func pipe(
        _ reader: SourceReader, _ target: Target, file path: String?
    ) async throws(DumpError) -> DumpReport {
        let channel = ItemChannel()
        let file = path.map { SideFile(path: $0, patience: target.options.filePatience) }
        let sink: any ItemSink = file.map { TeeSink(target: channel, file: $0) } ?? channel
        async let read: Result<DumpReport, DumpError> = {
            do throws(DumpError) {
                let report = try await reader.dump(to: sink)
                channel.finish(.success(()))
                return .success(report)
            } catch {
                channel.finish(
                    .failure(
                        DumpError(
                            error.cause,
                            "the source failed during the copy; the target is incomplete and claims no GTID set, copy again: \(error.message)"
                        )))
                return .failure(error)
            }
        }()
        do throws(DumpError) {
            let report = try await RowLoaders.using(
                target.loaders, onFailure: { channel.abandon($0) },
                { rows throws(DumpError) in
                    var loader = Loader(target: target, rows: rows)
                    while let items = try await channel.receive() {
                        for item in items { try await loader.take(item) }
                    }
                    return try await loader.finish()
                })
            _ = try await read.get()
            var whole = report
            switch await file?.finish() {
            case .written(let path)?: whole.file = path
            case .failed(let error)?: whole.warnings.append("the copy is whole, but no file was kept: \(error)")
            case nil: break
            }
            return whole
        } catch {
            await file?.abandon(error)
            channel.abandon(error)
            // Ends the read at once: the source may be in the middle of a long answer.
            reader.abort()
            _ = await read
            throw error
        }
    }
}

/// The sessions with a source: the snapshot's, and one for what must stay out of its transaction.
struct SourceReader: Sendable {
    let snapshot: SourceSnapshot
    let side: Session
    let options: DumpOptions

    static func open(
        _ source: ConnectionOptions, options: DumpOptions, deadline: Deadline
    ) async throws(DumpError) -> SourceReader {
        // Opened before the lock is taken, so that it is not held for a slow connect.
        let side = try await SourceSnapshot.openReader(source, deadline: deadline)
        do throws(DumpError) {
            try await Privileges.assertSeesEverything(side)
            let snapshot = try await SourceSnapshot.take(
                from: source, side: side, options: options, deadline: deadline)
            return SourceReader(snapshot: snapshot, side: side, options: options)
        } catch {
            side.connection.abort()
            throw error
        }
    }

    func dump(to sink: any ItemSink) async throws(DumpError) -> DumpReport {
        try await Dumper(snapshot: snapshot, side: side, options: options, sink: sink).dump()
    }

    /// Ends the snapshot and releases its locks.
    func close() async {
        await snapshot.close()
        await side.close()
    }

    func abort() {
        snapshot.abort()
        side.connection.abort()
    }
}
