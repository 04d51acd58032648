import TestBed
import Testing

@testable import Watchdog

/// `trust` as an operator runs it, on a host of a real house.
@Suite(.serialized) struct TrustTests {
    @Test(.timeLimit(.minutes(6))) func whyItDidNotHelpIsSaid() async throws {
        try await withHostCluster { cluster in
            try cluster.startAgents()
            let first = try await cluster.settled(hold: .zero, within: .seconds(60))
            let (primary, host) = (cluster.other(than: first), cluster.backends[0])
            let (status, said) = try await host.command(["switchover", "--timeout", "30s"])
            #expect(status == 0, "\(said)")
            try await cluster.settled(hold: .zero, within: .seconds(60))
            for backend in cluster.backends { await backend.stopAgent() }

            func trust(_ words: [String], status: Int32) async throws {
                let (ended, said) = try await host.command(["trust", primary.name])
                #expect(ended == status && words.allSatisfy { said.contains($0) }, "\(ended): \(said)")
            }
            try await trust(["no agent runs: none of web1, web2, web3 is connected", "repl-watchdog run"], status: 2)
            await first.kill()
            try await trust(["no agent runs"], status: 2)

            // It was restarted, and somebody has written to the table of promotions.
            try await primary.sql(
                """
                SET sql_log_bin = 0; UPDATE repl_watchdog.history SET primary_uuid = 'somebody';
                SET GLOBAL super_read_only = ON;
                """)
            try await trust(
                ["repl_watchdog.history there names somebody", "DELETE FROM repl_watchdog.history"], status: 2)
            let flags = "SELECT @@GLOBAL.super_read_only"
            #expect(try await primary.ask(flags) == [["1"]])
            try await primary.sql(
                """
                SET sql_log_bin = 0; SET GLOBAL super_read_only = OFF; DELETE FROM repl_watchdog.history;
                SET GLOBAL super_read_only = ON;
                """)
            try await trust(["no agent runs"], status: 2)
            #expect(try await primary.ask(flags) == [["1"]])
            #expect(try await cluster.promotions(on: primary).count == 1)
        }
    }
}
