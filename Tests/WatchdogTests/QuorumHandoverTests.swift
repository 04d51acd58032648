import MySQLWire
import Testing

@testable import Watchdog

/// What a loop that goes on with another configuration knows of the servers' lives.
@Suite("Quorum mode, a reload") struct QuorumHandoverTests {
    /// Nor is a silence counted while nobody looks.
    @Test func aConfigurationThatIsReadAgainDoesNotEndASilence() {
        var scene = QuorumPolicyTests.Scene()
        _ = scene.look()
        scene.a = .downSoft("silent")
        scene.b = .up(QuorumPolicyTests.replica(receiver: .connecting))
        #expect(scene.look(3_000).router != .close)
        for _ in 0..<3 {
            let handed = scene.policy.handover(at: scene.now)
            scene.policy = QuorumPolicy(
                rules: scene.policy.rules, configuration: scene.policy.configuration, durable: scene.policy.durable,
                handed: handed)
            scene.now += 10_000
            #expect(scene.look(0).router != .close)
            #expect(scene.look(300).router != .close)
        }
        #expect(scene.look(200).router == .close)
        // One that answers begins anew.
        scene.a = .up(QuorumPolicyTests.primary())
        _ = scene.look()
        #expect(scene.policy.handover(at: scene.now)[.a]?.silence == 0)
    }

    /// Its replica hears from it: that is handed over as well.
    @Test func aReloadDoesNotForgetThatTheReplicaHears() {
        var scene = QuorumPolicyTests.Scene()
        func look(_ mark: UInt64) -> Orders {
            scene.b = .up(QuorumPolicyTests.replica { $0.quorum?.receiverMark = mark })
            return scene.look(1_000)
        }
        _ = look(1)
        scene.a = .stalled("silent")
        for mark in 2..<60 { #expect(look(UInt64(mark)).router != .close) }
        scene.policy = QuorumPolicy(
            rules: scene.policy.rules, configuration: scene.policy.configuration, durable: scene.policy.durable,
            handed: scene.policy.handover(at: scene.now))
        scene.now += 5_000
        #expect(look(59).router != .close)
        #expect(look(60).router != .close)
        // It hears nothing any more.
        for _ in 0..<3 { _ = look(60) }
        #expect(look(60).router == .close)
    }
}
