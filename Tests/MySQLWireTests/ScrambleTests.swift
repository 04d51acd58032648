import Testing

@testable import MySQLWire

/// Expected values computed with another SHA implementation from the formulas in the protocol's documentation.
struct ScrambleTests {
    let nonce: [UInt8] = Array(1...20)

    @Test func cachingSHA2() {
        #expect(
            Scramble.cachingSHA2(password: Array("secret".utf8), nonce: nonce)
                == hex("746ebe205d56a0707acb3e796e834e0dd7b1d61743b26bd5202c7a623230c7c9"))
        let long = Array("pässword-longer-than-20-bytes".utf8)
        #expect(
            Scramble.cachingSHA2(password: long, nonce: nonce)
                == hex("364d4e5082ac9b296fb92e466f1d6a302207bea460b45391efbf7247b0b9ae14"))
    }

    @Test func native() {
        #expect(
            Scramble.native(password: Array("secret".utf8), nonce: nonce)
                == hex("b32bb3a583e1340c0a1108d58b1be49781ad8c2f"))
        let long = Array("pässword-longer-than-20-bytes".utf8)
        #expect(Scramble.native(password: long, nonce: nonce) == hex("f2dfb6b293ba248f192cd066bb0e639d918ce289"))
    }

    @Test func noPasswordGivesNoProof() {
        #expect(Scramble.cachingSHA2(password: [], nonce: nonce).isEmpty)
        #expect(Scramble.native(password: [], nonce: nonce).isEmpty)
    }
}
