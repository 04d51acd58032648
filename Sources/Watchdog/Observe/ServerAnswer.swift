import MySQLWire

/// The answer to `ServerQuestion`, read by its columns.
struct ServerAnswer {
    let row: Row
    /// What the agents' tables hold is part of it.
    let recorded: Bool

    func text(_ column: ServerQuestion.Column) -> String? { row.string(column.rawValue) }
    func number(_ column: ServerQuestion.Column) -> Int64? { row.int(column.rawValue) }

    /// Tables by the names of the agents' own, as `schema.table`.
    var tables: Set<String> { Set((text(.tables) ?? "").lowercased().split(separator: ",").map(String.init)) }

    static func unreadable(_ address: ServerAddress) -> MySQLError {
        MySQLError(
            .protocolViolation, phase: .reply, server: address.description, purpose: ServerProbe.purpose,
            message: "the answer cannot be read")
    }

    func state(_ version: ServerVersion, _ address: ServerAddress) throws(MySQLError) -> ServerFacts {
        let words = text(.flags)?.split(separator: " ") ?? []
        guard let uuid = text(.uuid), words.count == 6, let id = UInt64(words[0]),
            let executed = GTIDSet(text(.executed) ?? ""), let purged = GTIDSet(text(.purged) ?? "")
        else { throw Self.unreadable(address) }
        var facts = ServerFacts(
            uuid: uuid.lowercased(), serverID: id, version: version, gtidMode: words[1] == "ON",
            readOnly: words[2] == "1", superReadOnly: words[3] == "1", executed: executed, purged: purged,
            operationLocked: number(.operation) == 1)
        facts.isOffline = words[4] == "1"
        facts.performanceSchema = words[5] == "1"
        return facts
    }
}

extension QuorumFacts {
    /// - Parameter filtered: what is known of it; nil where it was asked for.
    init(_ answer: ServerAnswer, filtered: String?) {
        self.init()
        func set(_ column: ServerQuestion.Column) -> AgentSet { QuorumLocks.set(answer.text(column)) }
        seesPrimary = set(.seesPrimary)
        unreachable = set(.unreachable)
        dead = set(.dead)
        async = set(.async)
        routersStuck = set(.routersStuck)
        here = set(.here)
        switchoverAsked = answer.number(.switchover) == 1
        let asked = answer.number(.request) ?? 0
        failoverAsked = asked & 1 != 0
        lossAccepted = asked & 2 != 0
        resumeAsked = asked & 4 != 0
        trustAsked = asked & 8 != 0
        semiSync = SemiSync(
            variables: answer.text(.variables), status: answer.text(.semiSync),
            acknowledgers: answer.text(.acknowledgers))
        bootsClosed = answer.text(.startsClosed) == "ON"
        receiverMark = StableHash.of(answer.text(.receiver) ?? "")
        started = Self.started(answer)
        keepsReceived = Self.keepsReceived(SemiSync.pairs(answer.text(.variables)))
        self.filtered = filtered ?? Self.filters(answer)
    }

    /// By the server's own clock. Nil where performance_schema is off.
    private static func started(_ answer: ServerAnswer) -> Int64? {
        guard let now = answer.number(.clock),
            let uptime = SemiSync.pairs(answer.text(.semiSync))["uptime"].flatMap({ Int64($0) }),
            (0...now).contains(uptime)
        else { return nil }
        return now - uptime
    }

    /// What the replica has received, and acknowledged, is there after a crash of its host.
    /// https://dev.mysql.com/doc/refman/8.4/en/replication-solutions-unexpected-replica-halt.html
    private static func keepsReceived(_ set: [String: String]) -> Bool {
        set["relay_log_recovery"] == "OFF"
            && ["sync_relay_log", "sync_binlog", "innodb_flush_log_at_trx_commit"].allSatisfy { set[$0] == "1" }
    }

    /// What makes a replica's data differ although it lacks no GTID.
    /// https://dev.mysql.com/doc/refman/8.4/en/replication-options-replica.html
    private static func filters(_ answer: ServerAnswer) -> String {
        let set = SemiSync.pairs(answer.text(.variables))
        var found: [String] = []
        if let count = answer.number(.filters), count > 0 { found.append("replication filters") }
        for name in ["replica_skip_errors", "slave_skip_errors"] {
            if let value = set[name], !["OFF", ""].contains(value.uppercased()) { found.append("\(name) = \(value)") }
        }
        for name in ["replica_exec_mode", "slave_exec_mode"] {
            if let value = set[name], value.uppercased() != "STRICT" { found.append("\(name) = \(value)") }
        }
        return found.joined(separator: ", ")
    }
}
