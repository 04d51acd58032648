import Testing

@testable import Watchdog

@Suite struct GTIDSetTests {
    let a = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    let b = "4e11fa47-71ca-11e1-9e33-c80aa9429562"

    @Test func readsWhatServersPrint() throws {
        let set = try #require(GTIDSet("\(a.uppercased()):1-3:11:47-49,\n\(b):1-5"))
        #expect(set.description == "\(a):1-3:11:47-49,\(b):1-5")
        #expect(set.count == 12)
        #expect(GTIDSet("")?.isEmpty == true)
        #expect(try #require(GTIDSet("\(a):1-3:4-5:2")).description == "\(a):1-5")
        #expect(try #require(GTIDSet("\(a):1:tag:1-3")).description == "\(a):1,\(a):tag:1-3")
    }

    @Test(arguments: [
        "x", "3e11fa47:1", ":1-3", "3e11fa47-71ca-11e1-9e33-c80aa9429562", "3e11fa47-71ca-11e1-9e33-c80aa9429562:0",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:5-3", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2-3",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:99999999999999999999",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:18446744073709551615",
    ])
    func refusesWhatIsNone(_ text: String) {
        #expect(GTIDSet(text) == nil)
    }

    /// Against sets of integers, which cannot be wrong in the same way.
    @Test func algebraAgreesWithPlainSets() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let left = Set((0..<Int.random(in: 0...12, using: &generator)).map { _ in UInt64.random(in: 1...20) })
            let right = Set((0..<Int.random(in: 0...12, using: &generator)).map { _ in UInt64.random(in: 1...20) })
            let (x, y) = (try make(left), try make(right))
            #expect(x.subtracting(y) == (try make(left.subtracting(right))))
            #expect(x.union(y) == (try make(left.union(right))))
            #expect(x.isSubset(of: y) == left.isSubset(of: right))
            #expect(x.count == UInt64(left.count))
        }
    }

    private func make(_ numbers: Set<UInt64>) throws -> GTIDSet {
        try #require(GTIDSet(numbers.map { "\(a):\($0)" }.shuffled().joined(separator: ",")))
    }

    @Test func keepsOneServersPart() throws {
        let set = try #require(GTIDSet("\(a):1-3,\(b):7,\(b):tag:1"))
        #expect(set.from(uuid: b.uppercased()).description == "\(b):7,\(b):tag:1")
        let source = set.subtracting(set.from(uuid: b))
        #expect(set.errant(beside: source, of: b).isEmpty)
        #expect(set.errant(beside: source, of: "cccccccc-0000-0000-0000-000000000003") == set.from(uuid: b))
        #expect(source.errant(beside: set, of: b).isEmpty)
    }
}
