import MySQLWire
import Testing

@testable import Watchdog

/// Which agent begins an operation, which goes on with one whose master is gone, and which stands back.
@Suite("Quorum mode, the election") struct QuorumElectionTests {
    private typealias Scene = QuorumPolicyTests.Scene

    private static func left(_ kind: OperationKind, on server: ServerID) -> [LedgerRow] {
        QuorumLeadTests.rows(kind, on: server).map { row in
            var row = row
            row.alive = false
            return row
        }
    }

    /// The votes on b, and what this agent itself makes of a.
    private func step(
        votes: [Int], _ a: ServerView? = nil, joined: Bool = false, kind: OperationKind = .failover,
        on server: ServerID = .b, asked: Bool = false
    ) -> Step {
        var scene = QuorumLeadTests.scene()
        let rows = Self.left(kind, on: server)
        scene.a = a ?? .up(QuorumPolicyTests.primary { if server == .a { $0.ledger = rows } })
        scene.b = .up(
            QuorumPolicyTests.replica(votes: votes) {
                if server == .b { $0.ledger = rows }
                $0.quorum?.switchoverAsked = asked
            })
        var local = LocalStatus(agent: "web1")
        if joined { (local.server, local.session) = (server, 9) }
        return scene.look(100, local).step
    }

    @Test func thoseWhoLostThePrimaryGoOnWithAFailover() {
        #expect(step(votes: [1, 2]) == .wait(.until(.othersWhoLost(.a))))
        #expect(step(votes: [1, 2], joined: true) == .withdraw(.until(.othersWhoLost(.a))))
        // No majority has lost it: anybody may end what was left.
        #expect(step(votes: [1]) == .scan(on: .b))
        #expect(step(votes: [0, 1]) == .scan(on: .b))
        // Votes against a primary say nothing of an operation that brings its replica back.
        #expect(step(votes: [1, 2], kind: .recover, on: .a) == .scan(on: .a))
    }

    /// It has not lost the primary, and cannot ask it either.
    @Test func whoDoesNotKnowWaitsForClarity() {
        let silent = ServerView.downSoft("silent")
        #expect(step(votes: [], silent) == .wait(.until(.clarity)))
        #expect(step(votes: [], silent, joined: true) == .withdraw(.until(.clarity)))
        #expect(step(votes: [], silent, asked: true) == .scan(on: .b))
        #expect(step(votes: []) == .scan(on: .b))
    }

    /// An agent can hold the lock still after the end of an operation: whoever comes first cannot begin without it.
    @Test func whoHoldsTheLockAndDoesNotComeFirstGivesItBack() {
        func step(holdsLock: Bool) -> Step {
            var scene = QuorumLeadTests.scene()
            scene.a = .downHard("refused")
            let rows = [
                LedgerRow(id: 1, signal: .scan(host: "web2"), agent: "web2", session: 8),
                LedgerRow(id: 2, signal: .scan(host: "web1"), agent: "web1", session: 9),
            ]
            scene.b = .up(QuorumPolicyTests.replica(votes: [0, 1], receiver: .off) { $0.ledger = rows })
            _ = scene.look()
            let local = LocalStatus(agent: "web1", server: .b, session: 9, holdsLock: holdsLock)
            return scene.look(100, local).step
        }
        #expect(step(holdsLock: true) == .withdraw(.until(.turn(of: "web2"))))
        #expect(step(holdsLock: false) == .wait(.until(.turn(of: "web2"))))
    }

    @Test func aPromiseNeedsTheOwnVoteOrAnOperatorsWord() {
        func step(
            _ local: LocalStatus = LocalStatus(agent: "web1"), _ change: (inout Scene, [LedgerRow]) -> Void
        ) -> Step {
            var scene = QuorumLeadTests.scene()
            let rows = QuorumLeadTests.rows(.failover, on: .b, followers: []).map { row in
                var row = row
                (row.agent, row.session) = ("web2", 8)
                return row
            }
            change(&scene, rows)
            _ = scene.look()
            return scene.look(100, local).step
        }
        func replica(_ rows: [LedgerRow], votes: [Int], asked: Bool = false) -> ServerView {
            .up(
                QuorumPolicyTests.replica(votes: votes, receiver: .off) {
                    $0.ledger = rows
                    $0.quorum?.switchoverAsked = asked
                })
        }
        let lost = step { scene, rows in (scene.a, scene.b) = (.downHard("refused"), replica(rows, votes: [0, 1])) }
        #expect(lost == .follow(on: .b))
        // The primary is well, and this agent's own vote is older than that.
        let well = step { scene, rows in scene.b = replica(rows, votes: [0, 1]) }
        #expect(well == .wait(.until(.disagreement(with: "web2"))))
        // Whoever stands in the queue there makes room.
        let queued = step(LocalStatus(agent: "web1", server: .b, session: 9)) { scene, rows in
            scene.b = replica(rows, votes: [0, 1])
        }
        #expect(queued == .withdraw(.until(.disagreement(with: "web2"))))
        let other = step { scene, rows in scene.b = replica(rows, votes: [1, 2]) }
        #expect(other == .wait(.until(.disagreement(with: "web2"))))
        let asked = step { scene, rows in scene.b = replica(rows, votes: [], asked: true) }
        #expect(asked == .follow(on: .b))
    }

