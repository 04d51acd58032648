import MySQLWire

/// What was true in the instant in which every snapshot began.
struct SnapshotMoment: Sendable, Equatable {
    /// gtid_executed.
    var gtid: String
}

/// Looks for that instant: first for one that comes by itself, then with every table locked by name for a blink.
struct MomentSearch {
    let sessions: [Session]
    let side: Session
    let options: DumpOptions
    let deadline: Deadline

    /// How long an XA transaction may stay prepared before it is taken for one that nobody ends.
    private static let preparedTime: Duration = .seconds(10)

    func find(warn: (String) -> Void) async throws(DumpError) -> SnapshotMoment {
        if let refusal = try await side.attempt("XA RECOVER", "look for prepared XA transactions") {
            warn(
                "\(side.server): whether there are prepared XA transactions could not be seen, whose rows a dump would "
                    + "lack: grant XA_RECOVER_ADMIN to the dumping account (\(refusal))")
        }
        let logs = try await side.value(
            "SELECT @@GLOBAL.gtid_mode = 'ON' AND @@GLOBAL.log_bin", "see whether every commit has a GTID")
        let preparedDeadline = min(deadline, .after(Self.preparedTime))
        var pause = Duration.milliseconds(500)
        while true {
            var outcome = logs == "1" && options.quietTime > .zero ? try await waitForQuiet() : .moved
            var obstacle = "transactions commit all the time"
            // One that is prepared holds the locks of its tables: they would not be had either.
            if outcome == .moved {
                switch try await lock() {
                case .held(let found): outcome = found
                case .busy(let why): obstacle = why
                }
            }
            var end = deadline
            switch outcome {
            case .stood(let moment): return moment
            case .moved: break
            case .prepared(let names, let moment):
                obstacle = Self.prepared(names)
                if options.leavesPrepared {
                    warn("\(side.server): \(obstacle)")
                    return moment
                }
                end = preparedDeadline
            }
            guard !end.hasPassed else { throw busy(obstacle) }
            try await rest(min(pause, max(.milliseconds(1), end.remaining)))
            pause = min(pause * 2, .seconds(8))
        }
    }

    private func waitForQuiet() async throws(DumpError) -> SnapshotBegin.Outcome {
        let begin = SnapshotBegin(sessions: sessions, side: side)
        let quiet = Deadline.after(min(options.quietTime, deadline.remaining))
        while true {
            let outcome = try await begin.quietly()
            guard outcome == .moved, !quiet.hasPassed else { return outcome }
            try await rest(.milliseconds(Int.random(in: 1...10)))
        }
    }

    private func lock() async throws(DumpError) -> TableLocks.Outcome<SnapshotBegin.Outcome> {
        let begin = SnapshotBegin(sessions: sessions, side: side)
        return try await TableLocks(side: side, killer: sessions[0], pause: options.writerPause)
            .hold(excluded: options.excludedSchemas) { () async throws(DumpError) in try await begin.locked() }
    }

    private func busy(_ obstacle: String) -> DumpError {
        DumpError(
            .busy,
            "\(side.server): there was no moment in which the dump could begin without holding up writers for more than "
                + "\(options.writerPause): \(obstacle); nothing was done, dump again later")
    }

    private static func prepared(_ names: [String]) -> String {
        "\(names.count) prepared XA transactions, whose rows no dump can hold: \(names.prefix(5).joined(separator: ", ")) "
            + "(XA RECOVER lists them; XA COMMIT or XA ROLLBACK ends one)"
    }

    private func rest(_ time: Duration) async throws(DumpError) {
        do { try await Task.sleep(for: time) } catch { throw DumpError(.cancelled, "cancelled") }
    }
}

/// Begins all snapshots side by side, and looks whether it was one moment.
struct SnapshotBegin {
    enum Outcome: Sendable, Equatable {
        case stood(SnapshotMoment)
        /// Something committed meanwhile.
        case moved
        /// The GTIDs of these claim rows that no snapshot shows: XA PREPARE has one of its own.
        case prepared([String], SnapshotMoment)
    }

    let sessions: [Session]
    let side: Session

    /// Nothing has committed between two looks at gtid_executed, and nothing is on the way between its commit and the
    /// set: a transaction owns its GTID from before it is written to the binary log until after its rows can be seen,
    /// and in the instant in which it gives it up gtid_executed has it. So the snapshots in between hold exactly the set.
    func quietly() async throws(DumpError) -> Outcome {
        let before = try await side.gtidExecuted()
        let prepared = try await begin()
        // In this order: what leaves gtid_owned between the two is in gtid_executed then.
        let owned = try await side.value("SELECT @@GLOBAL.gtid_owned", "see whether something commits") ?? ""
        let after = try await side.gtidExecuted()
        guard owned.isEmpty, before == after else { return .moved }
        return prepared.isEmpty ? .stood(SnapshotMoment(gtid: after)) : .prepared(prepared, SnapshotMoment(gtid: after))
    }

    /// While no table of the dump can be written to.
    func locked() async throws(DumpError) -> Outcome {
        let prepared = try await begin()
        let gtid = try await side.gtidExecuted()
        return prepared.isEmpty ? .stood(SnapshotMoment(gtid: gtid)) : .prepared(prepared, SnapshotMoment(gtid: gtid))
    }

    /// Begins each snapshot anew.
    /// - Returns: the XA transactions that are prepared.
    private func begin() async throws(DumpError) -> [String] {
        let results = await withTaskGroup(of: Result<[String], DumpError>.self) { group in
            for session in sessions {
                group.addTask {
                    do throws(DumpError) {
                        try await session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT", "begin the snapshot")
                        return .success([])
                    } catch {
                        return .failure(error)
                    }
                }
            }
            group.addTask {
                do throws(DumpError) { return .success(try await listPrepared()) } catch { return .failure(error) }
            }
            var results: [Result<[String], DumpError>] = []
            for await result in group { results.append(result) }
            return results
        }
        var prepared: [String] = []
        for result in results { prepared += try result.get() }
        return prepared
    }

    private func listPrepared() async throws(DumpError) -> [String] {
        do {
            let found = try await side.connection.query(
                "XA RECOVER", purpose: "look for prepared XA transactions", deadline: side.deadline)
            return found.rows.compactMap { $0.string("data") }.map { PrintableText.line($0) }
        } catch {
            // Without XA_RECOVER_ADMIN it is refused, which the dump says.
            guard error.serverError != nil, side.connection.isOpen else {
                throw DumpError(error, "look for prepared XA transactions")
            }
            return []
        }
    }
}
