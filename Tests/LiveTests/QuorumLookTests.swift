import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// What an agent asks a server each second, counted by the server.
@Suite struct QuorumLookTests {
    @Test func aLookIsOneStatementOnAPrimaryAndTwoOnAReplica() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let probe = ServerProbe(configuration, .quorum)

            /// The channels that a look finds, and the statements that it costs, its COM_QUIT included.
            func look(_ server: MySQLServer, _ id: ServerID) async throws -> ([ReplicationChannel], Int) {
                func questions() async throws -> Int {
                    try #require(Int(try await server.sql("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]))
                }
                let before = try await questions()
                // What the counting itself costs lies between two counts.
                let alone = try await questions() - before
                let options = configuration.connectionOptions(configuration.servers[id])
                let start = try await questions()
                let view = await probe.look(options, deadline: .after(.seconds(10)))
                let facts = try #require(view.facts, "\(view.reason)")
                return (facts.channels, try await questions() - start - alone)
            }

            let (none, primary) = try await look(backends.cluster.a, .a)
            #expect(none.isEmpty)
            // The session's own preparation and its end are two more.
            #expect(primary == 3)
            let (one, replica) = try await look(backends.cluster.b, .b)
            #expect(one.map(\.health) == [.running])
            #expect(replica == 4)

            func filtered() async throws -> String? {
                let options = configuration.connectionOptions(configuration.servers.b)
                return await probe.look(options, deadline: .after(.seconds(10))).facts?.quorum?.filtered
            }
            #expect(try await filtered() == "")
            try await backends.cluster.b.sql(
                "STOP REPLICA; CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = (elsewhere); "
                    + "SET GLOBAL replica_exec_mode = 'IDEMPOTENT'; START REPLICA;")
            let found = try #require(try await filtered())
            #expect(found.hasPrefix("replication filters, replica_exec_mode = IDEMPOTENT"), "\(found)")
            // The server keeps a row for a filter that was taken away.
            try await backends.cluster.b.sql(
                "STOP REPLICA; CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = (); "
                    + "SET GLOBAL replica_exec_mode = 'STRICT'; START REPLICA;")
            #expect(try await filtered() == "")

