import MySQLDump
import MySQLWire

/// How a pass ended.
package struct PassReport: Sendable {
    package var state: ClusterState
    /// 0 ok, 1 an operation is under way, 2 critical or ambiguous, 3 own fault.
    package var exitStatus: Int32
    package var summary: String

    init(state: ClusterState, exitStatus: Int32, summary: String) {
        self.state = state
        self.exitStatus = exitStatus
        self.summary = summary
    }

    init(_ diagnosis: Diagnosis, underWay: Bool) {
        state = diagnosis.state
        summary = diagnosis.summary
        exitStatus = diagnosis.exitStatus(underWay: underWay)
    }
}

extension Diagnosis {
    /// While an operation is under way the states that it passes through say no more than that; clients who are not served
    /// are a fault all the same.
    func exitStatus(underWay: Bool) -> Int32 {
        guard underWay else { return exitStatus }
        return routerProblem == nil ? ExitStatus.warning : ExitStatus.critical
    }

    var exitStatus: Int32 {
        switch state {
        case .ok:
            if routerProblem != nil || stalled || incomplete || exposed || !doubles.isEmpty || !errant.isEmpty
                || closed.contains(where: { $0 == primary }) || unmet.contains(where: \.precondition.isCritical)
            {
                2
            } else {
                closed.isEmpty && unmet.isEmpty && abandoned == nil && stuckRouters.isEmpty ? 0 : 1
            }
        case .unknown: 3
        default: 2
        }
    }
}

