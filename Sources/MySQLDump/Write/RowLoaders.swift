import MySQLWire

/// Several sessions of one target that insert rows side by side. What is given to them holds at most `limit` bytes
/// together, or one statement. A session commits before it waits for more, so that nobody else ever waits for a
/// transaction that waits for him.
final class RowLoaders: Sendable {
    /// Something to be done to one table.
    struct Work: Sendable {
        enum Kind: Sendable {
            /// Rows: in any order, beside one another.
            case rows
            /// Comes when all rows that were given before are committed: keys.
            case after
            /// The checksum of the table, taken when all its rows are committed, beside its keys: building these leaves
            /// a core idle, and changes no row.
            case checksum
        }
        var schema: String
        var table: String
        var kind: Kind
        var sql: [UInt8]

        fileprivate var key: String { "\(SQLText.name(schema)).\(SQLText.name(table))" }
    }

    private struct State: Sendable {
        var waiting: [Work] = []
        /// Of what waits or runs.
        var bytes = 0
        /// Statements of rows that are not committed yet, by table.
        var uncommitted: [String: Int] = [:]
        /// Statements that are not committed yet.
        var open = 0
        var failure: DumpError?
        var finished = false
        /// What CHECKSUM TABLE said, by table.
        var checksums: [String: String] = [:]

        var next: Int? {
            waiting.firstIndex { $0.kind == .rows || uncommitted[$0.key, default: 0] == 0 }
        }
    }

    /// Bytes of a transaction.
    private static let transactionSize = 32 << 20

    private let sessions: [Session]
    private let limit: Int
    private let onFailure: @Sendable (DumpError) -> Void
    private let state = Monitor(State())

    private init(_ sessions: [Session], limit: Int, onFailure: @escaping @Sendable (DumpError) -> Void) {
        self.sessions = sessions
        self.limit = limit
        self.onFailure = onFailure
    }

