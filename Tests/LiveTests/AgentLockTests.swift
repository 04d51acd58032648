import Logging
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// What agents say by locks, and whose locks say it.
@Suite struct AgentLockTests {
    /// What an agent says of its router is read on every host.
    @Test func aRouterThatIsStuckIsSaidByALock() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web0", configuration.agent.name]
            let sessions = LockSessions(configuration, Logger(label: "test")) {}
            let reader = configuration
            func stuck() async throws -> PerServer<AgentSet> {
                var sets = PerServer<AgentSet>()
                for id in ServerID.allCases {
                    let view = await ServerProbe(reader, .quorum).look(
                        reader.connectionOptions(reader.servers[id]), deadline: .after(.seconds(60)))
                    sets[id] = try #require(view.facts?.quorum, "\(view.reason)").routersStuck
                }
                return sets
            }
            for id in ServerID.allCases { await sessions.open(id, as: .present) }
            try await eventually("both sessions are open") {
                let a = await sessions[.a]
                let b = await sessions[.b]
                return a != nil && b != nil
            }
            for isStuck in [false, true, false] {
                await sessions.say(routerStuck: isStuck)
                await sessions.giveBack(Orders.Locks())
                await sessions.take(Orders.Locks())
                let sets = try await stuck()
                for id in ServerID.allCases { #expect(sets[id] == (isStuck ? AgentSet([1]) : AgentSet())) }
            }
            await sessions.close()
        }
    }

    /// While two wait for one name each tries it at every round; the log says so once.
    @Test func aNameThatIsTakenIsLoggedOnce() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = [configuration.agent.name]
            let deadline = Deadline.after(.seconds(60))
            let sessions = LockSessions(configuration, backends.journal.logger("web1")) {}
            func lines() -> Int { backends.journal.all.count { $0.metadata["event"] == "name-taken" } }
            /// Each try is a connection.
            func tries() async throws -> Int {
                let rows = try await backends.cluster.a.sql(
                    """
                    SELECT SUM(total_connections) FROM performance_schema.accounts
                    WHERE user = '\(TestAccount.agent.user)'
                    """)
                return Int(rows.first?.first ?? "") ?? 0
            }
            for expected in 1...2 {
                var other: LockSession?
                try await eventually("somebody else has the name") {
                    other = try await LockSession.open(configuration, .a, deadline: deadline)
                    return other != nil
                }
                let before = try await tries()
                try await eventually("it is tried again and again", within: .seconds(30)) {
                    await sessions.open(.a, as: .present)
                    return try await tries() > before + 4
                }
                #expect(lines() == expected)
                other?.close()
                try await eventually("it is open", within: .seconds(30)) {
                    await sessions.open(.a, as: .present)
                    return await sessions[.a] != nil
                }
                await sessions[.a]?.close()
            }
            await sessions.close()
        }
    }

    /// GET_LOCK needs no privilege.
    @Test func aLockOfAnotherAccountSaysNothing() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let (server, locks) = (backends.cluster.a, QuorumLocks(configuration))
            let (account, deadline) = (server.connectionOptions(.application), Deadline.after(.seconds(60)))
            let cluster = configuration.cluster
            let names =
                configuration.agents.flatMap { agent in
                    QuorumLocks.Kind.allCases.map { locks.name($0, agent) }
                        + [locks.presence(agent), locks.double(agent), LedgerSchema.agentLock(cluster, agent)]
                } + [
                    QuorumLocks.switchover(cluster), QuorumLocks.failover(cluster), QuorumLocks.loss(cluster),
                    QuorumLocks.resume(cluster), QuorumLocks.trust(cluster), LedgerSchema.operationLock(cluster),
                    LedgerSchema.scanLock(cluster),
                ]
            func intruder() async throws -> MySQLConnection {
                let intruder = try await MySQLConnection.connect(account, deadline: deadline)
                for name in names { _ = try await intruder.query("SELECT GET_LOCK('\(name)', 0)", deadline: deadline) }
                return intruder
            }
            func look() async throws -> (ServerFacts, QuorumFacts) {
                let view = await ServerProbe(configuration, .quorum).look(
                    configuration.connectionOptions(configuration.servers.a), deadline: deadline)
                let facts = try #require(view.facts, "\(view.reason)")
                return (facts, try #require(facts.quorum))
            }
            let first = try await intruder()
            var (facts, quorum) = try await look()
            #expect(
                !facts.operationLocked && quorum.votes.isEmpty && quorum.seesPrimary.isEmpty && quorum.async.isEmpty)
            #expect(!quorum.switchoverAsked && !quorum.failoverAsked && !quorum.lossAccepted && !quorum.resumeAsked)
            #expect(quorum.here.isEmpty && quorum.strangers.isEmpty && quorum.routersStuck.isEmpty)
            for majority in [locks.majority(.seesPrimary), locks.majority(.async)] {
                #expect(try await server.sql("SELECT \(majority)", as: .agent) == [["0"]])
            }

            // An agent that needs one takes it away.
            let lockSession = try #require(try await LockSession.open(configuration, .a, deadline: deadline))
            await #expect(throws: MySQLError.self) { try await first.query("SELECT 1", deadline: deadline) }
            let second = try await intruder()
            try await lockSession.hold(.seesPrimary, true)
            let ledger = try #require(
                try await LedgerSession.open(
                    configuration.connectionOptions(configuration.servers.a), server: .a, agent: "web1",
                    cluster: cluster, keepsTables: true, deadline: deadline))
            #expect(try await ledger.takeOperationLock())
            try await ledger.scan(seen: "")
            await #expect(throws: MySQLError.self) { try await second.query("SELECT 1", deadline: deadline) }
            (facts, quorum) = try await look()
            #expect(facts.operationLocked && quorum.seesPrimary.contains(0) && quorum.here.contains(0))
            #expect(facts.ledger?.first?.alive == true)
            // Nor does a row of whoever may write everywhere.
            let third = try await MySQLConnection.connect(account, deadline: deadline)
            _ = try await third.query("SELECT GET_LOCK('of its own', 0)", deadline: deadline)
            try await server.sql(
                """
                INSERT INTO ongoing_failover.status (event, agent, epoch, seen, session, agent_lock, at)
                VALUES ('MAST web9', 'web9', 7, '', \(third.connectionID), 'of its own', UTC_TIMESTAMP(6))
                """)
            (facts, quorum) = try await look()
            let forged = try #require(facts.ledger?.last)
            #expect(forged.agent == "web9" && !forged.alive)
            try await server.sql("DELETE FROM ongoing_failover.status WHERE agent = 'web9'")
            await third.close()

            // A lock of the agents' own account is not taken away.
            let other = try await MySQLConnection.connect(server.connectionOptions(.agent), deadline: deadline)
            let taken = try await AgentLock.take(LedgerSchema.operationLock(cluster)) {
                sql, _ async throws(MySQLError) in
                try await other.query(sql, deadline: deadline)
            }
            #expect(!taken && ledger.isOpen)
            #expect(try await ledger.holdsOperationLock())
            await other.close()
            await ledger.close()
            lockSession.close()
        }
    }
}