/// What `status` prints: the state, why, and what each server and the router said.
package struct StatusReport: Sendable {
    package var state: ClusterState
    package var exitStatus: Int32
    let cluster: String
    let agent: String
    let diagnosis: Diagnosis
    let seen: Observation
    let ledger: Ledger?
    let addresses: Configuration.Servers
    let router: String
    /// What this agent would do next, were it running.
    let next: Step

    package func text() -> String {
        let reason = diagnosis.reason.map { $0 == .nothingToDo ? "" : " (\($0.rawValue))" } ?? ""
        // Both servers may be as they should, and nobody be served.
        let word = state == .ok && exitStatus >= ExitStatus.critical ? "critical" : state.rawValue
        var lines = ["\(word.uppercased())\(reason)  cluster \(cluster), seen by \(agent)"]
        lines += diagnosis.evidence.map { "  - \($0)" }
        for id in ServerID.allCases { lines += describe(id) }
        switch seen.router {
        case .leadsTo(let uuid):
            lines.append(
                "router \(router): leads to \(seen.server(uuid: uuid)?.rawValue ?? "a third server") (\(uuid))")
        case .noAnswer(let why): lines.append("router \(router): no answer: \(why)")
        }
        if let destinations = seen.destinations {
            lines.append("  destinations: \(destinations.map(\.description).joined(separator: ", "))")
        }
        if let ledger {
            lines.append("ledger on \(ledger.server):")
            lines += ledger.rows.map { row in
                "  \(row.id)  \(row.signal)  epoch \(row.epoch), \(row.age / 1000) s ago\(row.alive ? "" : ", gone")"
            }
        }
        lines.append("next: \(next)" + (next.reason.map { " [\($0.code.rawValue)]" } ?? ""))
        // Much of it is a server's word, an error before any login included: a line stays one.
        return lines.map(PrintableText.line).joined(separator: "\n")
    }

    /// What `explain` says beyond that: of servers that take connections and answer nothing.
    package var details: [String] {
        ServerID.allCases.compactMap { id in
            if case .stalled = seen[id] { return "\(id) takes connections, but does not answer: \(Remedy.noGreeting)" }
            guard case .notGreeted = seen.facts(id)?.quorum?.login else { return nil }
            return "new connections to \(id) are not greeted: \(Remedy.noGreeting)"
        }
    }

    private func describe(_ id: ServerID) -> [String] {
        guard let facts = seen.facts(id) else { return ["server \(id) \(addresses[id]): \(seen[id].reason)"] }
        let role = diagnosis.primary.map { $0 == id ? "primary" : "replica" } ?? "role unknown"
        let access = facts.superReadOnly ? "super_read_only" : facts.readOnly ? "read_only" : "writable"
        let mode = facts.isOffline ? ", offline_mode" : ""
        var lines = ["server \(id) \(addresses[id]): \(facts.version), \(role), \(access)\(mode), \(facts.uuid)"]
        lines.append("  executed: \(facts.executed)")
        for channel in facts.channels {
            let health =
                switch channel.health {
                case .running: "running, \(channel.lag.map { "\($0) s behind" } ?? "lag unknown")"
                case .stopped: "stopped"
                case .disconnected(let why), .interrupted(let why), .broken(let why): why
                }
            lines.append("  replicates from \(channel.sourceHost):\(channel.sourcePort): \(health)")
            if channel.delay > 0 {
                lines.append("  delayed by \(channel.delay) s (SOURCE_DELAY): a failover takes that off first")
            }
        }
        if let marker = facts.rebuilding {
            lines.append("  half-made copy of \(marker.source); saved before: \(marker.saved)")
        }
        return lines
    }

    package func json() -> String {
        JSON.object([
            ("state", .string(state.rawValue)), ("exit_status", .number(Int64(exitStatus))),
            ("cluster", .string(cluster)), ("agent", .string(agent)),
            ("primary", diagnosis.primary.map { .string($0.rawValue) } ?? .null),
            ("reason", diagnosis.reason.map { .string($0.rawValue) } ?? .null),
            ("evidence", .array(diagnosis.evidence.map { .string($0) })),
            ("unmet_preconditions", .array(diagnosis.unmet.map(json(unmet:)))),
            ("prepared_transactions", jsonPrepared()),
            ("servers", .object(ServerID.allCases.map { ($0.rawValue, jsonServer($0)) })),
            ("router", jsonRouter()), ("ledger", jsonLedger()), ("next", .string(next.description)),
            ("next_reason", next.reason.map { .string($0.code.rawValue) } ?? .null),
        ]).description
    }

    private func json(unmet: UnmetPrecondition) -> JSON {
        .object([
            ("code", .string(unmet.precondition.rawValue)), ("server", .string(unmet.server.rawValue)),
            ("takes", .string(unmet.precondition.takes.rawValue)), ("critical", .bool(unmet.precondition.isCritical)),
            ("text", .string(unmet.text)), ("remedy", .string(unmet.precondition.remedy)),
        ])
    }

    /// Null: none that nobody ends.
    private func jsonPrepared() -> JSON {
        guard let found = diagnosis.abandoned else { return .null }
        return .object([
            ("abandoned", .number(Int64(found.count))), ("oldest_seconds", .number(Int64(found.age))),
            ("xids", found.prepared.map { .array($0.prefix(100).map { .string($0.xid) }) } ?? .null),
        ])
    }

    private func jsonServer(_ id: ServerID) -> JSON {
        guard let facts = seen.facts(id) else {
            return .object([
                ("address", .string(addresses[id].description)), ("up", .bool(false)),
                ("reason", .string(seen[id].reason)),
            ])
        }
        return .object([
            ("address", .string(addresses[id].description)), ("up", .bool(true)), ("uuid", .string(facts.uuid)),
            ("version", .string(facts.version.description)), ("read_only", .bool(facts.readOnly)),
            ("super_read_only", .bool(facts.superReadOnly)), ("offline_mode", .bool(facts.isOffline)),
            ("gtid_executed", .string(facts.executed.description)),
            ("rebuilding", .bool(facts.rebuilding != nil)),
            (
                "replication",
                .array(
                    facts.channels.map { channel in
                        .object([
                            ("source", .string("\(channel.sourceHost):\(channel.sourcePort)")),
                            ("source_uuid", .string(channel.sourceUUID)),
                            ("receiver", .string(channel.receiver.rawValue)), ("applier", .bool(channel.applierRuns)),
                            ("receiver_error", .string(channel.receiverError)),
                            ("applier_error", .string(channel.applierError)),
                            ("seconds_behind", channel.lag.map { .number(Int64($0)) } ?? .null),
                        ])
                    })
            ),
        ])
    }

    private func jsonRouter() -> JSON {
        var fields: [(String, JSON)] = [("address", .string(router))]
        switch seen.router {
        case .leadsTo(let uuid):
            fields.append(("leads_to", .string(uuid)))
            fields.append(("server", seen.routed.map { .string($0.rawValue) } ?? .null))
        case .noAnswer(let why): fields.append(("error", .string(why)))
        }
        fields.append(
            ("destinations", seen.destinations.map { .array($0.map { .string($0.description) }) } ?? .null))
        return .object(fields)
    }

    private func jsonLedger() -> JSON {
        guard let ledger else { return .null }
        return .object([
            ("server", .string(ledger.server.rawValue)),
            (
                "signals",
                .array(
                    ledger.rows.map { row in
                        .object([
                            ("id", .number(Int64(clamping: row.id))), ("event", .string(row.signal.description)),
                            ("agent", .string(row.agent)), ("epoch", .number(Int64(clamping: row.epoch))),
                            ("alive", .bool(row.alive)), ("age_ms", .number(row.age)),
                        ])
                    })
            ),
        ])
    }
}