    /// Lends loaders to `body`. When it throws, what runs is broken off.
    /// - Parameters:
    ///   - limit: bytes of statements that may wait and run together; one above it goes alone.
    ///   - onFailure: called when one of the sessions fails, for whoever waits for something else meanwhile.
    static func using<Value: Sendable>(
        _ sessions: [Session], limit: Int = 24 << 20, onFailure: @escaping @Sendable (DumpError) -> Void = { _ in },
        _ body: (RowLoaders) async throws(DumpError) -> Value
    ) async throws(DumpError) -> Value {
        let loaders = RowLoaders(sessions, limit: limit, onFailure: onFailure)
        let result = await withTaskGroup(of: Void.self) { group -> Result<Value, DumpError> in
            for session in sessions { group.addTask { await loaders.work(session) } }
            do throws(DumpError) {
                let value = try await body(loaders)
                try await loaders.drain()
                loaders.state.change { $0.finished = true }
                return .success(value)
            } catch {
                loaders.fail(error)
                for session in sessions { session.connection.abort() }
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Hands work out; waits while there is too much of it.
    func give(_ work: Work) async throws(DumpError) {
        let limit = limit
        while true {
            let given: Result<Bool, DumpError> = state.change { state in
                if let failure = state.failure { return .failure(failure) }
                guard state.bytes == 0 || state.bytes + work.sql.count <= limit else { return .success(false) }
                state.waiting.append(work)
                state.bytes += work.sql.count
                state.open += 1
                if work.kind == .rows { state.uncommitted[work.key, default: 0] += 1 }
                return .success(true)
            }
            if try given.get() { return }
            await wait { $0.failure != nil || $0.bytes == 0 || $0.bytes + work.sql.count <= limit }
        }
    }

    /// Waits until everything is done and committed.
    func drain() async throws(DumpError) {
        while true {
            let drained: Result<Bool, DumpError> = state.change { state in
                if let failure = state.failure { return .failure(failure) }
                return .success(state.open == 0)
            }
            if try drained.get() { return }
            await wait { $0.failure != nil || $0.open == 0 }
        }
    }

    /// The checksums that were asked for and taken, by table.
    var checksums: [String: String] { state.read { $0.checksums } }

    private func fail(_ error: DumpError) {
        let first = state.change { state in
            defer { state.failure = state.failure ?? error }
            return state.failure == nil
        }
        if first { onFailure(error) }
    }

    private func wait(until ready: @escaping @Sendable (State) -> Bool) async {
        await state.wait(until: ready) { fail(DumpError(.cancelled, "cancelled")) }
    }

    // MARK: One session

    private func work(_ session: Session) async {
        var worker = Worker(session: session)
        do throws(DumpError) {
            while true {
                // With a transaction open it does not wait for more.
                let (work, ended) = state.change { state -> (Work?, Bool) in
                    guard state.failure == nil else { return (nil, true) }
                    return (state.next.map { state.waiting.remove(at: $0) }, state.finished)
                }
                if let work {
                    if let before = worker.table, before != work.key || work.kind != .rows {
                        try await commit(&worker)
                    }
                    let answer = try await worker.run(work)
                    state.change {
                        $0.bytes -= work.sql.count
                        if work.kind == .checksum { $0.checksums[work.key] = answer.rows.first?.string("Checksum") }
                    }
                    if work.kind != .rows {
                        state.change { $0.open -= 1 }
                    } else if worker.bytes >= Self.transactionSize {
                        try await commit(&worker)
                    }
                } else if worker.table != nil, !ended {
                    try await commit(&worker)
                } else if ended {
                    return
                } else {
                    await wait { $0.next != nil || $0.finished || $0.failure != nil }
                }
            }
        } catch {
            fail(error)
        }
    }

    private func commit(_ worker: inout Worker) async throws(DumpError) {
        guard let (table, statements) = try await worker.commit() else { return }
        state.change { state in
            state.open -= statements
            state.uncommitted[table, default: 0] -= statements
        }
    }

    /// A session and the transaction that it is in.
    private struct Worker {
        let session: Session
        private var schema: String?
        /// The table whose rows the open transaction holds.
        private(set) var table: String?
        private(set) var bytes = 0
        private var statements = 0

        init(session: Session) { self.session = session }

        /// Building keys needs the table for itself for a moment at the beginning and at the end. So a checksum lets it
        /// begin first; should it not have, the keys wait for the checksum, as they do at their end.
        private static let headStart = Duration.milliseconds(50)

        @discardableResult
        mutating func run(_ work: Work) async throws(DumpError) -> ResultSet {
            let purpose =
                switch work.kind {
                case .rows: "import rows of \(work.key)"
                case .after: "add the keys of \(work.key)"
                case .checksum: "take the checksum of \(work.key)"
                }
            if work.kind == .checksum { try? await Task.sleep(for: Self.headStart) }
            if schema != work.schema {
                try await query(Array("USE \(SQLText.name(work.schema))".utf8), purpose)
                schema = work.schema
            }
            if work.kind == .rows, table == nil {
                try await query(Array("START TRANSACTION".utf8), purpose)
                table = work.key
            }
            // The checksum of a large table, for whose end the keys wait, takes long.
            if work.kind == .after { try await query(Array("SET SESSION lock_wait_timeout = 86400".utf8), purpose) }
            let answer = try await query(work.sql, purpose)
            if work.kind == .after { try await query(Array("SET SESSION lock_wait_timeout = 60".utf8), purpose) }
            if work.kind == .rows {
                bytes += work.sql.count
                statements += 1
            }
            return answer
        }

        mutating func commit() async throws(DumpError) -> (table: String, statements: Int)? {
            guard let table else { return nil }
            try await query(Array("COMMIT".utf8), "import rows of \(table)")
            defer {
                self.table = nil
                bytes = 0
                statements = 0
            }
            return (table, statements)
        }

        @discardableResult
        private func query(_ sql: [UInt8], _ purpose: String) async throws(DumpError) -> ResultSet {
            do {
                return try await session.connection.query(sql, purpose: purpose, deadline: session.deadline)
            } catch {
                throw Loader.failed(error)
            }
        }
    }
}
