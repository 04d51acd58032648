import Foundation
import MySQLWire
import Testing

@testable import Watchdog

/// What "nothing acknowledged is lost" rests on: looked at, and not promised where it does not hold.
@Suite("Preconditions of a lossless failover") struct PreconditionTests {
    private func conditions(
        primary: (inout ServerFacts) -> Void = { _ in }, replica: (inout ServerFacts) -> Void = { _ in }
    ) -> (loss: Bool?, data: Bool?, evidence: String) {
        var scene = QuorumPolicyTests.Scene()
        scene.a = .up(QuorumPolicyTests.primary(primary))
        scene.b = .up(QuorumPolicyTests.replica(replica))
        _ = scene.look()
        _ = scene.look()
        let seen = Observation(a: scene.a, b: scene.b, router: .noAnswer(""))
        let diagnosis = scene.policy.diagnosis(TimedObservation(seen: seen, askedAt: scene.now, now: scene.now))
        let conditions = scene.explain()
        return (conditions[.loss]?.holds, conditions[.data]?.holds, diagnosis.summary)
    }

    /// What `status` says of two servers that are well otherwise.
    private func status(
        lossAllowed: Bool = false, primary: (inout ServerFacts) -> Void = { _ in },
        replica: (inout ServerFacts) -> Void = { _ in }
    ) -> StatusReport {
        var scene = QuorumPolicyTests.Scene { $0.maxLost = lossAllowed ? 100 : 0 }
        scene.a = .up(QuorumPolicyTests.primary(primary))
        scene.b = .up(QuorumPolicyTests.replica(replica))
        _ = scene.look()
        _ = scene.look()
        let seen = Observation(a: scene.a, b: scene.b, router: .leadsTo(uuid: Fixture.uuidA))
        let diagnosis = scene.policy.diagnosis(TimedObservation(seen: seen, askedAt: scene.now, now: scene.now))
        return StatusReport(
            state: diagnosis.state, exitStatus: diagnosis.exitStatus, cluster: "shop", agent: "web1",
            diagnosis: diagnosis, seen: seen, ledger: nil, addresses: Fixture.configuration().servers, router: "",
            next: .none(.nothingToDo))
    }

    /// One fault on one of two servers that are well otherwise.
    struct Fault: Sendable, CustomStringConvertible {
        var what: Precondition
        var server: ServerID
        var make: @Sendable (inout ServerFacts) -> Void
        var description: String { "\(what) on \(server)" }

        init(_ what: Precondition, _ server: ServerID, _ make: @escaping @Sendable (inout ServerFacts) -> Void) {
            (self.what, self.server, self.make) = (what, server, make)
        }
    }

    static let faults = [
        Fault(.notSemiSynchronous, .a) { $0.quorum?.semiSync = SemiSync() },
        Fault(.notSemiSynchronous, .a) { $0.quorum?.semiSync.withoutFallback = false },
        Fault(.thirdAcknowledger, .a) { $0.quorum?.semiSync.acknowledgers = [StrangerTests.uuid] },
        Fault(.unnamedAcknowledger, .a) { $0.quorum?.semiSync.acknowledgers = [] },
        Fault(.severalAcknowledgements, .a) { $0.quorum?.semiSync.wanted = 2 },
        Fault(.severalAcknowledgements, .b) { $0.quorum?.semiSync.wanted = 3 },
        Fault(.replicaFiltered, .b) { $0.quorum?.filtered = "replication filters" },
        Fault(.primaryFiltered, .a) { $0.quorum?.filtered = "replication filters" },
        Fault(.mayStartOpen, .a) { $0.quorum?.bootsClosed = false },
        Fault(.replicaDelayed, .b) { $0.channels[0].delay = 600 },
        Fault(.performanceSchemaOff, .a) {
            $0.performanceSchema = false
            $0.quorum?.semiSync.acknowledgers = []
        },
        Fault(.performanceSchemaOff, .b) { $0.performanceSchema = false },
        Fault(.primaryOffline, .a) { $0.isOffline = true },
        Fault(.replicaOffline, .b) { $0.isOffline = true },
    ]

    @Test(arguments: faults) func whatDoesNotHoldIsSaidByItsCode(_ fault: Fault) {
        let well = status()
        #expect(well.exitStatus == 0 && well.json().contains("\"unmet_preconditions\":[]"), "\(well.text())")
        let report =
            fault.server == .a ? status(primary: fault.make) : status(replica: fault.make)
        #expect(report.diagnosis.unmet.map(\.precondition) == [fault.what], "\(report.text())")
        #expect(report.diagnosis.unmet.map(\.server) == [fault.server], "\(report.text())")
        #expect(report.state == .ok && report.exitStatus == (fault.what.isCritical ? 2 : 1), "\(report.text())")
        #expect(report.text().contains("[\(fault.what.rawValue)]"), "\(report.text())")
        #expect(report.json().contains("{\"code\":\"\(fault.what.rawValue)\",\"server\":\"\(fault.server)\""))
        #expect(report.diagnosis.reason == fault.what.reason ?? .nothingToDo, "\(report.text())")
        #expect(fault.what.isCritical == (fault.what.reason != nil))
    }

