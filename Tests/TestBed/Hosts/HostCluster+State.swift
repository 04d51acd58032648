import Foundation
import MySQLWire

extension HostCluster {
    /// The one primary of a cluster in which everything is as it should be: one server open, the other closed and
    /// replicating from it, semi-sync in force, no ledger anywhere, every router leading to the primary.
    /// - Throws: `TestBedError` that names the first thing that is not so.
    public func whole() async throws -> MySQLServer {
        let primary = try await options.mode == .quorum ? onlyOpenServer() : onlyServerWithoutSource()
        try await replicates(other(than: primary), from: primary)
        for backend in backends {
            guard try await backend.serverBehindRouter() == primary.savedUUID else {
                throw TestBedError("the router of \(backend.name) does not lead to \(primary.name)")
            }
        }
        return primary
    }

    /// Quorum mode: the primary is open, the replica closed.
    private func onlyOpenServer() async throws -> MySQLServer {
        var open: [MySQLServer] = []
        for server in servers {
            let row =
                try await server.ask(
                    """
                    SELECT @@GLOBAL.super_read_only, @@GLOBAL.read_only,
                      (SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'ongoing_rebuild')
                    """
                ).first ?? []
            guard row.count == 3, row[2] == "0", try await ledgerRows(on: server) == 0 else {
                throw TestBedError("an operation is under way on \(server.name)")
            }
            switch (row[0], row[1]) {
            case ("0", "0"): open.append(server)
            case ("1", _): break
            default: throw TestBedError("\(server.name) is half closed: read_only without super_read_only")
            }
        }
        guard open.count == 1 else {
            throw TestBedError(open.isEmpty ? "no server is open" : "both servers are open")
        }
        return open[0]
    }

    /// Router-led mode: both are open, one of them replicates.
    private func onlyServerWithoutSource() async throws -> MySQLServer {
        var primaries: [MySQLServer] = []
        for server in servers {
            let row =
                try await server.ask(
                    """
                    SELECT @@GLOBAL.read_only,
                      (SELECT COUNT(*) FROM information_schema.schemata
                       WHERE schema_name IN ('ongoing_failover', 'ongoing_rebuild')),
                      (SELECT COUNT(*) FROM performance_schema.replication_connection_configuration)
                    """
                ).first ?? []
            guard row.count == 3, row[1] == "0" else {
                throw TestBedError("an operation is under way on \(server.name)")
            }
            guard row[0] == "0" else { throw TestBedError("\(server.name) is closed") }
            if row[2] == "0" { primaries.append(server) }
        }
        guard primaries.count == 1 else { throw TestBedError("\(primaries.count) servers have no source") }
        return primaries[0]
    }

    /// Waits until every agent takes the primary for synchronous: until then a loss that cannot be ruled out forbids an
    /// automatic failover, and an agent sees semi-sync back in force a look or two after it is.
    func takenForSynchronous() async throws {
        guard options.semiSync else { return }
        try await eventually("every agent takes the primary for synchronous", within: .seconds(30)) {
            try backends.allSatisfy { backend in
                guard backend.isAgentRunning else { return true }
                let state = try String(
                    contentsOfFile: backend.workingDirectory + "/repl-watchdog.quorum", encoding: .utf8)
                return state.split(separator: "\n").contains("sync=1")
            }
        }
    }

    /// The agents keep the ledger's table: rows say that an operation is under way.
    func ledgerRows(on server: MySQLServer) async throws -> Int {
        do {
            return try await server.ask("SELECT COUNT(*) FROM ongoing_failover.status").first?.first.flatMap {
                $0.flatMap { Int($0) }
            } ?? 0
        } catch let error as MySQLError where error.number == 1049 || error.number == 1146 {
            return 0
        }
    }

    public func other(than server: MySQLServer) -> MySQLServer { server.name == a.name ? b : a }

