import Foundation
import TestBed
import Testing

/// `switchover` as an operator runs it, on a host of a real house.
@Suite(.serialized) struct SwitchoverTests {
    /// The new primary is open, and the change done; but whose clients do not reach it is an operator's business.
    @Test(.timeLimit(.minutes(6))) func hostsWhoseRouterHasNotTurnedAreNamed() async throws {
        try await withHostCluster { cluster in
            try cluster.startAgents()
            let primary = try await cluster.settled(hold: .zero, within: .seconds(60))
            let replica = cluster.other(than: primary)
            let (own, other, away) = (cluster.backends[0], cluster.backends[1], cluster.backends[2])
            func switchover(_ words: [String], status: Int32) async throws {
                let (ended, said) = try await own.command(["switchover", "--timeout", "30s"])
                #expect(ended == status && words.allSatisfy { said.contains($0) }, "\(ended): \(said)")
            }
            /// The mark by which router-ctl does nothing more.
            func mark(_ backend: Backend) -> String { backend.router.folder.path + "/closing" }

            try await switchover(["\(replica.name) (\(replica.hostAndPort)) is the primary"], status: 0)
            try await cluster.settled(hold: .zero, within: .seconds(60))

            await away.killAgent()
            try other.router.folder.write("closing", "")
            try await switchover(
                [
                    "\(primary.name) (\(primary.hostAndPort)) is the primary, the switchover is done",
                    "the router of \(other.name) has not turned", "no agent is at work on \(away.name)",
                ], status: 1)
            #expect(try await own.serverBehindRouter() == primary.savedUUID)

            try FileManager.default.removeItem(atPath: mark(other))
            try away.startAgent()
            try await cluster.settled(hold: .zero, within: .seconds(90))
            try own.router.folder.write("closing", "")
            try await switchover(["is done", "the router of \(own.name) has not turned"], status: 2)
            try FileManager.default.removeItem(atPath: mark(own))
            try await cluster.settled(hold: .zero, within: .seconds(90))
        }
    }
}