    @Test func everyPreconditionIsTried() {
        #expect(Set(Self.faults.map(\.what)) == Set(Precondition.allCases))
    }

    @Test func aLossThatIsAllowedIsNoFault() {
        let report = status(lossAllowed: true, primary: { $0.quorum?.semiSync = SemiSync() })
        #expect(report.exitStatus == 0, "\(report.text())")
    }

    /// The table of Guarantees.md, as it is to be.
    @Test func thePageHasTheTable() throws {
        let page = try String(contentsOf: Documentation.page("Guarantees.md"), encoding: .utf8)
        let heading = "| code | what is seen | it takes | `status` | what to do |"
        let table = page.components(separatedBy: heading + "\n").dropFirst().first ?? ""
        let rows = table.split(separator: "\n").dropFirst().prefix { $0.hasPrefix("| ") }.map(String.init)
        let wanted = Precondition.allCases.map { one in
            let (server, other) =
                switch one {
                case .severalAcknowledgements, .performanceSchemaOff: ("a server", "the other")
                case .replicaFiltered, .replicaDelayed, .replicaOffline: ("the replica", "the primary")
                default: ("the primary", "the replica")
                }
            let detail =
                switch one {
                case .notSemiSynchronous: "is not semi-synchronous at this moment"
                case .severalAcknowledgements: "2"
                case .replicaDelayed: "600"
                case .replicaFiltered, .primaryFiltered: "filters, skipped errors, replica_exec_mode"
                default: ""
                }
            return "| `\(one.rawValue)` | \(one.sentence(server, beside: other, detail)) | \(one.takes.rawValue) | "
                + "\(one.isCritical ? 2 : 1) | \(one.remedy) |"
        }
        #expect(rows == wanted, "\(([heading, "|---|---|---|---|---|"] + wanted).joined(separator: "\n"))")
    }

    @Test func theReplicaAloneAcknowledges() {
        let (loss, data, evidence) = conditions()
        #expect(loss == true && data == nil && !evidence.contains("acknowledge"))
    }

    @Test func aThirdServerThatAcknowledgesMakesNoPromise() {
        func promises(_ acknowledgers: [String], clients: Int) -> (holds: Bool?, evidence: String) {
            let (loss, _, evidence) = conditions(primary: {
                $0.quorum?.semiSync.clients = clients
                $0.quorum?.semiSync.acknowledgers = acknowledgers
            })
            return (loss, evidence)
        }
        for others in [[Fixture.uuidB, StrangerTests.uuid], [StrangerTests.uuid], [Fixture.uuidB, "-"]] {
            let (holds, evidence) = promises(others, clients: others.count)
            #expect(holds == false && evidence.contains("a server that is not b acknowledges"), "\(others)")
        }
        // The replica has connected again, and its connection of before is not known to be dead.
        #expect(promises([Fixture.uuidB, Fixture.uuidB], clients: 2).holds == true)
        // One of them has just gone.
        #expect(promises([Fixture.uuidB, Fixture.uuidB], clients: 1).holds == true)
    }

    /// performance_schema is off, or has no room for all threads.
    @Test func aPrimaryThatDoesNotSayWhoAcknowledgesMakesNoPromise() {
        for names in [[], [Fixture.uuidB]] {
            let (loss, _, evidence) = conditions(primary: {
                $0.quorum?.semiSync.clients = names.count + 1
                $0.quorum?.semiSync.acknowledgers = names
            })
            #expect(loss == false && evidence.contains("a does not say who acknowledges"))
        }
    }

    /// What was promised holds while nobody acknowledges: commits wait.
    @Test func thePromiseIsTakenBackAtOnceAndMadeAgain() {
        var durable = DurableState()
        durable.operation = 1
        var scene = QuorumPolicyTests.Scene(durable: durable)
        func look(_ acknowledgers: [String]) -> Bool {
            scene.a = .up(
                QuorumPolicyTests.primary {
                    $0.quorum?.semiSync.clients = acknowledgers.count
                    $0.quorum?.semiSync.acknowledgers = acknowledgers
                })
            _ = scene.look()
            return scene.policy.durable.sync
        }
        #expect(!look([]))
        #expect(!look([Fixture.uuidB]))
        #expect(look([Fixture.uuidB]))
        #expect(look([]))
        #expect(!look([Fixture.uuidB, StrangerTests.uuid]))
        #expect(!look([]))
        #expect(!look([Fixture.uuidB]))
        #expect(look([Fixture.uuidB]))
        // Whatever the replica answers or does not.
        scene.b = .downSoft("it stands still")
        #expect(look([Fixture.uuidB]))
    }

