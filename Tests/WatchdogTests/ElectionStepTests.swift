import MySQLWire
import Testing

@testable import Watchdog

/// Whose turn it is, by the ledger alone.
@Suite("The election of an operation master") struct ElectionStepTests {
    private static func scan(_ agent: String, session: UInt64, alive: Bool = true) -> LedgerRow {
        LedgerRow(
            id: session, signal: .scan(host: agent), agent: agent, epoch: 0, session: session, alive: alive)
    }

    private static func election(_ rows: [LedgerRow], _ change: (inout LocalStatus) -> Void = { _ in }) -> Election {
        var local = LocalStatus(agent: "web1", server: .b, session: 1)
        change(&local)
        return Election(ledger: Ledger(server: .b, rows: rows), local: local)
    }

    private static let own = scan("web1", session: 1)
    private static let earlier = scan("web2", session: 0)

    @Test func whoWantsOneAnnouncesItselfThenTakesTheLockThenLeads() {
        #expect(Self.election([]).stand == .scan(on: .b))
        #expect(Self.election([Self.own]).stand == .lock(on: .b))
        #expect(Self.election([Self.own]) { $0.holdsLock = true }.stand == .master(on: .b))
        // A row of another session, or of a session that is gone, is none.
        #expect(Self.election([Self.own]) { $0.session = 2 }.stand == .scan(on: .b))
        #expect(Self.election([Self.own]) { $0.session = nil }.stand == .scan(on: .b))
        #expect(Self.election([Self.own]) { $0.server = .a }.stand == .scan(on: .b))
        #expect(Self.election([Self.scan("web1", session: 1, alive: false)]).stand == .scan(on: .b))
        #expect(Self.election([Self.own]) { ($0.server, $0.holdsLock) = (.a, true) }.stand == .scan(on: .b))
    }

    @Test func theOldestAnnouncementThatLivesComesFirst() {
        let turn = Reason.until(.turn(of: "web2"))
        #expect(Self.election([Self.earlier, Self.own]).stand == .wait(turn))
        #expect(Self.election([Self.scan("web2", session: 0, alive: false), Self.own]).stand == .lock(on: .b))
        // The lock of an operation that is over: whoever comes first could not begin.
        #expect(Self.election([Self.earlier, Self.own]) { $0.holdsLock = true }.stand == .withdraw(turn))
        // An operation whose master is gone is led by whoever has the lock, whenever it came.
        #expect(Self.election([Self.earlier, Self.own]) { $0.holdsLock = true }.takeOver == .master(on: .b))
        #expect(Self.election([Self.earlier]) { $0.holdsLock = true }.takeOver == .scan(on: .b))
        #expect(Self.election([Self.own]).takeOver == .lock(on: .b))
        #expect(Self.election([Self.own]) { ($0.server, $0.holdsLock) = (.a, true) }.takeOver == .scan(on: .b))
    }

    @Test func theRoleIsReadFromTheLedger() {
        func role(_ alive: Bool = true, _ change: (inout LocalStatus) -> Void = { _ in }) -> String {
            let row = LedgerRow(
                id: 2, signal: .mast(host: "web1"), agent: "web1", epoch: 3, session: 1, alive: alive)
            let election = Self.election([Self.own, row]) {
                $0.holdsLock = true
                change(&$0)
            }
            return switch election.role {
            case nil: "none"
            case .master?: "master"
            case .follower?: "follower"
            case .orphan?: "orphan"
            }
        }
        #expect(role() == "master")
        #expect(role(false) == "orphan")
        #expect(role { $0.holdsLock = false } == "follower")
        #expect(role { $0.session = 2 } == "follower")
        #expect(role { $0.server = .a } == "follower")
        #expect(role { $0.agent = "web2" } == "follower")
        #expect(Self.election([Self.own]).role == nil)
    }

    @Test func whatNobodyNeedsIsClearedByTheOneWhoIsLeft() {
        let why = Reason.because(.notNeeded)
        #expect(Self.election([Self.earlier]).clear(why, keepClosed: true) == .withdraw(why))
        #expect(
            Self.election([Self.earlier]) { $0.server = nil }.clear(why, keepClosed: true) == .wait(.until(.others)))
        #expect(Self.election([]) { $0.server = nil }.clear(why, keepClosed: true) == .scan(on: .b))
        #expect(Self.election([Self.own]).clear(why, keepClosed: true) == .lock(on: .b))
        for keepClosed in [true, false] {
            #expect(
                Self.election([Self.own]) { $0.holdsLock = true }.clear(why, keepClosed: keepClosed)
                    == .terminate(missing: [], keepClosed: keepClosed))
        }
        #expect(
            Self.election([Self.own]) { ($0.server, $0.holdsLock) = (.a, true) }.clear(why, keepClosed: true)
                == .scan(on: .b))
    }

    @Test func aFollowerIsOneOfThisSession() {
        let folo = LedgerRow(id: 3, signal: .folo(host: "web1"), agent: "web1", epoch: 3, session: 1)
        #expect(Self.election([folo]).follows())
        #expect(Self.election([folo]).follows(in: 3) && !Self.election([folo]).follows(in: 4))
        #expect(!Self.election([folo]) { $0.session = 2 }.follows())
        #expect(!Self.election([folo]) { $0.server = .a }.follows())
        #expect(!Self.election([folo]) { $0.agent = "web2" }.follows())
        #expect(!Self.election([folo]).hasConfirmed)
        let fook = LedgerRow(id: 4, signal: .fook(host: "web1"), agent: "web1", epoch: 3, session: 1)
        #expect(Self.election([folo, fook]).hasConfirmed)
        #expect(LocalStatus(agent: "web1").standsAside(.nothingToDo) == .wait(.nothingToDo))
        #expect(LocalStatus(agent: "web1", server: .b).standsAside(.nothingToDo) == .withdraw(.nothingToDo))
    }
}