    private func replicates(_ replica: MySQLServer, from primary: MySQLServer) async throws {
        let channels = try await replica.ask(
            """
            SELECT c.port, s.service_state, w.service_state, s.last_error_number
            FROM performance_schema.replication_connection_configuration c
            JOIN performance_schema.replication_connection_status s USING (channel_name)
            JOIN performance_schema.replication_applier_status w USING (channel_name)
            """)
        guard channels.count == 1, channels[0] == ["\(primary.port)", "ON", "ON", "0"] else {
            throw TestBedError("\(replica.name) does not replicate from \(primary.name): \(channels)")
        }
        let of = try await primary.ask("SELECT COUNT(*) FROM performance_schema.replication_connection_configuration")
        guard of == [["0"]] else { throw TestBedError("\(primary.name) is open and has a source of its own") }
        guard options.semiSync else { return }
        let semiSync = try await primary.ask(
            """
            SELECT variable_value FROM performance_schema.global_status
            WHERE variable_name IN ('Rpl_semi_sync_source_clients', 'Rpl_semi_sync_source_status')
            ORDER BY variable_name
            """)
        // After a cut the dump thread of the old connection is counted for a while beside the new one.
        guard semiSync.count == 2, semiSync[0] != ["0"], semiSync[1] == ["ON"] else {
            throw TestBedError("semi-sync on \(primary.name), replicas and status: \(semiSync)")
        }
    }

    /// Waits until the cluster is whole and stays so for `hold`, while every host's writers get on.
    /// - Returns: the primary.
    @discardableResult
    public func settled(
        _ writers: Writers? = nil, hold: Duration = .seconds(2), within limit: Duration = .seconds(90)
    ) async throws -> MySQLServer {
        var since: (primary: MySQLServer, at: ContinuousClock.Instant)?
        var found = a
        try await eventually("the cluster is whole again", within: limit, every: .milliseconds(250)) {
            do {
                found = try await whole()
                if let writers {
                    let recent = writers.log.acknowledged(since: .now - .seconds(2))
                    let hosts = Set(recent.map { writers.host(of: $0.row.writer) })
                    guard hosts.count == backends.count else {
                        throw TestBedError("in the last 2 s only the writers of hosts \(hosts.sorted()) got on")
                    }
                }
            } catch {
                since = nil
                throw error
            }
            guard let from = since, from.primary.name == found.name else {
                since = (found, .now)
                throw TestBedError("whole only just now")
            }
            return from.at.duration(to: .now) >= hold
        }
        return found
    }

    /// The servers that were promoted, in order, as the primary's own history has it.
    public func promotions(on primary: MySQLServer) async throws -> [String] {
        do {
            return try await primary.ask("SELECT primary_uuid FROM repl_watchdog.history ORDER BY epoch")
                .compactMap { $0.first ?? nil }
        } catch let error as MySQLError where error.number == 1049 || error.number == 1146 {
            return []
        }
    }

    /// The dumps which agents have saved in their working directories: path and text of each.
    public func savedDumps() throws -> [(path: String, text: String)] {
        var dumps: [(path: String, text: String)] = []
        for backend in backends {
            let files = (try? FileManager.default.contentsOfDirectory(atPath: backend.workingDirectory)) ?? []
            for file in files.sorted() where file.hasSuffix(".sql.gz") {
                let path = "\(backend.workingDirectory)/\(file)"
                let (status, data) = try captured("/bin/gzip", ["-dc", path])
                guard status == 0 else { throw TestBedError("\(path) is damaged") }
                dumps.append((path, String(decoding: data, as: UTF8.self)))
            }
        }
        return dumps
    }

    /// Rows of the writers that stand in these dumps.
    public func savedRows() throws -> Set<RowID> {
        var rows: Set<RowID> = []
        for dump in try savedDumps() {
            for match in dump.text.matches(of: #/\((\d+),(\d+),'row /#) {
                rows.insert(RowID(writer: Int(match.1) ?? 0, n: Int(match.2) ?? 0))
            }
        }
        return rows
    }
}