    private static func replica(started: Int64?, keeps: Bool = false, executed: Int = 10) -> ServerView {
        .up(
            QuorumPolicyTests.replica(votes: [0, 1, 2], receiver: .connecting) {
                $0.executed = GTIDSet("\(Fixture.uuidA):1-\(executed)") ?? GTIDSet()
                $0.quorum?.started = started
                $0.quorum?.keepsReceived = keeps
            })
    }

    /// What it had received and not applied went with its process, and the primary that has it is gone.
    @Test func aReplicaThatWasStartedAnewMayLackWhatItHasAcknowledged() {
        var said = ""
        func loss(started: Int64?, keeps: Bool = false) -> Bool? {
            var scene = QuorumPolicyTests.Scene()
            _ = scene.look()
            scene.a = .downHard("refused")
            scene.b = Self.replica(started: started, keeps: keeps)
            for _ in 0..<3 { _ = scene.look() }
            let condition = scene.explain()[.loss]
            said = condition?.text ?? ""
            return condition?.holds
        }
        #expect(loss(started: 100) == true)
        // Two clocks' seconds.
        #expect(loss(started: 98) == true && loss(started: 102) == true)
        #expect(loss(started: 103) == false)
        #expect(said.contains("was started anew"))
        #expect(loss(started: 103, keeps: true) == true)
        #expect(loss(started: nil) == false && loss(started: nil, keeps: true) == true)
    }

    /// It has to be seen to have what the primary had after its new process was seen.
    @Test func aReplicaThatWasStartedAnewHasToCatchUp() {
        var scene = QuorumPolicyTests.Scene()
        _ = scene.look()
        func look(executed: Int) -> Int64? {
            scene.b = Self.replica(started: 200, executed: executed)
            _ = scene.look()
            return scene.policy.durable.replicaStarted
        }
        #expect(look(executed: 10) == 100)
        #expect(look(executed: 8) == 100)
        #expect(look(executed: 9) == 100)
        #expect(look(executed: 10) == 200)
    }

    /// Where each commit waits for two servers and there is one replica, nothing would ever end that.
    @Test func aPrimaryThatWaitsForMoreServersThanThereAreGoesOnAlone() {
        var scene = QuorumPolicyTests.Scene()
        func look(_ change: (inout SemiSync) -> Void) -> Orders {
            scene.a = .up(
                QuorumPolicyTests.primary {
                    $0.quorum?.semiSync.wanted = 2
                    if var quorum = $0.quorum { change(&quorum.semiSync); $0.quorum = quorum }
                    $0.quorum?.async = scene.policy.durable.sync ? AgentSet() : AgentSet([0, 1, 2])
                })
            scene.b = .up(QuorumPolicyTests.replica { $0.quorum?.receiverMark = UInt64(scene.now) })
            return scene.look(1_000)
        }
        var orders = look { _ in }
        for _ in 0..<6 { orders = look { _ in } }
        #expect(!scene.policy.durable.sync && orders.locks.async == .a, "\(orders)")
        #expect(look { _ in }.step == .disableSemiSync(.a))
        // It is not switched on again for the one replica that is there.
        for _ in 0..<3 { orders = look { ($0.enabled, $0.active) = (false, false) } }
        #expect(orders.step == .none(.nothingToDo) && orders.locks.async == nil, "\(orders)")
        for _ in 0..<3 { orders = look { ($0.enabled, $0.active, $0.wanted) = (false, false, 1) } }
        #expect(orders.step == .enableSemiSync(.a), "\(orders)")
    }

    @Test func aFilteredReplicaIsNotPromoted() {
        let filtered: (inout ServerFacts) -> Void = { $0.quorum?.filtered = "replication filters" }
        let (_, data, evidence) = conditions(replica: filtered)
        #expect(data == false && evidence.contains("b may lack rows whose GTIDs it has (replication filters)"))
        let (_, accepted, _) = conditions(replica: {
            filtered(&$0)
            $0.quorum?.lossAccepted = true
        })
        #expect(accepted == true)
    }

    /// Its process may come back and take writes from a router that has not been closed.
    @Test func aPrimaryThatMayStartOpenIsVotedAgainstWithAClosedRouter() {
        func died(startsClosed: Bool) -> (Step, Orders) {
            var scene = QuorumPolicyTests.Scene()
            scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.bootsClosed = startsClosed })
            let step = scene.look().step
            scene.a = .downHard("refused")
            scene.b = .up(QuorumPolicyTests.replica(receiver: .connecting))
            _ = scene.look()
            return (step, scene.look())
        }
        let (nothing, dead) = died(startsClosed: true)
        #expect(nothing == .none(.nothingToDo) && dead.locks.vote == .dead && dead.router == .keep)
        let (persist, silent) = died(startsClosed: false)
        #expect(persist == .startClosed(.a) && silent.locks.vote == nil && silent.router == .close)
    }
}
