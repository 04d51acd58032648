import Testing

@testable import Watchdog

/// Names of XA transactions as a server lists them, and as XA COMMIT takes them.
@Suite struct PreparedTransactionNameTests {
    private func xid(_ format: Int64?, _ global: Int64?, _ branch: Int64?, _ data: String?) -> String? {
        PreparedTransaction(format: format, globalLength: global, branchLength: branch, data: data)?.xid
    }

    @Test func letterNamesAreReadableAndOthersExact() {
        #expect(xid(7, 2, 2, "0x67316231") == "'g1','b1',7")
        #expect(xid(1, 2, 0, "0x6732") == "'g2','',1")
        // A quote, a backslash and bytes of no character set stand in no literal.
        #expect(xid(1, 2, 1, "0x2700C3") == "X'2700',X'C3',1")
        #expect(xid(-1, 1, 1, "0x5C0a") == "X'5C',X'0A',-1")
    }

    @Test func whatIsNoRowOfTheListIsLeftOut() {
        #expect(xid(1, 2, 0, "6732") == nil)
        #expect(xid(1, 2, 0, "0x67") == nil)
        #expect(xid(1, 2, 0, "0x673") == nil)
        #expect(xid(1, 2, 0, "0x67zz32") == nil)
        #expect(xid(1, -1, 3, "0x6732") == nil)
        #expect(xid(1, 65, 0, "0x" + String(repeating: "61", count: 65)) == nil)
        #expect(xid(1, 1, 0, nil) == nil && xid(nil, 1, 0, "0x61") == nil)
    }

    @Test func aSentenceNamesAFew() throws {
        let all = try (1...7).map {
            try #require(PreparedTransaction(format: $0, globalLength: 1, branchLength: 0, data: "0x61"))
        }
        #expect(PreparedTransaction.names(all.prefix(1)) == "'a','',1")
        #expect(PreparedTransaction.names(all).hasSuffix("'a','',5; and 2 more"))
    }
}
