import COpenSSL
import Testing

@testable import MySQLWire

struct Ed25519Tests {
    /// A password of 32 bytes is the seed of RFC 8032: OpenSSL signs the same.
    @Test(arguments: 0..<4)
    func agreesWithOpenSSLWhereItCan(_ round: Int) throws {
        let seed = (0..<32).map { _ in UInt8.random(in: 0...255) }
        let message = (0..<32 + round).map { _ in UInt8.random(in: 0...255) }
        let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count)
        defer { EVP_PKEY_free(key) }
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var expected = [UInt8](repeating: 0, count: 64)
        var length = expected.count
        #expect(EVP_DigestSignInit(context, nil, nil, nil, key) == 1)
        #expect(EVP_DigestSign(context, &expected, &length, message, message.count) == 1)
        #expect(try Ed25519Signature.sign(message, password: seed) == expected)
    }

    @Test func noPasswordGivesNoSignature() throws {
        #expect(try Ed25519Signature.sign(Array(1...32), password: []).isEmpty)
    }
}
