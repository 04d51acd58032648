import MySQLWire
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
    @Test(arguments: [1317, 1756, 1205, 1213, 1114, 1021, 1026, 1030, 3, 3572, 3750, 13121])
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

    @Test func onlyWhatIsMissingAndPurgedIsCopiedForARefusal() {
        func step(_ change: (inout ServerFacts) -> Void) -> Step? {
            let seen = Fixture.healthy {
                $0.a = .up(
                    Fixture.facts(.a) {
                        $0.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
                        $0.purged = GTIDSet("\(Fixture.uuidA):1-5") ?? GTIDSet()
                    })
                $0.b = .up(
                    Fixture.facts(.b) {
                        $0.channels = [Fixture.channel(from: .a) { ($0.receiver, $0.receiverErrno) = (.off, 13114) }]
                        change(&$0)
                    })
            }
            return RouterLedPolicy.bringBack(seen, Ledger(server: .a, rows: []), primary: .a)
        }
        func set(_ numbers: String) -> GTIDSet { GTIDSet("\(Fixture.uuidA):\(numbers)") ?? GTIDSet() }
        #expect(step { $0.executed = set("1-5") }?.reason?.code == .sourceUnreachable)
        #expect(step { $0.executed = set("1-4") } == .rebuild(.b, from: .a, why: .purged(set("5"), primary: .a)))
        // Received, and not applied yet.
        #expect(
            step {
                $0.executed = set("1-4")
                $0.channels[0].retrieved = set("5")
            }?.reason?.code == .sourceUnreachable)
    }

    // MARK: What a user reads

    private func replica(_ change: (inout ServerFacts) -> Void) -> ServerView {
        .up(
            Fixture.facts(.b) {
                $0.channels = [Fixture.channel(from: .a)]
                change(&$0)
            })
    }

    @Test func aHealthyClusterGivesNothingToSay() {
        let diagnosis = diagnoser.diagnose(Fixture.healthy())
        #expect(diagnosis.exitStatus == 0 && diagnosis.closed.isEmpty && diagnosis.code == nil)
        #expect(diagnosis.summary.contains("the router leads to a"))
    }

    /// The routers could not use it.
    @Test func aServerThatTakesNoWritesIsNamed() {
        let closed = diagnoser.diagnose(Fixture.healthy { $0.b = replica { $0.readOnly = true } })
        #expect(
            closed.closed == [.b] && closed.exitStatus == 1 && closed.summary.contains("b (10.0.0.2:3306) is read-only")
        )
        let primary = diagnoser.diagnose(Fixture.healthy { $0.a = .up(Fixture.facts(.a) { $0.readOnly = true }) })
        #expect(primary.closed == [.a] && primary.exitStatus == 2)
        // Half a copy is closed by its marker, and says so.
        let half = diagnoser.diagnose(
            Fixture.healthy {
                $0.b = replica {
                    $0.readOnly = true
                    $0.rebuilding = RebuildMarker(source: Fixture.uuidA, epoch: 3, saved: "web1:/x.sql.gz")
                }
            })
        #expect(half.closed.isEmpty && half.code == .unfinishedCopy)
    }

    @Test func whatIsDownIsSaidWithWhatIsKnownBesides() {
        let one = diagnoser.diagnose(Fixture.healthy { $0.b = .downHard("refused") }).summary
        #expect(one.contains("the router leads to a") && !one.contains("neither server answers"))
        #expect(!one.contains("half-made copy"))
        let both = diagnoser.diagnose(
            Fixture.healthy { ($0.a, $0.b, $0.router) = (.downHard("x"), .downHard("x"), .noAnswer("x")) })
        #expect(both.summary.contains("neither server answers") && !both.summary.contains("the router leads to"))
        let marker = RebuildMarker(source: Fixture.uuidA, epoch: 3, saved: "web1:/x.sql.gz")
        let half = diagnoser.diagnose(
            Fixture.healthy {
                $0.a = .downHard("refused")
                $0.b = replica { $0.rebuilding = marker }
            })
        #expect(half.summary.contains("half-made copy") && half.summary.contains("web1:/x.sql.gz"))
    }

    @Test func whyReplicationDoesNotRunHasACode() {
        func code(_ change: (inout ReplicationChannel) -> Void) -> Reason.Code? {
            diagnoser.diagnose(Fixture.healthy { $0.b = replica { change(&$0.channels[0]) } }).code
        }
        #expect(code { _ in } == nil)
        #expect(code { ($0.receiver, $0.applierRuns) = (.off, false) } == .replicationStopped)
        #expect(code { $0.receiver = .connecting } == .sourceUnreachable)
        #expect(code { $0.applierErrno = 1062 } == .replicationBroken)
    }

    // MARK: Whose replica a server is

    @Test func aForeignSourceIsFoundOnEitherServer() {
        let foreign = "cccccccc-0000-0000-0000-000000000003"
        let onA = Fixture.healthy {
            $0.a = .up(Fixture.facts(.a) { $0.channels = [Fixture.channel(from: .b) { $0.sourceUUID = foreign }] })
            $0.b = .up(Fixture.facts(.b))
        }
        let onB = Fixture.healthy { $0.b = replica { $0.channels[0].sourceUUID = foreign } }
        for seen in [onA, onB] { #expect(diagnoser.diagnose(seen).code == .foreignSource) }
    }

    /// A channel that was never connected knows its source by the address alone.
    @Test func beforeTheFirstConnectionTheAddressTells() {
        var configuration = Fixture.configuration()
        configuration.replication.peer = .tcp(host: "10.9.0.1", port: 3306)
        func primary(_ host: String, _ configuration: Configuration = Fixture.configuration()) -> Diagnosis {
            Diagnoser(configuration).diagnose(
                Fixture.healthy {
                    $0.b = replica {
                        ($0.channels[0].sourceUUID, $0.channels[0].sourceHost) = ("", host)
                        $0.channels[0].receiver = .connecting
                    }
                })
        }
        #expect(primary("10.0.0.1").primary == .a)
        #expect(primary("10.0.0.9").code == .foreignSource)
        #expect(primary("10.9.0.1").code == .foreignSource)
        #expect(primary("10.9.0.1", configuration).primary == .a)
        #expect(primary("10.0.0.9", configuration).code == .foreignSource)
    }

    /// Its source is primary, whichever of the two it is; one that is neither makes nobody primary.
    @Test func halfACopyNamesThePrimary() {
        func diagnosis(_ id: ServerID, from source: String) -> Diagnosis {
            diagnoser.diagnose(
                Fixture.healthy {
                    ($0.a, $0.b) = (.up(Fixture.facts(.a)), .up(Fixture.facts(.b)))
                    $0[id] = .up(
                        Fixture.facts(id) { $0.rebuilding = RebuildMarker(source: source, epoch: 3, saved: "") })
                })
        }
        #expect(diagnosis(.b, from: Fixture.uuidA).primary == .a)
        #expect(diagnosis(.a, from: Fixture.uuidB).primary == .b)
        for id in ServerID.allCases {
            #expect(diagnosis(id, from: "cccccccc-0000-0000-0000-000000000003").code == .halfMadeCopy)
        }
    }
}
