import Testing

@testable import Watchdog

/// What no rule of quorum mode provides for.
@Suite struct DoubtTests {
    typealias Scene = QuorumPolicyTests.Scene

    /// A copied data directory: also when the one that it was copied from is silent, nobody takes the copy for the replica.
    @Test func aServerThatGoesByTheOthersNameIsNotPromoted() {
        var scene = Scene()
        _ = scene.look()
        func copy(_ votes: [Int] = []) -> ServerFacts {
            QuorumPolicyTests.replica(votes: votes, receiver: .off) { $0.uuid = Fixture.uuidA }
        }
        scene.b = .up(copy())
        #expect(scene.look().step == .none(.ambiguous(.oneServer)))
        scene.a = .downHard("refused")
        for _ in 0..<3 { _ = scene.look(2_000) }
        scene.b = .up(copy([0, 1, 2]))
        let orders = scene.look()
        #expect(orders.step == .none(.ambiguous(.copiedServer(.b))))
        #expect(orders.locks.vote == nil && orders.locks.seesPrimary == nil)
        // Its own again.
        scene.b = .up(QuorumPolicyTests.replica(votes: [0, 1, 2], receiver: .connecting))
        #expect(scene.look().locks.vote == .dead)
    }

    /// A replica that no rule provides for is not acted upon, and says nothing about the primary: that one goes on for as
    /// long as a majority sees it, and no longer.
    @Test(arguments: [
        Ambiguity.withoutGTIDs(.b), .severalChannels(.b, count: 2), .oneServer, .foreignSource(.b, uuid: "cccccccc"),
    ]) func aDoubtAboutTheReplicaDoesNotStopThePrimary(_ ambiguity: Ambiguity) {
        var scene = Scene()
        _ = scene.look()
        let strange = QuorumPolicyTests.replica(votes: [1, 2]) {
            switch ambiguity {
            case .withoutGTIDs: $0.gtidMode = false
            case .severalChannels: $0.channels.append($0.channels[0])
            case .foreignSource: $0.channels[0].sourceUUID = "cccccccc"
            default: $0.uuid = Fixture.uuidA
            }
        }
        scene.b = .up(strange)
        for _ in 0..<5 {
            let orders = scene.look(2_000)
            #expect(orders.router == .point(to: .a) && orders.locks.seesPrimary == .a)
            #expect(orders.step == .none(.ambiguous(ambiguity)))
        }
        // Alone, on the word of a replica that is none, the router does not stay open, and the silence counts for nothing.
        scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.seesPrimary = AgentSet([0]) })
        _ = scene.look(2_000)
        #expect(scene.look(2_000).router == .close)
        scene.a = .downHard("refused")
        for _ in 0..<3 { #expect(scene.look(4_000).locks.vote == nil) }
    }

    @Test func serversThatChangedPlacesAreKnownAgain() {
        var scene = Scene()
        _ = scene.look()
        scene.a = .up(QuorumPolicyTests.replica { $0.uuid = Fixture.uuidB })
        scene.b = .up(QuorumPolicyTests.primary { $0.uuid = Fixture.uuidA })
        _ = scene.look()
        #expect(scene.policy.primary == .b)
    }
}
