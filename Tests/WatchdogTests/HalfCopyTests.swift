import MySQLWire
import Testing

@testable import Watchdog

/// What a client wrote to half a copy: it is saved before the copy is made whole.
@Suite("What was written to half a copy") struct HalfCopyTests {
    private let a = Fixture.uuidA
    private let b = Fixture.uuidB

    /// b is to become a copy of a, which has rows of b's from the time when b was primary.
    private func written(_ executed: String, purged: String = "", saved: String? = nil) -> GTIDSet {
        func set(_ text: String) -> GTIDSet { GTIDSet(text) ?? GTIDSet() }
        return HalfCopy.written(
            executed: set(executed), purged: set(purged), uuid: b, source: set("\(a):1-10,\(b):1-40"),
            saved: saved.map(set))
    }

    @Test func whatWasSavedIsNotSavedTwice() {
        let all = "\(a):1-10,\(b):1-43"
        #expect(written(all, saved: all).isEmpty)
        #expect(written("\(a):1-10,\(b):1-44", saved: all).contains("\(b):44"))
        #expect(written(all).contains("\(b):41-43"), "where it is not on record, it is saved")
    }

    /// A wiped server numbers its transactions from 1 again.
    @Test func newRowsAreKnownByNumbersThatOldOnesHad() {
        #expect(written("").isEmpty)
        #expect(written("\(b):1-2").contains("\(b):1-2"))
    }

    @Test func whatTheCopyClaimsIsItsSources() {
        let source = "\(a):1-10,\(b):1-40"
        #expect(written(source, purged: source).isEmpty)
        #expect(written("\(a):1-10,\(b):1-41", purged: source) == GTIDSet("\(b):41"))
        // Whatever its source does not have.
        #expect(written("\(a):1-11,\(b):1-40", purged: source) == GTIDSet("\(a):11"))
    }
}

extension GTIDSet {
    fileprivate func contains(_ text: String) -> Bool { GTIDSet(text)?.isSubset(of: self) == true }
}
