import MySQLWire
import Testing

@testable import Watchdog

@Suite("The router's moves as a machine")
struct RouterMachineTests {
    static let uuid = "aaaaaaaa-0000-0000-0000-000000000001"
    static let other = "bbbbbbbb-0000-0000-0000-000000000002"
    static let turnToA = RouterMachine.Command.turn(to: .a, uuid: uuid, limit: 20_000)
    static let stop = RouterMachine.Command.stop(limit: 2_000)
    static let look = RouterMachine.Command.seeClosed(limit: 500)

    /// With a lease that does not end.
    static func machine() -> RouterMachine {
        var machine = RouterMachine(probeTimeout: 2_000)
        machine.lease(until: .max)
        return machine
    }

    /// One that leads to a, seen at the time 0.
    static func leading() -> RouterMachine {
        var machine = machine()
        #expect(machine.point(to: .a, uuid: uuid, at: 0) == [turnToA])
        #expect(machine.ended(.turned, at: 0) == [.wake])
        return machine
    }

    /// One that was stopped, seen at the time 0.
    static func closed() -> RouterMachine {
        var machine = machine()
        #expect(machine.close(at: 0) == [stop])
        #expect(machine.ended(.stopped, at: 0) == [look])
        #expect(machine.ended(.refused, at: 0) == [.report(.closed), .wake])
        return machine
    }

