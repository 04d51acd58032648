/// One row of `ongoing_failover.status`.
package struct LedgerRow: Sendable, Hashable {
    /// Orders the rows; given by the server.
    package var id: UInt64
    package var signal: Signal
    package var agent: String
    package var epoch: UInt64
    /// server_uuid that the agent's router led to when the row was written; empty if it led nowhere.
    package var seen: String
    /// Connection id of the session that wrote the row.
    package var session: UInt64
    /// Whether that session still holds its agent's lock. The server says so, not a clock: a dead or frozen agent's
    /// session ends, and with it the lock.
    package var alive: Bool
    /// Age in milliseconds by the server's clock.
    package var age: Int64
    /// What the writer had last seen the primary to have executed, and whether that primary replicated without
    /// fallback; with MAST and FOLO of quorum mode.
    package var witnessed: GTIDSet
    package var sync: Bool

    package init(
        id: UInt64, signal: Signal, agent: String, epoch: UInt64 = 0, seen: String = "", session: UInt64 = 0,
        alive: Bool = true, age: Int64 = 0, witnessed: GTIDSet = GTIDSet(), sync: Bool = false
    ) {
        self.witnessed = witnessed
        self.sync = sync
        self.id = id
        self.signal = signal
        self.agent = agent
        self.epoch = epoch
        self.seen = seen
        self.session = session
        self.alive = alive
        self.age = age
    }
}

extension LedgerRow {
    /// A follower's row of this operation that is newer than another row.
    package func follows(in epoch: UInt64, after id: UInt64) -> Bool {
        if case .folo = signal { return self.epoch == epoch && self.id > id }
        return false
    }
}

extension [LedgerRow] {
    /// In quorum mode the table is always there: a ledger without rows is none.
    package var ledger: [LedgerRow]? { isEmpty ? nil : self }
}

/// The rows of a ledger read as the state of an operation.
package struct Ledger: Sendable {
    /// The server that the ledger lies on.
    package var server: ServerID
    package var rows: [LedgerRow]

    package init(server: ServerID, rows: [LedgerRow]) {
        self.server = server
        // They mostly come in order, and many times a second.
        let inOrder = rows.indices.dropFirst().allSatisfy { rows[$0 - 1].id < rows[$0].id }
        self.rows = inOrder ? rows : rows.sorted { $0.id < $1.id }
    }

    /// Candidates whose session lives, in the order in which they came.
    package var candidates: [LedgerRow] {
        rows.filter { if case .scan = $0.signal { $0.alive } else { false } }
    }

    /// The newest MAST row, alive or not.
    package var master: LedgerRow? {
        rows.last { if case .mast = $0.signal { true } else { false } }
    }

    package var kind: OperationKind? {
        for row in rows.reversed() { if case .oper(let kind) = row.signal { return kind } }
        return nil
    }

    /// The row that began the operation: its age is the operation's.
    package var begun: LedgerRow? {
        rows.first { if case .oper = $0.signal { true } else { false } }
    }

    package var target: String? {
        for row in rows.reversed() { if case .targ(let socket) = row.signal { return socket } }
        return nil
    }

    package var masterDone: Bool {
        rows.contains { if case .maok = $0.signal { true } else { false } }
    }

    package func has(_ signal: Signal) -> Bool { rows.contains { $0.signal == signal } }

    /// Agents that declared themselves followers, without those that have become operation master since.
    package var followers: [String] {
        var out: [String] = []
        for row in rows {
            if case .folo(let host) = row.signal, !out.contains(host), host != master?.agent { out.append(host) }
        }
        return out
    }

    /// Followers that have not sent FOOK.
    package var unfinished: [String] { followers.filter { !has(.fook(host: $0)) } }

    /// Whether a session of this agent that wrote to the ledger still lives.
    package func isAlive(_ agent: String) -> Bool { rows.contains { $0.agent == agent && $0.alive } }

    /// server_uuid that an agent's router led to when it last wrote.
    package func lastSeen(_ agent: String) -> String? { rows.last { $0.agent == agent && !$0.seen.isEmpty }?.seen }

    /// Highest epoch named in the ledger.
    package var epoch: UInt64 { rows.map(\.epoch).max() ?? 0 }

    /// Where the routers of the agents that live lead, by the newest row of each: agent to server_uuid.
    package var routes: [String: String] {
        var out: [String: String] = [:]
        for row in rows where row.alive && !row.seen.isEmpty { out[row.agent] = row.seen }
        return out
    }
}
