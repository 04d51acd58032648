import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// An agent's account that has what `check` asks for, and nothing else.
@Suite struct PrivilegeTests {
    @Test(.timeLimit(.minutes(8))) func whatCheckAsksForIsEnoughForAFailoverARejoinAndARebuild() async throws {
        try await withHostCluster { cluster in
            let agent = "'\(TestAccount.agent.user)'@'%'"
            let (a, host) = (cluster.a, cluster.backends[0])
            let version = ServerVersion(try #require(try await a.sql("SELECT VERSION()").first?.first))
            let names = Set(CheckServer.privileges(version, clone: false)).subtracting(["GRANT OPTION"])
            func grant(_ names: Set<String>, on server: MySQLServer, first: String = "") async throws {
                try await server.sql(
                    """
                    SET GLOBAL super_read_only = OFF; \(first)
                    GRANT \(names.sorted().joined(separator: ", ")) ON *.* TO \(agent) WITH GRANT OPTION;
                    """)
            }
            try await grant(names, on: a, first: "REVOKE ALL PRIVILEGES, GRANT OPTION FROM \(agent);")
            try await a.sql("SET GLOBAL super_read_only = ON")
            try await cluster.b.catchUp(with: a)
            try cluster.startAgents()
            // root may do more than the agent: a rebuild would take that from it, and any round may end with one.
            let held = Set(
                try await a.sql(
                    "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee LIKE '%root%'"
                ).map { $0[0] }
            ).subtracting(names)
            let (status, said) = try await host.command(["check"])
            #expect(status == 2 && held.allSatisfy { said.contains($0) }, "\(said)")
            let primary = try await cluster.settled(hold: .zero, within: .seconds(60))
            try await grant(held, on: primary)
            try await eventually("check finds nothing to mend", within: .seconds(30)) {
                try await host.command(["check"]).status == 0
            }

            let trial = try await Trial(cluster)
            func round(_ scenario: String) async throws {
                let round = try await trial.round(try Fault.named(scenario), seed: 1)
                #expect(round.verdict.violations.isEmpty, "\(round.fault)")
            }
            try await round("S01")
            try await round("S71")
            let rebuilt = cluster.other(than: try await cluster.settled(hold: .zero, within: .seconds(60)))
            func root() async throws -> [[String]] { try await rebuilt.sql("SHOW GRANTS FOR root@localhost") }
            let before = try await root()
            try await round("S26")
            #expect(try await root() == before)
            #expect(try await trial.finish().violations.isEmpty)
        }
    }
}
