import Foundation
import MySQLWire

/// What several faults do with agents and operators, and how they look at what these say.
extension Fault.Context {
    /// Does something while no agent looks: they sleep meanwhile, for less time than the servers keep their sessions.
    func unseen(_ body: () async throws -> Void) async throws {
        for backend in cluster.backends { backend.freezeAgent() }
        defer { for backend in cluster.backends { backend.thawAgent() } }
        try await body()
    }

    /// Stops an agent, changes its configuration and starts it again.
    func reconfigure(_ backend: Backend, _ change: (String) -> String) async throws {
        await backend.stopAgent()
        try backend.folder.write("agent.toml", change(backend.folder.read("agent.toml")))
        try backend.startAgent()
    }

    /// Waits until `explain` on this host says all of this.
    /// - Returns: the exit status with which it did.
    @discardableResult
    func explained(
        _ words: [String], on backend: Backend, within limit: Duration = .seconds(15)
    ) async throws -> Int32 {
        var said = (status: Int32(-1), output: "")
        do {
            try await eventually("explain says \(words)", within: limit, every: .milliseconds(200)) {
                said = try await backend.command(["explain"])
                return words.allSatisfy { said.output.contains($0) }
            }
        } catch {
            throw TestBedError("\(error); explain on \(backend.name) ended with \(said.status): \(said.output)")
        }
        return said.status
    }

    /// An operator's command that has to be refused.
    func refused(_ arguments: [String], on backend: Backend) async throws {
        let (status, output) = try await backend.command(arguments)
        if status == 0 { violation("\(arguments.joined(separator: " ")) was not refused: \(output)") }
    }

    /// The lists that agents have put beside dumps of a server's data before it was rebuilt, by path.
    func lists(of server: MySQLServer) -> [String: String] {
        var lists: [String: String] = [:]
        for backend in cluster.backends {
            let files = (try? FileManager.default.contentsOfDirectory(atPath: backend.workingDirectory)) ?? []
            for file in files where file.hasSuffix(".sql.gz.txt") {
                let text = backend.folder.read("work/\(file)")
                if text.contains("server_uuid \(server.savedUUID), as it was") {
                    lists["\(backend.name)/\(file)"] = text
                }
            }
        }
        return lists
    }

    /// Starts the former primary and waits until the transactions that only it has are saved and listed.
    func returnsAhead(_ server: MySQLServer) async throws {
        let before = Set(lists(of: server).keys)
        try await server.start()
        let title = "Transactions that only this server had (not on the primary): "
        try await eventually("what only \(server.name) has is saved and listed", within: .seconds(60)) {
            for (path, text) in lists(of: server) where !before.contains(path) {
                guard let start = text.range(of: title) else { continue }
                let gtids = text[start.upperBound...].prefix { $0 != "\n" }
                if gtids.contains(server.savedUUID) {
                    note("saved \(gtids.replacing(server.savedUUID, with: server.name))")
                    return true
                }
            }
            return false
        }
    }

    /// Statements on a server that leave no trace in its binary log, with super_read_only lifted for that moment where
    /// it is set.
    func untraced(_ server: MySQLServer, _ statements: String) async throws {
        let closed = try await server.ask("SELECT @@GLOBAL.super_read_only") == [["1"]]
        let text = "SET SESSION sql_log_bin = 0; \(statements);"
        try await server.sql(
            closed ? "SET GLOBAL super_read_only = OFF; \(text) SET GLOBAL super_read_only = ON;" : text)
    }
}