            // A channel that does nothing is one; a server that was promoted has none.
            try await backends.cluster.b.sql("STOP REPLICA")
            let (stopped, _) = try await look(backends.cluster.b, .b)
            #expect(stopped.map(\.receiver) == [.off])
            try await backends.cluster.b.sql("RESET REPLICA ALL")
            let (gone, promoted) = try await look(backends.cluster.b, .b)
            #expect(gone.isEmpty)
            #expect(promoted == 3)
        }
    }

    /// Agents are let in where nobody else is.
    @Test func aServerThatLetsNobodyInButAdministratorsSaysSo() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let options = configuration.connectionOptions(configuration.servers.a)
            for mode in ["ON", "OFF"] {
                try await backends.cluster.a.sql("SET GLOBAL offline_mode = \(mode)")
                for depth in [ServerProbe.Depth.plain, .quorum] {
                    let view = await ServerProbe(configuration, depth).look(options, deadline: .after(.seconds(10)))
                    let facts = try #require(view.facts, "\(view.reason)")
                    #expect(facts.isOffline == (mode == "ON") && facts.performanceSchema, "\(depth)")
                }
                let status = await backends.agent(0).status()
                #expect(
                    status.diagnosis.unmet.map(\.precondition) == (mode == "ON" ? [.primaryOffline] : []),
                    "\(status.text())")
            }
            // In router-led mode as well.
            try await backends.cluster.b.sql("SET GLOBAL offline_mode = ON")
            try await eventually("b replicates again, in offline_mode") {
                let status = await backends.agent(0).status()
                return status.state == .ok && status.exitStatus == 1 && status.text().contains("[replica-offline]")
            }
        }
    }

    /// What somebody has set for everybody changes nothing of what an agent reads.
    @Test func theServersSettingsDoNotCutAnAnswerShort() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let server = backends.cluster.a
            try await server.sql(LedgerSchema.standing.joined(separator: "; "))
            func record(_ epoch: Int) async throws {
                try await server.sql(
                    """
                    SET SESSION transaction_read_only = 0, autocommit = 1;
                    INSERT INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed)
                        VALUES (\(epoch), @@server_uuid, '', 'web1', 'primary-dead', '')
                    """)
            }
            try await record(1)
            let probe = ServerProbe(configuration, .quorum)
            let options = configuration.connectionOptions(configuration.servers.a)
            try await server.sql(
                """
                SET GLOBAL autocommit = 0, GLOBAL sql_mode = 'ANSI,HIGH_NOT_PRECEDENCE', GLOBAL sql_select_limit = 1,
                    GLOBAL max_join_size = 1, GLOBAL group_concat_max_len = 4, GLOBAL max_execution_time = 1,
                    GLOBAL transaction_isolation = 'SERIALIZABLE', GLOBAL transaction_read_only = 1
                """)
            let session = try await MySQLConnection.connect(options, deadline: .after(.seconds(10)))
            defer { session.abort() }
            for recorded in [false, true] {
                let facts = try await probe.facts(session, .init(recorded: recorded), deadline: .after(.seconds(10)))
                #expect(facts.promotion?.epoch == 1 && facts.quorum?.recorded == true)
                #expect(facts.quorum?.control.failoversToday == 1)
            }
            // Nor does a session go on in the snapshot of its first look.
            try await record(2)
            let later = try await probe.facts(session, .init(recorded: true), deadline: .after(.seconds(10)))
            #expect(later.promotion?.epoch == 2)
        }
    }

    /// Anybody with a right to create it could close every router with it otherwise.
    @Test func aTableOfAnotherShapeDoesNotHideAServer() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let server = backends.cluster.a
            try await server.sql(
                """
                CREATE DATABASE ongoing_failover; CREATE TABLE ongoing_failover.status (n INT);
                INSERT INTO ongoing_failover.status VALUES (1); CREATE DATABASE repl_watchdog;
                CREATE TABLE repl_watchdog.history (n INT); CREATE TABLE repl_watchdog.control (n INT);
                CREATE DATABASE ongoing_rebuild; CREATE TABLE ongoing_rebuild.marker (n INT)
                """)
            let plain = await ServerProbe(configuration, .plain).look(
                configuration.connectionOptions(configuration.servers.a), deadline: .after(.seconds(10)))
            let seen = try #require(plain.facts, "\(plain.reason)")
            #expect(seen.ledger == nil && seen.promotion == nil && seen.rebuilding == nil)
            for recorded in [false, true] {
                let view = await ServerProbe(configuration, .quorum).look(
                    configuration.connectionOptions(configuration.servers.a), .init(recorded: recorded),
                    deadline: .after(.seconds(10)))
                let facts = try #require(view.facts, "\(view.reason)")
                #expect(facts.ledger == nil && facts.promotion == nil && facts.rebuilding == nil)
                #expect(facts.quorum?.misshapen == LedgerSchema.standingTables && facts.quorum?.recorded == false)
            }
            try await server.sql("INSERT INTO ongoing_rebuild.marker VALUES (1)")
            let marked = await ServerProbe(configuration, .quorum).look(
                configuration.connectionOptions(configuration.servers.a), deadline: .after(.seconds(10)))
            #expect(marked.facts?.quorum?.misshapen.contains("ongoing_rebuild.marker") == true)
            #expect(marked.facts?.rebuilding == nil)
            // An operation makes its own table all the same, and nothing of the other is lost.
            let session = try #require(
                try await LedgerSession.open(
                    server.connectionOptions(.agent), server: .a, agent: "web1", cluster: "shop", keepsTables: true,
                    deadline: .after(.seconds(10))))
            try await session.scan(seen: "")
            await session.close()
            let aside = "ongoing_failover.status_put_aside_\(session.id)"
            #expect(try await server.sql("SELECT * FROM \(aside)") == [["1"]])
            #expect(try await server.sql("SELECT event FROM ongoing_failover.status") == [["SCAN web1"]])
        }
    }

    /// Whatever an older or newer version makes of the marker, half a copy is seen to be one.
    @Test func aMarkerOfAnotherVersionIsOne() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            try await backends.cluster.a.sql(
                """
                CREATE DATABASE ongoing_rebuild;
                CREATE TABLE ongoing_rebuild.marker (began DATETIME, source VARCHAR(36));
                INSERT INTO ongoing_rebuild.marker VALUES (NOW(), 'x')
                """)
            for depth in [ServerProbe.Depth.plain, .quorum] {
                let view = await ServerProbe(configuration, depth).look(
                    configuration.connectionOptions(configuration.servers.a), deadline: .after(.seconds(10)))
                #expect(view.facts?.rebuilding == RebuildMarker(source: "x", epoch: 0, saved: ""), "\(view.reason)")
            }
        }
    }

    /// A rebuild drops what a look reads, and the server may end the look for it: that is nobody's fault.
    @Test func tablesThatAreTakenAwayMeanwhileHideNoServer() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let server = backends.cluster.a
            try await server.sql(LedgerSchema.standing.joined(separator: "; "))
            let probe = ServerProbe(configuration, .quorum)
            let options = configuration.connectionOptions(configuration.servers.a)
            let dropping = Task {
                let rebuilder = try await MySQLConnection.connect(
                    server.connectionOptions(.agent), deadline: .after(.seconds(10)))
                defer { rebuilder.abort() }
                while !Task.isCancelled {
                    for statement in ["DROP DATABASE repl_watchdog", "DROP DATABASE ongoing_failover"]
                        + LedgerSchema.standing
                    {
                        _ = try await rebuilder.query(statement, purpose: "", deadline: .after(.seconds(10)))
                        try? await Task.sleep(for: .milliseconds(5))
                    }
                }
            }
            defer { dropping.cancel() }
            // The server ends one of them sooner or later.
            try await eventually("a look meets a deadlock", within: .seconds(60)) {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            for _ in 0..<50 {
                                let view = await probe.look(
                                    options, .init(recorded: true), deadline: .after(.seconds(10)))
                                #expect(view.facts != nil, "\(view.reason)")
                            }
                        }
                    }
                }
                return try await server.sql(
                    "SELECT SUM(sum_error_raised) > 0 FROM performance_schema.events_errors_summary_global_by_error "
                        + "WHERE error_number = 1213") == [["1"]]
            }
            dropping.cancel()
            _ = await dropping.result
        }
    }

    /// Rows of another cluster, epochs that leave no room, and rebuilds since the last `ack`.
    @Test func whatStandsInTheRecordIsReadWithCare() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let server = backends.cluster.a
            try await server.sql(LedgerSchema.standing.joined(separator: "; "))
            func look(_ members: Set<String>) async throws -> ServerFacts {
                var about = ServerProbe.About(recorded: true)
                about.members = members
                let view = await ServerProbe(configuration, .quorum).look(
                    configuration.connectionOptions(configuration.servers.a), about, deadline: .after(.seconds(10)))
                return try #require(view.facts, "\(view.reason)")
            }
            let uuid = server.savedUUID
            let empty = try await look([])
            #expect(empty.promotion == nil && empty.quorum?.control.rebuildsToday == 0)
            try await server.sql(
                """
                INSERT INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed) VALUES
                    (2, @@server_uuid, '', 'x', '\(PromotionReason.switchover.recorded)', ''),
                    (3, @@server_uuid, '', 'x', 'primary-dead: switchover: is in the sentence only', ''),
                    (4, @@server_uuid, '', 'x', 'failover', ''), (1000, 'another one', '', 'x', 'failover', ''),
                    (18446744073709551615, @@server_uuid, '', 'x', 'failover', '');
                INSERT INTO repl_watchdog.control (name, value) VALUES ('rebuilt:1', 'b.purged-transactions.4'),
                    ('rebuilt:2', 'b.purged-transactions.4'), ('rebuilt:3', 'b (of an older agent)');
                INSERT INTO repl_watchdog.control (name, value, at) VALUES ('rebuilt:0', 'b', NOW() - INTERVAL 2 DAY);
                """)
            let both = try await look([uuid, "the other one"])
            #expect(both.promotion == Promotion(epoch: 4, primary: uuid))
            #expect(both.quorum?.foreignRecord == .ignored("another_one"))
            #expect(both.quorum?.control.failoversToday == 2 && both.quorum?.control.rebuildsToday == 3)
            #expect(both.quorum?.control.rebuildCauses == ["b.purged-transactions.4": 2])
            // A clock that is some minutes ahead, one that was ahead by days, and a second row of one promotion.
            try await server.sql(
                """
                INSERT INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed, at) VALUES
                    (5, @@server_uuid, '', 'x', 'primary-dead', '', NOW() + INTERVAL 10 MINUTE)
                """)
            let ahead = try await look([uuid, "the other one"]).quorum?.control
            #expect(ahead?.failoversToday == 3 && ahead?.lastFailover == 0)
            try await server.sql(
                """
                DELETE FROM repl_watchdog.history WHERE epoch > 1;
                INSERT INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed, at) VALUES
                    (4, @@server_uuid, '', 'x', 'primary-dead', '', NOW() + INTERVAL 10 DAY),
                    (3, @@server_uuid, '', 'x', '\(PromotionReason.onRecord.recorded)', '', NOW())
                """)
            let counted = try await look([uuid, "the other one"]).quorum?.control
            #expect(counted?.failoversToday == 0 && counted?.lastFailover == nil)
            try await server.sql(
                """
                INSERT INTO repl_watchdog.history (epoch, primary_uuid, old_uuid, agent, reason, executed) VALUES
                    (1000, 'another one', '', 'x', 'failover', '')
                """)
            let one = try await look([uuid])
            #expect(one.promotion == nil && one.quorum?.foreignRecord == .unclear("another_one"))
            #expect(one.ownPromotion == Promotion(epoch: 4, primary: uuid))
            try await server.sql(
                "INSERT INTO repl_watchdog.control (name, value, at) VALUES ('ack', '4', NOW(6) + INTERVAL 1 SECOND)")
            let acknowledged = try await look([uuid])
            #expect(acknowledged.quorum?.control.rebuildCauses == [:])
            #expect(acknowledged.quorum?.control.rebuildsToday == 0 && acknowledged.quorum?.control.acknowledged == 4)
        }
    }

    /// `SET GLOBAL super_read_only = ON` shows before it is done, and what it waits for is still to come.
    @Test func aServerThatIsBeingClosedIsNotClosed() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let (server, deadline) = (backends.cluster.a, Deadline.after(.seconds(60)))
            try await server.sql("CREATE TABLE shop.t (id INT PRIMARY KEY)")
            func closed() async throws -> Set<Bool> {
                let options = configuration.connectionOptions(configuration.servers.a)
                let session = try await MySQLConnection.connect(options, deadline: deadline)
                defer { session.abort() }
                let one = try await ServerProbe(cluster: configuration.cluster).facts(session, deadline: deadline)
                let other = await ServerProbe(configuration, .quorum).look(options, deadline: deadline)
                return [one.superReadOnly, try #require(other.facts, "\(other.reason)").superReadOnly]
            }
            let client = try await MySQLConnection.connect(server.rootOptions, deadline: deadline)
            _ = try await client.query("LOCK TABLES shop.t WRITE", deadline: deadline)
            let closing = Task { try await server.ask("SET GLOBAL super_read_only = ON", within: .seconds(60)) }
            try await eventually("it is being closed") {
                try await server.ask("SELECT @@GLOBAL.super_read_only, @@GLOBAL.read_only") == [["1", "0"]]
            }
            #expect(try await closed() == [false])
            _ = try await client.query("INSERT INTO shop.t VALUES (1)", deadline: deadline)
            await client.close()
            _ = try await closing.value
            #expect(try await closed() == [true])
            #expect(try await server.sql("SELECT COUNT(*) FROM shop.t") == [["1"]])
        }
    }

    /// What an open session says of a server is as true as what a new one would say.
    @Test func aServerThatLetsNobodyInIsAskedOverTheSessionOfTheLookBefore() async throws {
        try await withBackends(1) { backends in
            var configuration = backends.configuration(0)
            configuration.agents = ["web1", "web2", "web3"]
            let server = backends.cluster.a
            let look = ServerLook(ServerProbe(configuration, .quorum), timeout: .seconds(10))
            let options = configuration.connectionOptions(configuration.servers.a)
            func login() async throws -> LoginTrouble? {
                let view = await look.look(options)
                return try #require(view.facts?.quorum, "\(view.reason)").login
            }
            #expect(try await login() == nil)

            let account = TestAccount.agent
            try await server.sql("ALTER USER '\(account.user)'@'%' IDENTIFIED BY 'another'")
            guard case .ownFault? = try await login() else {
                Issue.record("a refused password is not named")
                return
            }
            try await server.sql("ALTER USER '\(account.user)'@'%' IDENTIFIED BY '\(account.password)'")
            try await eventually("it is let in again", within: .seconds(20)) { try await login() == nil }

            try await server.sql("SET GLOBAL max_connections = 1")
            guard case .turnedAway? = try await login() else {
                Issue.record("a full server is not named")
                return
            }
            await look.close()
        }
    }
}
