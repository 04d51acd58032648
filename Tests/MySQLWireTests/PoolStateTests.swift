import Testing

@testable import MySQLWire

struct PoolStateTests {
    private typealias Pool = PoolState<Int>

    private func text(_ answer: Pool.Answer) -> String { "\(answer)" }

    @Test func opensUpToItsCapacityAndThenLetsWait() {
        var pool = Pool(capacity: 2, maximumWaiting: 1)
        let answers = (0..<4).map { _ in text(pool.request()) }
        #expect(answers == ["open", "open", "wait(ticket: 1)", "tooManyWait"])
        let before = pool.take(1)
        #expect(before == nil)
        let effects = pool.giveBack(7).map { "\($0)" }
        #expect(effects == ["wake(ticket: 1)"])
        guard case .use(7) = pool.take(1) else {
            Issue.record("the connection passes to who waits")
            return
        }
        let inUse = pool.inUse
        #expect(inUse == 2)
    }

    @Test func whatFailedMakesRoom() {
        var pool = Pool(capacity: 1, maximumWaiting: 9)
        _ = pool.request()
        _ = pool.request()
        _ = pool.giveBack(nil)
        guard case .open = pool.take(1) else {
            Issue.record("who waits may open one")
            return
        }
        _ = pool.giveBack(5)
        let answer = text(pool.request())
        #expect(answer == "use(5)")
    }

    @Test func whatWasGrantedToOneWhoLeftPassesOn() {
        var pool = Pool(capacity: 1, maximumWaiting: 9)
        for _ in 0..<3 { _ = pool.request() }
        _ = pool.giveBack(5)
        let effects = pool.giveUp(1).map { "\($0)" }
        #expect(effects == ["wake(ticket: 2)"])
        guard case .use(5) = pool.take(2) else {
            Issue.record("lost")
            return
        }
    }

    @Test func closing() {
        var pool = Pool(capacity: 2, maximumWaiting: 9)
        _ = pool.request()
        _ = pool.request()
        _ = pool.giveBack(1)
        _ = pool.request()
        _ = pool.request()
        let effects = pool.close().map { "\($0)" }
        #expect(effects == ["wake(ticket: 1)"])
        guard case .closed = pool.take(1) else {
            Issue.record("who waits is told")
            return
        }
        let late = pool.giveBack(3).map { "\($0)" }
        #expect(late == ["close(3)"])
        let answer = text(pool.request())
        #expect(answer == "closed")
    }

    /// Whatever happens in whatever order: never more than the capacity, and nobody waits beside a free place.
    @Test(arguments: 0..<50)
    func anyOrder(_ seed: UInt64) {
        var random = Numbers(state: seed &+ 1)
        var pool = Pool(capacity: 3, maximumWaiting: 5)
        var held: [Int] = []
        var waiting: [UInt64] = []
        var next = 0
        for _ in 0..<2000 {
            switch random.next() % 4 {
            case 0, 1:
                switch pool.request() {
                case .use(let connection): held.append(connection)
                case .open:
                    next += 1
                    held.append(next)
                case .wait(let ticket): waiting.append(ticket)
                case .tooManyWait: #expect(waiting.count >= 5)
                case .closed: Issue.record("closed")
                }
            case 2:
                guard !held.isEmpty else { continue }
                let connection = held.remove(at: Int(random.next() % UInt64(held.count)))
                _ = pool.giveBack(random.next() % 3 == 0 ? nil : connection)
            default:
                guard !waiting.isEmpty else { continue }
                let ticket = waiting.remove(at: Int(random.next() % UInt64(waiting.count)))
                if random.next() % 2 == 0 {
                    _ = pool.giveUp(ticket)
                } else {
                    switch pool.take(ticket) {
                    case .use(let connection): held.append(connection)
                    case .open:
                        next += 1
                        held.append(next)
                    case .closed: Issue.record("closed")
                    case nil: waiting.append(ticket)
                    }
                }
            }
            #expect(Set(held).count == held.count, "nobody shares a connection")
            let (inUse, idle, queued) = (pool.inUse, pool.idle.count, pool.waiting)
            #expect(inUse + idle <= 3)
            #expect(inUse >= held.count)
            #expect(queued == 0 || inUse == 3)
        }
    }

    private struct Numbers {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
    }
}
