import Foundation
import TestBed
import Testing

/// `check` as an operator runs it, on a host of a real house.
@Suite struct CheckCommandTests {
    @Test(.timeLimit(.minutes(6))) func whatAnOperatorGotWrongIsNamedAndItsRemedyMendsIt() async throws {
        try await withHostCluster { cluster in
            try cluster.startAgents()
            let primary = try await cluster.settled(hold: .zero, within: .seconds(60))
            let replica = cluster.other(than: primary)
            let host = cluster.backends[0]
            /// Lines of the report that are not ok, once there are as many as expected.
            func complaints(_ words: [String], status: Int32) async throws {
                var report = (status: Int32(-1), output: "")
                try? await eventually("check says \(words)", within: .seconds(20)) {
                    report = try await host.command(["check"])
                    return report.status == status && words.allSatisfy { report.output.contains($0) }
                }
                #expect(report.status == status && words.allSatisfy { report.output.contains($0) }, "\(report.output)")
            }
            try await complaints(["0 critical, 0 warning", "semi-synchronous without a fallback"], status: 0)

            try await primary.sql(
                """
                SET GLOBAL sync_binlog = 0; SET GLOBAL rpl_semi_sync_source_timeout = 1000;
                CREATE TABLE shop.old (id INT) ENGINE = MyISAM;
                """)
            try await complaints(
                [
                    "sync_binlog is 0", "-> my.cnf, [mysqld]: sync_binlog = 1", "rpl_semi_sync_source_timeout is 1000",
                    "shop.old (MyISAM)", "have no primary key: shop.old",
                ], status: 1)
            try await primary.sql(
                """
                SET GLOBAL sync_binlog = 1; SET GLOBAL rpl_semi_sync_source_timeout = 1000000000; DROP TABLE shop.old;
                """)
            try await replica.catchUp(with: primary)

            // What a failover rests on; `status` ends with the same.
            func status(_ words: [String], _ expected: Int32) async throws {
                let (status, said) = try await host.command(["status"])
                #expect(status == expected && words.allSatisfy { said.contains($0) }, "\(said)")
            }
            try await replica.sql("SET GLOBAL offline_mode = ON")
            try await complaints(["[replica-offline]", "0 critical, 1 warning"], status: 1)
            try await status(["[replica-offline]", "replica, super_read_only, offline_mode"], 1)
            let (refused, why) = try await host.command(["switchover", "--timeout", "5s"])
            #expect(refused != 0 && why.contains("\(replica.name) is in offline_mode"), "\(why)")
            try await replica.sql(
                """
                SET GLOBAL offline_mode = OFF; STOP REPLICA SQL_THREAD;
                CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = (elsewhere); START REPLICA SQL_THREAD;
                """)
            try await complaints(["may lack rows whose GTIDs it has (replication filters)", "1 critical"], status: 2)
            try await status(["(replica-filtered)"], 2)
            try await replica.sql(
                """
                STOP REPLICA SQL_THREAD; CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = (); START REPLICA SQL_THREAD;
                """)
            try await primary.sql("SET GLOBAL offline_mode = ON")
            // The replica's receiver is no administrator either.
            try await complaints(["[primary-offline]", "server is currently in offline mode"], status: 2)
            try await status(["(primary-offline)"], 2)
            try await primary.sql("SET GLOBAL offline_mode = OFF")
            try await complaints(["0 critical, 0 warning", "no failover loses an acknowledged commit"], status: 0)

            // Without a trace in the history, as on a server that was set up differently.
            let agent = "'\(TestAccount.agent.user)'@'%'"
            try await replica.sql(
                """
                SET sql_log_bin = 0; SET GLOBAL super_read_only = OFF; REVOKE RELOAD, BACKUP_ADMIN ON *.* FROM \(agent);
                SET GLOBAL super_read_only = ON;
                """)
            // Its agent would start the router again, at any moment.
            await host.killAgent()
            try await host.router.control("stop")
            try await complaints(
                [
                    "lacks RELOAD, BACKUP_ADMIN", "GRANT ALL PRIVILEGES", "see that mysqlrouter runs",
                    "not at work: \(host.name)", "2 critical, 1 warning",
                ], status: 2)
            try await replica.sql(
                """
                SET sql_log_bin = 0; SET GLOBAL super_read_only = OFF;
                GRANT ALL PRIVILEGES ON *.* TO \(agent) WITH GRANT OPTION; SET GLOBAL super_read_only = ON;
                """)
            try host.startAgent()
            try await complaints(["0 critical, 0 warning"], status: 0)

            await replica.kill()
            try await complaints(
                ["server \(replica.name) (\(replica.hostAndPort))", "see whether mysqld runs"], status: 2)
            let json = try await host.command(["check", "--json"])
            #expect(json.output.hasPrefix("{\"exit_status\":2,"))
        }
    }

    /// The router speaks clear text to the host's own programs, and the agents' account wants TLS to the servers.
    @Test(.timeLimit(.minutes(6))) func aRouterThatOffersNoTLSIsNamedAndTurnedAllTheSame() async throws {
        try await withHostCluster { cluster in
            let host = cluster.backends[0]
            func rewrite(_ path: String, _ line: String, _ with: String) throws {
                let text = try String(contentsOfFile: path, encoding: .utf8)
                try #require(text.contains(line))
                try Data(text.replacing(line, with: with).utf8).write(to: URL(filePath: path))
            }
            let section = "[\(MySQLRouter.section)]\n"
            try rewrite(host.router.configFile, section, section + "client_ssl_mode = DISABLED\n")
            try await host.router.control("restart")
            try rewrite(host.configurationFile, "[credentials]\n", "[credentials]\ntls = \"required\"\n")
            let before = try await host.command(["check"])
            #expect(before.status == 2 && before.output.contains("answers without TLS, and tls = \"required\""))
            #expect(before.output.contains("-> set router.tls = \"disabled\""), "\(before.output)")

            try rewrite(host.configurationFile, "[router]\n", "[router]\ntls = \"disabled\"\n")
            try cluster.startAgents()
            let primary = try await cluster.settled(hold: .zero, within: .seconds(60))
            let after = try await host.command(["check"])
            #expect(!after.output.contains("answers without TLS"), "\(after.output)")
            let (status, said) = try await host.command(["switchover"])
            #expect(status == 0, "\(said)")
            #expect(try await cluster.settled(within: .seconds(60)).name == cluster.other(than: primary).name)
        }
    }
}
