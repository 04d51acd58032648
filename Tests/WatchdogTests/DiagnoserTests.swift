import Testing

@testable import Watchdog

@Suite struct DiagnoserTests {
    let diagnoser = Diagnoser(Fixture.configuration())

    @Test func ok() {
        let diagnosis = diagnoser.diagnose(Fixture.healthy())
        #expect(diagnosis.state == .ok && diagnosis.primary == .a)
    }

    @Test func queriesThatGoToTheReplicaAreAFailover() {
        let diagnosis = diagnoser.diagnose(Fixture.healthy { $0.router = .leadsTo(uuid: Fixture.uuidB) })
        #expect(diagnosis.state == .failover && diagnosis.primary == .a && diagnosis.replica == .b)
    }

    @Test func brokenReplicationIsRecover() {
        let seen = Fixture.healthy {
            $0.b = .up(
                Fixture.facts(.b) {
                    $0.channels = [
                        Fixture.channel(from: .a) {
                            $0.applierErrno = 1062
                            $0.applierError = "Duplicate entry"
                            $0.applierRuns = false
                        }
                    ]
                })
        }
        let diagnosis = diagnoser.diagnose(seen)
        #expect(diagnosis.state == .recover)
        #expect(diagnosis.summary.contains("1062"))
    }

    @Test(arguments: [
        ServerView.downHard("refused"), .downSoft("timeout"), .stalled("timeout"), .refusing("1040"),
    ])
    func aServerThatDoesNotAnswerIsDown(_ view: ServerView) {
        #expect(diagnoser.diagnose(Fixture.healthy { $0.a = view }).state == .down)
        #expect(diagnoser.diagnose(Fixture.healthy { $0.b = view }).state == .down)
    }

    @Test func ownFaultsProveNothing() {
        #expect(diagnoser.diagnose(Fixture.healthy { $0.a = .ownFault("1045") }).state == .unknown)
        let both = Fixture.healthy {
            $0.a = .ownFault("1045")
            $0.b = .downHard("refused")
        }
        #expect(diagnoser.diagnose(both).state == .unknown)
    }

    @Test func whatCannotBeToldIsLeftAlone() {
        let sameServer = Fixture.healthy { $0.b = .up(Fixture.facts(.a) { $0.serverID = 2 }) }
        let noGTID = Fixture.healthy { seen in
            if case .up(var facts) = seen.b {
                facts.gtidMode = false
                seen.b = .up(facts)
            }
        }
        let twoPrimaries = Fixture.healthy { $0.b = .up(Fixture.facts(.b)) }
        let circle = Fixture.healthy { $0.a = .up(Fixture.facts(.a) { $0.channels = [Fixture.channel(from: .b)] }) }
        let stranger = Fixture.healthy {
            $0.b = .up(
                Fixture.facts(.b) {
                    $0.channels = [
                        Fixture.channel(from: .a) { $0.sourceUUID = "cccccccc-0000-0000-0000-000000000003" }
                    ]
                })
        }
        let thirdRouted = Fixture.healthy { $0.router = .leadsTo(uuid: "cccccccc-0000-0000-0000-000000000003") }
        for seen in [sameServer, noGTID, twoPrimaries, circle, stranger, thirdRouted] {
            let diagnosis = diagnoser.diagnose(seen)
            #expect(diagnosis.state == .ambiguous, "\(diagnosis.summary)")
            #expect(!diagnosis.evidence.isEmpty)
        }
    }

    @Test func aPromotionOnRecordSaysWhichIsRight() {
        let seen = Fixture.healthy {
            $0.a = .up(Fixture.facts(.a) { $0.promotion = Promotion(epoch: 1, primary: Fixture.uuidA) })
            $0.b = .up(Fixture.facts(.b) { $0.promotion = Promotion(epoch: 2, primary: Fixture.uuidB) })
            $0.router = .leadsTo(uuid: Fixture.uuidB)
        }
        let diagnosis = diagnoser.diagnose(seen)
        #expect(diagnosis.state == .recover && diagnosis.primary == .b)
    }

    @Test func aHalfMadeCopyIsNeverPromoted() {
        let seen = Fixture.healthy {
            $0.b = .up(
                Fixture.facts(.b) {
                    $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 3, saved: "web1:/x.sql.gz")
                })
            $0.router = .leadsTo(uuid: Fixture.uuidB)
        }
        #expect(diagnoser.diagnose(seen).state == .ambiguous)
        var toPrimary = seen
        toPrimary.router = .leadsTo(uuid: Fixture.uuidA)
        #expect(diagnoser.diagnose(toPrimary).state == .recover)
    }

    @Test func rowsThatOnlyTheReplicaHasAreNamed() throws {
        let own = try #require(GTIDSet("\(Fixture.uuidB):1-40"))
        let seen = Fixture.healthy {
            $0.b = .up(
                Fixture.facts(.b) {
                    $0.channels = [Fixture.channel(from: .a)]
                    $0.executed = own
                })
        }
        let diagnosis = diagnoser.diagnose(seen)
        #expect(diagnosis.state == .ok && diagnosis.errant == own && diagnosis.exitStatus == 2)
        #expect(diagnosis.summary.contains("\(Fixture.uuidB):1-40"))
    }

    @Test func aSilentRouterIsNamed() {
        let diagnosis = diagnoser.diagnose(Fixture.healthy { $0.router = .noAnswer("refused") })
        #expect(diagnosis.state == .ok && diagnosis.routerProblem != nil && diagnosis.exitStatus == 2)
    }

    @Test func fatalReceiverErrorsAreBrokenAndLostConnectionsAreNot() {
        let purged = Fixture.channel(from: .a) {
            $0.receiver = .off
            $0.receiverErrno = 13114
        }
        let refused = Fixture.channel(from: .a) {
            $0.receiver = .connecting
            $0.receiverErrno = 2003
        }
        if case .broken = purged.health {} else { Issue.record("13114 is \(purged.health)") }
        if case .disconnected = refused.health {} else { Issue.record("2003 is \(refused.health)") }
    }

    /// A killed worker, a lock, a full disk: nothing is wrong with the data.
    @Test(arguments: [1317, 1756, 1205, 1213, 1114, 1021])
    func whatPassesIsStartedAgainAndNotRebuilt(_ errno: Int) {
        let seen = Fixture.healthy {
            $0.b = .up(
                Fixture.facts(.b) {
                    $0.channels = [
                        Fixture.channel(from: .a) {
                            $0.applierErrno = errno
                            $0.applierRuns = false
                        }
                    ]
                })
        }
        #expect(diagnoser.diagnose(seen).state == .recover)
        let ledger = Ledger(server: .a, rows: [])
        #expect(RouterLedPolicy.bringBack(seen, ledger, primary: .a) == .resume(.b, from: .a))
    }
}