    @Test func aSwitchoverThatCannotBeDoneSaysWhy() {
        func step(_ replica: (inout ServerFacts) -> Void) -> Step {
            var scene = QuorumLeadTests.scene()
            scene.a = .up(QuorumPolicyTests.primary { $0.executed = GTIDSet("\(Fixture.uuidA):1-20000") ?? GTIDSet() })
            scene.b = .up(
                QuorumPolicyTests.replica {
                    $0.quorum?.switchoverAsked = true
                    replica(&$0)
                })
            return scene.look().step
        }
        #expect(step { $0.isOffline = true } == .none(.switchoverBlocked(.offline(.b), also: nil)))
        #expect(step { _ in } == .none(.switchoverBlocked(.behind(.b, transactions: 19_990), also: nil)))
        #expect(step { $0.executed = GTIDSet("\(Fixture.uuidA):1-19000") ?? GTIDSet() } == .scan(on: .b))
        // Repair goes on meanwhile: it may be what the request waits for.
        #expect(step { $0.channels[0].receiver = .off } == .scan(on: .a))
    }

    @Test func whatKeepsAReplicaFromBeingBroughtBackIsNamed() {
        func step(sees: [Int] = [0, 1, 2], _ replica: (inout ServerFacts) -> Void) -> Step {
            var scene = QuorumLeadTests.scene()
            scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.seesPrimary = AgentSet(sees) })
            scene.b = .up(QuorumPolicyTests.replica(replica))
            return scene.look().step
        }
        let open: (inout ServerFacts) -> Void = { ($0.readOnly, $0.superReadOnly) = (false, false) }
        #expect(step(open) == .scan(on: .a))
        #expect(step(sees: [0], open) == .none(.held(.openReplica(.b, primary: .a))))
        #expect(step(sees: [0]) { _ in } == .none(.nothingToDo))
        // A receiver that does not reach its source is no matter of data; half a copy is made whole all the same.
        #expect(step { $0.channels[0].receiver = .connecting }.reason?.code == .sourceUnreachable)
        let half = RebuildMarker(source: Fixture.uuidA, epoch: 1, saved: "x")
        #expect(step { ($0.channels[0].receiver, $0.rebuilding) = (.connecting, half) } == .scan(on: .a))
    }

    @Test func aPrimaryThatWasRestartedIsOpenedAgainWhereNobodyMayBeReplacingIt() {
        func step(
            _ primary: (inout QuorumFacts) -> Void = { _ in }, _ b: ServerView = .up(QuorumPolicyTests.replica()),
            after time: Int64 = 100
        ) -> Step {
            var scene = QuorumLeadTests.scene()
            scene.a = .up(
                QuorumPolicyTests.primary {
                    ($0.readOnly, $0.superReadOnly) = (true, true)
                    if var quorum = $0.quorum {
                        primary(&quorum)
                        $0.quorum = quorum
                    }
                })
            scene.b = b
            return scene.look(time).step
        }
        #expect(step() == .scan(on: .a))
        #expect(step { $0.seesPrimary = AgentSet([0]) } == .none(.held(.closedUnseen(.a))))
        // An operator's pause keeps it closed, his resume opens it.
        #expect(step { $0.control.paused = true } == .none(.held(.closedAndPaused(.a))))
        #expect(step { ($0.control.paused, $0.resumeAsked) = (true, true) } == .scan(on: .a))
        let votes = ServerView.up(QuorumPolicyTests.replica(votes: [2]))
        #expect(step({ _ in }, votes) == .none(.held(.votesAgainst(.a))))
        let attempt = [LedgerRow(id: 1, signal: .mast(host: "web3"), agent: "web3", epoch: 3, session: 8, alive: false)]
        let row = ServerView.up(QuorumPolicyTests.replica { $0.ledger = attempt })
        #expect(step({ _ in }, row) == .scan(on: .b), "what is left there is ended first")
        // Votes that cannot be seen may exist, until those who cast them hold nothing here any more.
        let silent = ServerView.downSoft("silent")
        #expect(step({ _ in }, silent, after: 5_999) == .none(.held(.majorityNotLasting(silent: .b))))
        #expect(step({ _ in }, silent, after: 6_000) == .scan(on: .a))
    }

    /// Whoever leads a switchover has turned away from the primary, and is counted all the same.
    @Test func theMasterOfASwitchoverCountsAmongThoseWhoSeeThePrimary() {
        func step(sees: [Int]) -> Step {
            var durable = DurableState()
            (durable.primary, durable.sync) = (Fixture.uuidA, true)
            durable.uuids = [.a: Fixture.uuidA, .b: Fixture.uuidB]
            durable.promise = DurableState.Promise(epoch: 3, on: .b)
            var scene = Scene(durable: durable)
            scene.a = .up(QuorumPolicyTests.primary { $0.quorum?.seesPrimary = AgentSet(sees) })
            scene.b = .up(
                QuorumPolicyTests.replica {
                    $0.quorum?.switchoverAsked = true
                    $0.ledger = QuorumLeadTests.rows(on: .b, followers: [])
                })
            return scene.look(100, QuorumLeadTests.leader(on: .b)).step
        }
        #expect(step(sees: [1]) == .announce(.failover, target: .b))
        guard case .abort(let why) = step(sees: []), why.code == .noMajority else {
            Issue.record("\(step(sees: []))")
            return
        }
    }

    // MARK: Following

    /// web2 leads, this agent follows.
    private func follower(
        _ kind: OperationKind?, on server: ServerID, _ signals: [Signal] = [], follows: Bool = true,
        promoted: Bool = false, routed: String = Fixture.uuidA, closed: Bool = false, epoch: UInt64 = 3
    ) -> Step {
        var scene = QuorumLeadTests.scene()
        var rows = QuorumLeadTests.rows(kind, on: server, followers: []).map { row in
            var row = row
            (row.agent, row.session) = ("web2", 8)
            if case .mast = row.signal { row.signal = .mast(host: "web2") }
            return row
        }
        if follows {
            rows.append(LedgerRow(id: 30, signal: .folo(host: "web1"), agent: "web1", epoch: epoch, session: 9))
        }
        for (index, signal) in signals.enumerated() {
            rows.append(LedgerRow(id: 31 + UInt64(index), signal: signal, agent: "web1", epoch: 3, session: 9))
        }
        scene.a = server == .a ? .up(QuorumPolicyTests.primary { $0.ledger = rows }) : .downHard("refused")
        scene.b = .up(
            QuorumPolicyTests.replica(votes: server == .b ? [0, 1] : [], receiver: server == .b ? .off : .on) {
                guard server == .b else { return }
                $0.ledger = rows
                if promoted { ($0.channels, $0.promotion) = ([], Promotion(epoch: 3, primary: Fixture.uuidB)) }
            })
        let local = LocalStatus(agent: "web1", server: server, session: 9)
        var step = Step.none(.nothingToDo)
        for _ in 0..<2 {
            scene.now += 100
            step =
                scene.policy.decide(
                    TimedObservation(
                        seen: Observation(a: scene.a, b: scene.b, router: .leadsTo(uuid: routed)), askedAt: scene.now,
                        now: scene.now, pongB: scene.now, routerClosed: closed), local
                ).step
        }
        return step
    }

    @Test func aFollowerConfirmsWhenItsClientsGetThere() {
        #expect(follower(.failover, on: .b) == .wait(.until(.master("web2", .leads))))
        #expect(follower(nil, on: .b) == .wait(.until(.master("web2", .leads))))
        #expect(follower(.failover, on: .b, promoted: true) == .wait(.until(.routerTurned)))
        #expect(follower(.failover, on: .b, promoted: true, routed: Fixture.uuidB) == .confirmFollower)
        // A master that is gone was followed: before the promotion is on record its successor has to be followed anew.
        #expect(follower(.failover, on: .b, promoted: true, routed: Fixture.uuidB, epoch: 2) == .confirmFollower)
        #expect(follower(.failover, on: .b, epoch: 2) == .follow(on: .b))
        #expect(
            follower(.failover, on: .b, promoted: true, routed: Fixture.uuidB, closed: true)
                == .wait(.until(.routerTurned)))
        #expect(
            follower(.failover, on: .b, [.fook(host: "web1")], promoted: true, routed: Fixture.uuidB)
                == .wait(.until(.master("web2", .ends))))
    }

    @Test func aFollowerOfARecoveryConfirmsWhenTheMasterHas() {
        #expect(follower(.recover, on: .a) == .wait(.until(.master("web2", .works))))
        #expect(follower(.recover, on: .a, [.maok(host: "web2")]) == .confirmFollower)
        #expect(
            follower(.recover, on: .a, [.maok(host: "web2"), .fook(host: "web1")])
                == .wait(.until(.master("web2", .ends))))
        #expect(follower(.recover, on: .a, follows: false) == .follow(on: .a))
        #expect(
            follower(.recover, on: .a, [.fook(host: "web1")], follows: false) == .wait(.until(.master("web2", .ends))))
    }
}
