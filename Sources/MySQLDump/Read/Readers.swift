import MySQLWire

/// Several sessions of one snapshot that read pieces of tables side by side. What they read comes out in the order in
/// which the pieces were ordered, so that a dump is one stream whatever the number of readers.
final class Readers: Sendable {
    /// A piece of a table: read ahead of its turn as far as its bounded channel goes.
    final class Reading: Sendable {
        let plan: TablePlan
        let condition: KeyRanges.Condition
        let channel = ItemChannel(limit: 6 << 20)
        private let state = Monitor((isTurn: false, rows: UInt64(0)))

        init(_ plan: TablePlan, condition: KeyRanges.Condition = "") {
            self.plan = plan
            self.condition = condition
        }

        /// Rows so far.
        var rows: UInt64 { state.read { $0.rows } }
        func count(_ rows: UInt64) { state.change { $0.rows = rows } }

        /// Called by whoever takes the pieces in order.
        func takeTurn() { state.change { $0.isTurn = true } }
        func waitForTurn(_ isOver: @Sendable () -> Bool) async {
            while !isOver(), !state.read({ $0.isTurn }) {
                await state.wait(until: { $0.isTurn }) { takeTurn() }
            }
        }
    }

    /// COUNT(*) and CHECKSUM TABLE of a table, in the same snapshot; and the checksum of its columns, where there are
    /// generated values beside them.
    final class Proof: Sendable {
        struct Values: Sendable {
            var rows: String?
            var checksum: String?
            var columns: String?
        }
        let plan: TablePlan
        private let result = Monitor<Result<Values, DumpError>?>(nil)

        init(_ plan: TablePlan) { self.plan = plan }

        func set(_ value: Result<Values, DumpError>) { result.change { $0 = $0 ?? value } }

        func values() async throws(DumpError) -> Values {
            while true {
                if let value = result.read({ $0 }) { return try value.get() }
                await result.wait(until: { $0 != nil }) { set(.failure(DumpError(.cancelled, "cancelled"))) }
            }
        }
    }

    private enum Job: Sendable {
        case read(Reading)
        case prove(Proof)

        func fail(_ error: DumpError) {
            switch self {
            case .read(let reading):
                reading.channel.abandon(error)
                reading.takeTurn()
            case .prove(let proof): proof.set(.failure(error))
            }
        }

        func isSame(as other: Job) -> Bool {
            switch (self, other) {
            case (.read(let one), .read(let two)): one === two
            case (.prove(let one), .prove(let two)): one === two
            default: false
            }
        }
    }

    private struct State: Sendable {
        var waiting: [Job] = []
        /// Taken, and not known to have ended.
        var taken: [Job] = []
        var failure: DumpError?
        var finished = false
    }

    private let state = Monitor(State())
    private let sessions: [Session]

    private init(_ sessions: [Session]) { self.sessions = sessions }

    /// Lends readers to `body`. When it throws, what runs is broken off.
    static func using<Value: Sendable>(
        _ sessions: [Session], _ body: (Readers) async throws(DumpError) -> Value
    ) async throws(DumpError) -> Value {
        let readers = Readers(sessions)
        let result = await withTaskGroup(of: Void.self) { group -> Result<Value, DumpError> in
            for session in sessions { group.addTask { await readers.work(session) } }
            do throws(DumpError) {
                let value = try await body(readers)
                readers.state.change { $0.finished = true }
                return .success(value)
            } catch {
                readers.fail(error)
                for session in sessions { session.connection.abort() }
                return .failure(error)
            }
        }
        return try result.get()
    }

    func read(_ plan: TablePlan, condition: KeyRanges.Condition = "") -> Reading {
        let reading = Reading(plan, condition: condition)
        give(.read(reading))
        return reading
    }

    func prove(_ plan: TablePlan) -> Proof {
        let proof = Proof(plan)
        give(.prove(proof))
        return proof
    }

    private func give(_ job: Job) {
        let failure = state.change { state in
            if state.failure == nil { state.waiting.append(job) }
            return state.failure
        }
        if let failure { job.fail(failure) }
    }

    private func fail(_ error: DumpError) {
        let jobs = state.change { state -> [Job] in
            if state.failure == nil { state.failure = error }
            defer {
                state.waiting = []
                state.taken = []
            }
            return state.waiting + state.taken
        }
        for job in jobs { job.fail(error) }
    }

    // MARK: One session

    private func work(_ session: Session) async {
        while true {
            let (job, ended) = state.change { state -> (Job?, Bool) in
                if state.failure != nil || state.waiting.isEmpty && state.finished { return (nil, true) }
                guard !state.waiting.isEmpty else { return (nil, false) }
                // In their order: so the piece whose turn it is has always been taken, and never waits for another.
                let job = state.waiting.removeFirst()
                state.taken.append(job)
                return (job, false)
            }
            if ended { return }
            guard let job else {
                await state.wait(until: { !$0.waiting.isEmpty || $0.finished || $0.failure != nil }) {
                    fail(DumpError(.cancelled, "cancelled"))
                }
                continue
            }
            do throws(DumpError) {
                switch job {
                case .read(let reading):
                    if reading.plan.hasLongRows { await reading.waitForTurn { self.hasFailed } }
                    try await TableReader(session: session, reading: reading).read()
                    reading.channel.finish(.success(()))
                case .prove(let proof): proof.set(.success(try await prove(proof.plan, session)))
                }
                state.change { state in
                    state.taken.removeAll { $0.isSame(as: job) }
                }
            } catch {
                return fail(error)
            }
        }
    }

    private var hasFailed: Bool { state.read { $0.failure != nil } }

    private func prove(_ plan: TablePlan, _ session: Session) async throws(DumpError) -> Proof.Values {
        let table = plan.table
        let counted = try await session.run(
            """
            SELECT COUNT(*) AS row_count\
            \(plan.isDerived ? ", \(ColumnChecksum.expression(plan.columns)) AS column_checksum" : "") FROM \(table.quoted)
            """,
            "count the rows of \(table.quoted)"
        ).rows.first
        let checksum = try await session.run("CHECKSUM TABLE \(table.quoted)", "take the checksum of \(table.quoted)")
        return Proof.Values(
            rows: counted?.string("row_count"), checksum: checksum.rows.first?.string("Checksum"),
            columns: plan.isDerived ? counted?.string("column_checksum") : nil)
    }
}

/// A checksum of the columns that a dump writes, and of nothing else. CHECKSUM TABLE also reads generated columns and what
/// is kept for keys over expressions, whose values may depend on the session that made them (its time zone, its
/// language, its strictness): a copy that makes them anew is no worse.
enum ColumnChecksum {
    static func expression(_ columns: [ColumnPlan]) -> String {
        let parts = columns.map { "COALESCE(CRC32(\($0.expression)), 'N')" }
        return "COALESCE(SUM(CRC32(CONCAT_WS(',', \(parts.isEmpty ? "''" : parts.joined(separator: ", "))))), 0)"
    }
}
