import Glibc
import MySQLWire

/// What was done to the local router.
package struct TurnReport: Sendable, Equatable {
    /// The file's destinations were changed.
    package var changedFile: Bool
    package var restarted: Bool
    /// The server_uuid that the router's own port led to at the end.
    package var verifiedUUID: String

    package init(changedFile: Bool, restarted: Bool, verifiedUUID: String) {
        self.changedFile = changedFile
        self.restarted = restarted
        self.verifiedUUID = verifiedUUID
    }
}

/// The local mysqlrouter: its file, its process (by the configured commands), and where its port leads.
package struct LocalRouter: Sendable {
    private let configuration: Configuration

    package init(configuration: Configuration) { self.configuration = configuration }

    private var router: Configuration.Router { configuration.router }

    /// The destinations that the file gives, in order.
    package func currentDestinations() async throws(RouterError) -> [ServerAddress] {
        let snapshot = try AtomicFile.read(router.configFile)
        return try named { () throws(RouterError) in
            try RouterFile(bytes: snapshot.bytes).destinations(section: router.section)
        }
    }

    /// The text of an option of the router's section.
    func option(_ name: String) async throws(RouterError) -> String? {
        let snapshot = try AtomicFile.read(router.configFile)
        return try named { () throws(RouterError) in
            try RouterFile(bytes: snapshot.bytes).text(of: name, section: router.section)
        }
    }

    /// Changes the file's destinations and nothing else in it; with the file's owner, mode and attributes.
    /// - Returns: false if they were so already.
    package func setDestinations(_ addresses: [ServerAddress]) async throws(RouterError) -> Bool {
        try InPlaceFile(workingDirectory: configuration.workingDirectory).finishInterrupted()
        let snapshot = try AtomicFile.read(router.configFile)
        let old = RouterFile(bytes: snapshot.bytes)
        let new = try named { () throws(RouterError) in
            try old.settingDestinations(addresses, section: router.section)
        }
        if new == old { return false }
        try AtomicFile.replace(snapshot, with: new.bytes, workingDirectory: configuration.workingDirectory)
        return true
    }

    /// What the file is to say where the router leads to the target.
    func destinations(of target: ServerAddress, other: ServerAddress) -> [ServerAddress] {
        router.destinations == .primaryFirst ? [target, other] : [target]
    }

    /// What the file says where it does not lead to the target, and what it is to say.
    func deviation(from target: ServerAddress, other: ServerAddress) async throws(RouterError) -> Deviation? {
        try InPlaceFile(workingDirectory: configuration.workingDirectory).finishInterrupted()
        let wanted = destinations(of: target, other: other)
        guard try await currentDestinationsDiffer(from: wanted) else { return nil }
        return Deviation(found: try await option(RouterFile.option) ?? "", wanted: wanted)
    }

    struct Deviation: Sendable {
        var found: String
        var wanted: [ServerAddress]
    }

    /// The file's other sections that lead to one of the two servers.
    func otherSections() throws(RouterError) -> [RouterFile.OtherSection] {
        RouterFile(bytes: try AtomicFile.read(router.configFile).bytes).otherSections(
            than: router.section, leadingTo: [configuration.servers.a, configuration.servers.b])
    }

    /// How the file is replaced; found out without changing it.
    func wayToWrite() throws(RouterError) -> AtomicFile.Way {
        try AtomicFile.way(try AtomicFile.read(router.configFile))
    }

    /// Runs the configured restart command.
    package func restart(deadline: Deadline) async throws(RouterError) {
        try await RouterCommand.run(router.restart, purpose: "restart mysqlrouter", deadline: deadline)
    }

    /// Runs the configured stop command.
    package func stop(deadline: Deadline) async throws(RouterError) {
        try await RouterCommand.run(router.stop, purpose: "stop mysqlrouter", deadline: deadline)
    }

    /// Points the router to the target and proves it through the router's own port.
    ///
    /// The router is restarted if the file had to be changed, if an earlier restart was begun and not finished, or if
    /// its port does not lead to the target: a router over two destinations stays on the one it has turned to until
    /// it is restarted.
    /// - Parameters:
    ///   - other: the second destination where the configuration says primary-first.
    ///   - expectedUUID: the target's server_uuid.
    /// - Throws: `RouterError`; `leadsElsewhere` and `unanswered` say what the port did when the deadline passed.
    package func turn(
        to target: ServerAddress, other: ServerAddress, expectedUUID: String, deadline: Deadline
    ) async throws(RouterError) -> TurnReport {
        try InPlaceFile(workingDirectory: configuration.workingDirectory).finishInterrupted()
        let wanted = destinations(of: target, other: other)
        let unfinished = access(marker, F_OK) == 0
        let different = try await currentDestinationsDiffer(from: wanted)
        if different { try setMarker() }
        let changed = try await setDestinations(wanted)
        var restarted = false
        var due = changed || unfinished
        if !due {
            let led = try? await identity(deadline: probe(deadline))
            due = led != expectedUUID
        }
        if due {
            try setMarker()
            try await restart(deadline: deadline)
            clearMarker()
            restarted = true
        } else if different {
            clearMarker()
        }
        try await awaitIdentity(expectedUUID, target: target, deadline: deadline)
        return TurnReport(changedFile: changed, restarted: restarted, verifiedUUID: expectedUUID)
    }

    /// Asks the server behind the router's port who it is.
    package func identity(deadline: Deadline) async throws(MySQLError) -> String {
        let purpose = "ask through the router which server answers"
        let connection = try await MySQLConnection.connect(configuration.routerOptions(), deadline: deadline)
        let answer: ResultSet
        do {
            answer = try await connection.query("SELECT @@server_uuid AS uuid", purpose: purpose, deadline: deadline)
        } catch {
            connection.abort()
            throw error
        }
        await connection.close()
        guard let uuid = answer.rows.first?.string("uuid"), !uuid.isEmpty else {
            throw MySQLError(
                .conversion, phase: .reply, server: "\(router.address)", purpose: purpose,
                message: "the answer holds no server_uuid")
        }
        return uuid
    }

    /// The port greets, offers no TLS, and the mode does not do without: `client_ssl_mode = DISABLED`, or a server without
    /// a certificate behind it.
    static func offersNoTLS(_ error: MySQLError) -> Bool { error.code == .tls && error.phase == .greeting }

    static let withoutTLS =
        "set router.tls = \"disabled\": this host's agent asks its own router without TLS then, and the servers as before; "
        + "or client_ssl_mode = PASSTHROUGH in the router's section"

    /// Polls the port until it leads to the target or the deadline passes.
    private func awaitIdentity(
        _ expected: String, target: ServerAddress, deadline: Deadline
    ) async throws(RouterError) {
        var last: RouterError?
        repeat {
            do {
                let uuid = try await identity(deadline: probe(deadline))
                if uuid == expected { return }
                last = RouterError(
                    .leadsElsewhere(serverUUID: uuid),
                    "the router at \(router.address) leads to server \(uuid), not to \(target) (\(expected)); "
                        + "look at its destinations and its log")
            } catch {
                // A question that was cut short, by the deadline or by us, says less than the answer before it.
                if last == nil || !(deadline.hasPassed || Task.isCancelled) {
                    last = RouterError(
                        .unanswered,
                        "the router at \(router.address) does not lead to \(target) (\(expected)): \(error); "
                            + (Self.offersNoTLS(error)
                                ? Self.withoutTLS : "see whether mysqlrouter runs and what its log says"))
                }
            }
            // Short: a router that has just been started listens within some tens of milliseconds.
            try? await Task.sleep(for: min(.milliseconds(100), deadline.remaining))
        } while !deadline.hasPassed && !Task.isCancelled
        throw last ?? RouterError(.unanswered, "the router at \(router.address) was not asked: no time was left")
    }

    /// One question's own deadline: a single silent attempt must not use up the time of all.
    private func probe(_ deadline: Deadline) -> Deadline {
        min(deadline, .after(configuration.agent.probeTimeout))
    }

    private func currentDestinationsDiffer(from wanted: [ServerAddress]) async throws(RouterError) -> Bool {
        let file = RouterFile(bytes: try AtomicFile.read(router.configFile).bytes)
        return try named { () throws(RouterError) in
            try file.settingDestinations(wanted, section: router.section) != file
        }
    }

    // A restart that was begun and not finished must be made good by the next pass, which finds the file already
    // right and the port perhaps still served by the old process. The marker tells it so.

    private var marker: String { "\(configuration.workingDirectory)/router-restart-pending" }

    private func setMarker() throws(RouterError) {
        let file = open(marker, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw RouterError(.file(errno: errno), "cannot create \(marker): \(systemText(errno))")
        }
        close(file)
        try AtomicFile.flushDirectory(configuration.workingDirectory)
    }

    private func clearMarker() { unlink(marker) }

    /// Puts the file's name before a message about its text.
    private func named<T>(_ body: () throws(RouterError) -> T) throws(RouterError) -> T {
        do {
            return try body()
        } catch {
            throw RouterError(error.cause, "\(router.configFile): \(error.message)")
        }
    }
}
