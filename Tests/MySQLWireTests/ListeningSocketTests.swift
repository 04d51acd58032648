import Glibc
import TestBed
import Testing

/// The test bed's own listener: what it does to its descriptor must not reach another test's.
struct ListeningSocketTests {
    @Test func aSecondStopEndsNobodyElsesSocket() throws {
        let first = try ListeningSocket()
        first.stop()
        #expect(first.accept() == nil)
        #expect(first.isClosed)
        // The lowest numbers that are free: the first one's among them, unless another test was quicker.
        let others = try (0..<64).map { _ in try ListeningSocket(blocks: false) }
        first.stop()
        for other in others {
            #expect(other.accept() == nil)
            #expect(!other.isClosed)
            other.stop()
            _ = other.accept()
        }
    }
}