    @Test("an agent that begins asks where an earlier one has left the router, and leaves one alone that leads right")
    func aRouterThatLeadsRightIsLeftAlone() {
        var machine = Self.machine()
        #expect(machine.start() == [.ask(limit: 2_000)])
        #expect(machine.ended(.leads(to: Self.uuid), at: 5) == [.wake])
        #expect(machine.view == .leadsTo(uuid: Self.uuid))
        // Its file has not been looked at yet.
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 6) == [.ask(limit: 2_000)])
        #expect(machine.ended(.leads(to: Self.uuid), at: 7).isEmpty)
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 5_006).isEmpty)
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 5_007) == [.ask(limit: 2_000)])
    }

    @Test("closed is one that was stopped and whose port refuses; it is asked again after a second")
    func closedIsStoppedAndRefusing() {
        var machine = Self.closed()
        #expect(machine.isClosed)
        #expect(machine.close(at: 999).isEmpty)
        #expect(machine.close(at: 1_000) == [Self.look])
        // What was seen a second ago holds until it is known better: a vote rests on it.
        #expect(machine.isClosed)
        #expect(machine.ended(.refused, at: 1_001).isEmpty)
        #expect(machine.isClosed)
        // Somebody has started it.
        #expect(machine.close(at: 2_001) == [Self.look])
        #expect(machine.ended(.leads(to: Self.uuid), at: 2_002) == [Self.stop])
        #expect(!machine.isClosed)
    }

    @Test("a port that refuses does not prove that the router was stopped: mysqlrouter closes ports by itself")
    func aRouterThatCouldNotBeStoppedIsNotClosed() {
        var machine = Self.leading()
        #expect(machine.close(at: 10) == [Self.stop])
        #expect(machine.ended(.notStopped, at: 20) == [Self.look])
        #expect(machine.ended(.refused, at: 30) == [.report(.notProvenClosed), .wake])
        #expect(!machine.isClosed && machine.view != .leadsTo(uuid: Self.uuid))
        // It is tried again by itself, and not at every order.
        #expect(machine.tick(at: 529).isEmpty && machine.close(at: 529).isEmpty)
        #expect(machine.tick(at: 530) == [Self.stop])
        #expect(machine.ended(.stopped, at: 540) == [Self.look])
        #expect(machine.ended(.silent, at: 550) == [.report(.stillOpen), .wake])
        #expect(machine.tick(at: 1_050) == [Self.stop])
        // A command may fail where nothing runs any more: it was stopped since it was last turned.
        #expect(machine.ended(.notStopped, at: 1_060) == [Self.look])
        #expect(machine.ended(.refused, at: 1_070) == [.report(.closed), .wake])
        #expect(machine.isClosed)
    }

    @Test("what was stopped before a turn is not taken for stopped after it")
    func aTurnVoidsTheStop() {
        var machine = Self.closed()
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 10) == [Self.turnToA])
        #expect(machine.ended(.notTurned, at: 20).isEmpty)
        #expect(machine.close(at: 30) == [Self.stop])
        #expect(machine.ended(.notStopped, at: 40) == [Self.look])
        #expect(machine.ended(.refused, at: 50) == [.report(.notProvenClosed), .wake])
        #expect(!machine.isClosed)
    }

    @Test("closing calls a turn off, and begins when that has ended, however it has", arguments: [true, false])
    func closingGoesBeforeATurn(turned: Bool) {
        var machine = Self.machine()
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 0) == [Self.turnToA])
        #expect(machine.close(at: 10) == [.cancel])
        #expect(machine.close(at: 20).isEmpty)
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 25).isEmpty)
        #expect(!machine.isClosed)
        #expect(machine.ended(turned ? .turned : .notTurned, at: 30) == [Self.stop])
        // What is ordered meanwhile was decided too early.
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 40).isEmpty)
        #expect(machine.ended(.stopped, at: 50) == [Self.look])
        #expect(machine.ended(.refused, at: 60) == [.report(.closed), .wake])
        #expect(machine.isClosed && !machine.hasFailed)
    }

    @Test("another server's order calls a turn off, and the next look orders again")
    func anotherTargetIsOrderedAgain() {
        var machine = Self.machine()
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 0) == [Self.turnToA])
        #expect(machine.point(to: .b, uuid: Self.other, at: 10) == [.cancel])
        #expect(machine.ended(.notTurned, at: 20) == [.wake])
        #expect(
            machine.point(to: .b, uuid: Self.other, at: 30)
                == [.turn(to: .b, uuid: Self.other, limit: 20_000)])
    }

    @Test("the end of a lease closes the router without an order, once")
    func theEndOfALeaseCloses() {
        var machine = Self.leading()
        machine.lease(until: 3_000)
        #expect(machine.tick(at: 2_999).isEmpty)
        #expect(machine.leaseEnd == 3_000)
        #expect(machine.tick(at: 3_000) == [Self.stop])
        #expect(machine.leaseEnd == nil)
        #expect(machine.tick(at: 3_001).isEmpty)
    }

    @Test("the end of a lease calls a turn off")
    func theEndOfALeaseCallsATurnOff() {
        var machine = Self.machine()
        machine.lease(until: 3_000)
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 2_990) == [Self.turnToA])
        #expect(machine.tick(at: 3_000) == [.cancel])
        #expect(machine.ended(.notTurned, at: 3_010) == [Self.stop])
    }

    @Test(
        "a router whose server is busy is left alone; one that is gone, or leads elsewhere, is turned",
        arguments: [
            (RouterMachine.Outcome.silent, false), (.leads(to: uuid), false), (.refused, true),
            (.leads(to: other), true),
        ])
    func onlyARouterThatIsWrongIsTouched(_ outcome: RouterMachine.Outcome, turns: Bool) {
        var machine = Self.leading()
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 5_000) == [.ask(limit: 2_000)])
        #expect(machine.ended(outcome, at: 5_010) == (turns ? [Self.turnToA] : []))
        #expect((machine.view == .leadsTo(uuid: Self.uuid)) == !turns)
    }

    @Test("a question that was called off changes nothing")
    func aQuestionThatWasCalledOff() {
        var machine = Self.leading()
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 5_000) == [.ask(limit: 2_000)])
        #expect(machine.point(to: .b, uuid: Self.other, at: 5_005) == [.cancel])
        #expect(machine.ended(.refused, at: 5_010) == [.wake])
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 5_020) == [.ask(limit: 2_000)])
    }

    @Test("a router that cannot be turned is given up after three tries, and left alone for longer each time")
    func aRouterThatCannotBeTurned() {
        var machine = Self.machine()
        for time in Int64(1)...3 {
            #expect(!machine.hasFailed)
            #expect(machine.point(to: .a, uuid: Self.uuid, at: time) == [Self.turnToA])
            #expect(machine.ended(.notTurned, at: time).isEmpty)
        }
        #expect(machine.hasFailed)
        var failedAt: Int64 = 3
        for pause in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] as [Int64] {
            #expect(machine.point(to: .a, uuid: Self.uuid, at: failedAt + pause - 1).isEmpty)
            failedAt += pause
            #expect(machine.point(to: .a, uuid: Self.uuid, at: failedAt) == [Self.turnToA])
            #expect(machine.ended(.notTurned, at: failedAt).isEmpty)
        }
        // Another server is another matter.
        #expect(
            machine.point(to: .b, uuid: Self.other, at: failedAt + 1)
                == [.turn(to: .b, uuid: Self.other, limit: 20_000)])
        #expect(machine.ended(.turned, at: failedAt + 2) == [.wake])
        #expect(!machine.hasFailed)
    }

    @Test("a failed close is not repeated once the router was pointed somewhere")
    func aPointEndsTheRepetition() {
        var machine = Self.leading()
        #expect(machine.close(at: 10) == [Self.stop])
        #expect(machine.ended(.notStopped, at: 20) == [Self.look])
        #expect(machine.ended(.silent, at: 30) == [.report(.stillOpen), .wake])
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 40) == [Self.turnToA])
        #expect(machine.ended(.turned, at: 50) == [.wake])
        #expect(machine.tick(at: 1_000).isEmpty)
    }

    @Test("who has started a router that was stopped voids the stop")
    func startedBySomebodyElse() {
        var machine = Self.closed()
        #expect(machine.close(at: 1_000) == [Self.look])
        #expect(machine.ended(.leads(to: Self.uuid), at: 1_001) == [Self.stop])
        #expect(machine.ended(.notStopped, at: 1_010) == [Self.look])
        #expect(machine.ended(.refused, at: 1_020) == [.report(.notProvenClosed), .wake])
        #expect(!machine.isClosed)
    }

    @Test("a router whose port refuses is not closed while it serves those who came before")
    func clientsThatAreServedOn() {
        var machine = Self.leading()
        #expect(machine.close(at: 10) == [Self.stop])
        #expect(machine.ended(.stopped, at: 20) == [Self.look])
        #expect(machine.ended(.served, at: 30) == [.report(.stillOpen), .wake])
        #expect(!machine.isClosed)
    }

    @Test("nothing is opened without a lease, nor on one that has ended")
    func noPointWithoutALease() {
        for end in [nil, 100] as [Int64?] {
            var machine = Self.machine()
            machine.lease(until: end)
            #expect(machine.point(to: .a, uuid: Self.uuid, at: 100).isEmpty)
        }
        // The guard has taken the lease between the loop's look at it and its order.
        var machine = Self.closed()
        machine.lease(until: 100)
        #expect(machine.tick(at: 100).isEmpty)
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 101).isEmpty)
        #expect(machine.isClosed)
    }

    @Test("a close that waits for what it has called off is overdue after two seconds; a turn never is")
    func aTurnThatCannotBeCalledOff() {
        var machine = Self.machine()
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 0) == [Self.turnToA])
        #expect(!machine.isOverdue(at: 100_000))
        #expect(machine.rest(at: 50) == [.cancel])
        #expect(!machine.isOverdue(at: 100_000))
        #expect(machine.close(at: 100).isEmpty)
        #expect(!machine.isOverdue(at: 2_050) && machine.isOverdue(at: 2_051))
        #expect(machine.ended(.notTurned, at: 3_000) == [Self.stop])
        #expect(!machine.isOverdue(at: 3_000))
    }

    @Test("a router that takes connections four seconds after it was to be closed is overdue, try after try")
    func aCloseThatFails() {
        var machine = Self.leading()
        #expect(machine.close(at: 100) == [Self.stop])
        #expect(!machine.isOverdue(at: 4_100) && machine.isOverdue(at: 4_101))
        #expect(machine.ended(.notStopped, at: 200) == [Self.look])
        #expect(machine.ended(.silent, at: 300) == [.report(.stillOpen), .wake])
        #expect(machine.tick(at: 4_000) == [Self.stop])
        #expect(machine.ended(.notStopped, at: 4_010) == [Self.look])
        #expect(!machine.isOverdue(at: 4_100) && machine.isOverdue(at: 4_101))
        // Whoever it serves still came before: the supervisor would change nothing but this agent's part in the rest.
        #expect(machine.ended(.served, at: 4_200) == [.report(.stillOpen), .wake])
        #expect(!machine.isOverdue(at: 9_000))
        #expect(machine.tick(at: 9_000) == [Self.stop])
        #expect(machine.ended(.stopped, at: 9_010) == [Self.look])
        #expect(machine.ended(.refused, at: 9_020) == [.report(.closed), .wake])
        #expect(!machine.isOverdue(at: 90_000))
    }

    @Test("a router that is not proven closed after two seconds is past the limit, whatever its port says")
    func theLimitOfAClose() {
        for outcome in [RouterMachine.Outcome.silent, .served, .refused, .leads(to: Self.uuid)] {
            var machine = Self.leading()
            #expect(machine.close(at: 100) == [Self.stop] && !machine.isPastLimit(at: 2_100))
            #expect(machine.isPastLimit(at: 2_101))
            _ = machine.ended(outcome == .refused ? .notStopped : .stopped, at: 200)
            _ = machine.ended(outcome, at: 300)
            #expect(!machine.isClosed && !machine.isPastLimit(at: 2_100) && machine.isPastLimit(at: 2_101))
            _ = machine.tick(at: 2_000)
            #expect(machine.isPastLimit(at: 2_101), "from the first try on")
            _ = machine.ended(.stopped, at: 2_050)
            _ = machine.ended(.refused, at: 2_060)
            #expect(machine.isClosed && !machine.isPastLimit(at: 90_000))
        }
        // One that has never been asked to close anything has no limit.
        #expect(!Self.leading().isPastLimit(at: 90_000))
        // The turn that goes on counts.
        var machine = Self.machine()
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 0) == [Self.turnToA] && !machine.isPastLimit(at: 90_000))
        #expect(machine.close(at: 100) == [.cancel])
        #expect(!machine.isPastLimit(at: 2_100) && machine.isPastLimit(at: 2_101))
        _ = machine.ended(.notTurned, at: 1_000)
        #expect(machine.isPastLimit(at: 2_101))
        _ = machine.ended(.notStopped, at: 1_500)
        _ = machine.ended(.silent, at: 1_600)
        // Its agent may lead it to the primary again.
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 1_700) == [Self.turnToA] && !machine.isPastLimit(at: 90_000))
    }

    @Test("a router that is pointed somewhere is not overdue any more")
    func aPointEndsTheWait() {
        var machine = Self.leading()
        #expect(machine.close(at: 100) == [Self.stop])
        #expect(machine.ended(.notStopped, at: 200) == [Self.look])
        #expect(machine.ended(.silent, at: 300) == [.report(.stillOpen), .wake])
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 400) == [Self.turnToA])
        #expect(!machine.isOverdue(at: 90_000))
    }

    @Test("one that still answers after a stop is not taken for stopped later")
    func aStopThatDidNothing() {
        var machine = Self.leading()
        #expect(machine.close(at: 10) == [Self.stop])
        #expect(machine.ended(.stopped, at: 20) == [Self.look])
        #expect(machine.ended(.leads(to: Self.uuid), at: 30) == [.report(.stillOpen), .wake])
        #expect(machine.tick(at: 530) == [Self.stop])
        #expect(machine.ended(.notStopped, at: 540) == [Self.look])
        #expect(machine.ended(.refused, at: 550) == [.report(.notProvenClosed), .wake])
    }

    @Test("who ends calls a turn off and lets a close go on; who takes over has no lease for what is to be closed")
    func handingOver() {
        var machine = Self.machine()
        machine.lease(until: 3_000)
        #expect(machine.handedLease(at: 10) == 3_000)
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 10) == [Self.turnToA])
        #expect(machine.rest(at: 20) == [.cancel])
        #expect(machine.rest(at: 21).isEmpty)
        #expect(machine.ended(.notTurned, at: 30) == [.wake])
        #expect(machine.handedLease(at: 30) == 3_000)
        #expect(machine.close(at: 40) == [Self.stop])
        machine.lease(until: nil)
        #expect(machine.rest(at: 50).isEmpty)
        #expect(machine.handedLease(at: 50) == 50)
        #expect(machine.ended(.notStopped, at: 60) == [Self.look])
        #expect(machine.ended(.silent, at: 70) == [.report(.stillOpen), .wake])
        #expect(machine.handedLease(at: 80) == 80)
        #expect(machine.tick(at: 570) == [Self.stop])
        #expect(machine.ended(.stopped, at: 580) == [Self.look])
        #expect(machine.ended(.refused, at: 590) == [.report(.closed), .wake])
        #expect(machine.handedLease(at: 600) == nil)
    }

    @Test("a question that is called off begins no turn")
    func restingBeginsNothing() {
        var machine = Self.leading()
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 5_000) == [.ask(limit: 2_000)])
        #expect(machine.rest(at: 5_001) == [.cancel])
        #expect(machine.ended(.refused, at: 5_002) == [.wake])
    }

    @Test("a close that failed is repeated until the router is pointed somewhere, which a pause puts off")
    func aCloseIsRepeatedDuringThePause() {
        var machine = Self.machine()
        for time in Int64(1)...3 {
            #expect(machine.point(to: .a, uuid: Self.uuid, at: time) == [Self.turnToA])
            #expect(machine.ended(.notTurned, at: time).isEmpty)
        }
        #expect(machine.close(at: 10) == [Self.stop])
        #expect(machine.ended(.notStopped, at: 20) == [Self.look])
        #expect(machine.ended(.silent, at: 30) == [.report(.stillOpen), .wake])
        // Nobody knows where it leads.
        #expect(machine.point(to: .a, uuid: Self.uuid, at: 40).isEmpty)
        #expect(machine.tick(at: 530) == [Self.stop])
    }
}
