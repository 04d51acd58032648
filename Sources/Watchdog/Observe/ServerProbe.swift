import MySQLWire

/// Asks one server everything that decisions rest on: one statement, one more on a replica, another before the first
/// promotion, and more while an operation is under way.
struct ServerProbe: Sendable {
    /// How much is asked.
    enum Depth {
        /// The server and its replication: router-led mode, and the steps of an operation.
        case plain
        /// What the agents hold there and what their policy rests on as well.
        case quorum
    }

    let cluster: String
    /// Nil: the plain depth.
    let locks: QuorumLocks?

    init(_ configuration: Configuration, _ depth: Depth) {
        cluster = configuration.cluster
        locks = depth == .quorum ? QuorumLocks(configuration) : nil
    }

    /// The plain depth.
    init(cluster: String) {
        self.cluster = cluster
        locks = nil
    }

    func look(_ options: ConnectionOptions, _ about: About = About(), deadline: Deadline) async -> ServerView {
        let connection: MySQLConnection
        do {
            connection = try await MySQLConnection.connect(options, deadline: deadline)
        } catch {
            return Self.classify(error)
        }
        do {
            let facts = try await facts(connection, about, deadline: deadline)
            await connection.close()
            return .up(facts)
        } catch {
            connection.abort()
            return Self.classify(error)
        }
    }

    /// - Parameter known: the plain form of the look, for a server that greets no new session.
    func facts(
        _ connection: MySQLConnection, _ about: About = About(), known: Known? = nil, deadline: Deadline
    ) async throws(MySQLError) -> ServerFacts {
        let version = connection.serverVersion
        guard version.flavor == .mysql else {
            throw MySQLError(
                .configuration, phase: .command, server: connection.address.description, purpose: Self.purpose,
                message: "\(version) has no MySQL GTIDs: this agent watches MySQL")
        }
        var answer = try await answer(connection, about, known, deadline)
        var channels: [ReplicationChannel] = []
        if answer.number(.channels) != 0 {
            channels = try await connection.query(
                Dialect(version: version).status, purpose: "read the replication status", deadline: deadline
            ).rows.map { ReplicationChannel($0) }
            // Taken away in between, as by a promotion: what is on record may be of before.
            if channels.isEmpty { answer = try await self.answer(connection, about, known, deadline) }
        }
        var facts = try answer.state(version, connection.address)
        facts.channels = channels
        if let locks {
            var quorum = QuorumFacts(answer, filtered: known?.filtered)
            try await readTables(connection, answer, about.members, into: &facts, &quorum, deadline: deadline)
            quorum.strangers = try await strangers(connection, locks, answer, deadline: deadline)
            quorum.nameHeldElsewhere = try await isHeldElsewhere(
                connection, locks, about.name, answer, deadline: deadline)
            try await readLists(connection, locks, about, &quorum, deadline: deadline)
            facts.quorum = quorum
        } else {
            try await readTables(connection, answer, into: &facts, deadline: deadline)
        }
        // A server that may be a stranger; the plain depth knows nobody.
        if known == nil, facts.channels.isEmpty, locks == nil || about.member.map({ $0 != facts.uuid }) ?? false {
            facts.schemas = try await schemas(connection, deadline)
        }
        return facts
    }

    static let purpose = "read the server's state"

    private func answer(
        _ connection: MySQLConnection, _ about: About, _ known: Known?, _ deadline: Deadline
    ) async throws(MySQLError) -> ServerAnswer {
        var question = ServerQuestion(
            cluster: cluster, locks: locks, recorded: about.recorded, members: about.members, known: known)
        let result: ResultSet
        do {
            result = try await Self.read(connection, question.sql, Self.purpose, deadline)
        } catch {
            guard question.recorded, let number = error.number, LedgerSchema.unreadable.contains(number) else {
                throw error
            }
            // They were there a moment ago: the server is being rebuilt, or somebody has changed them.
            question.recorded = false
            result = try await Self.read(connection, question.sql, Self.purpose, deadline)
        }
        guard let row = result.rows.first else { throw ServerAnswer.unreadable(connection.address) }
        return ServerAnswer(row: row, recorded: question.recorded)
    }
}
