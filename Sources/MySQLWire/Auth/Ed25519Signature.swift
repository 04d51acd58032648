import COpenSSL

/// MariaDB's client_ed25519: an Ed25519 signature of the server's nonce, by a key that is made of the password.
///
/// Ed25519 as RFC 8032 has it, but for one thing: what is hashed into the secret scalar is the password, of any
/// length, and no seed of 32 bytes. OpenSSL signs with seeds only, so the curve is computed here.
/// https://mariadb.com/kb/en/connection/#client_ed25519-plugin
enum Ed25519Signature {
    static let nonceLength = 32

    /// - Returns: 64 bytes; none for no password.
    static func sign(_ message: [UInt8], password: [UInt8]) throws(Failure) -> [UInt8] {
        if password.isEmpty { return [] }
        var secret = sha512(password)
        secret[0] &= 248
        secret[31] &= 127
        secret[31] |= 64
        let scalar = Array(secret[0..<32])
        let publicKey = EdwardsPoint.base.multiplied(by: scalar).encoded
        let r = Ed25519Scalar.reduced(sha512(secret[32...] + message))
        let point = EdwardsPoint.base.multiplied(by: r).encoded
        let challenge = Ed25519Scalar.reduced(sha512(point + publicKey + message))
        return point + Ed25519Scalar.multiplied(challenge, scalar, plus: r)
    }

    private static func sha512(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let bytes = Array(bytes)
        var out = [UInt8](repeating: 0, count: Int(SHA512_DIGEST_LENGTH))
        SHA512(bytes, bytes.count, &out)
        return out
    }
}

/// Numbers modulo the order of the base point, 2^252 + 27742317777372353535851937790883648493; 32 bytes,
/// little-endian. No branch and no index depends on a value.
enum Ed25519Scalar {
    private static let order: [Int64] = [
        0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ]

    /// - Precondition: 64 bytes.
    static func reduced(_ wide: [UInt8]) -> [UInt8] { reduce(wide.map { Int64($0) }) }

    /// left * right + sum; each has 32 bytes.
    static func multiplied(_ left: [UInt8], _ right: [UInt8], plus sum: [UInt8]) -> [UInt8] {
        var x = [Int64](repeating: 0, count: 64)
        for i in 0..<32 { x[i] = Int64(sum[i]) }
        for i in 0..<32 {
            for j in 0..<32 { x[i + j] += Int64(left[i]) * Int64(right[j]) }
        }
        return reduce(x)
    }

    /// Takes multiples of the order away, 8 bits at a time from the top. The digits stay far from the bounds of
    /// Int64, so that plain arithmetic cannot trap.
    private static func reduce(_ digits: [Int64]) -> [UInt8] {
        var x = digits
        for i in stride(from: 63, through: 32, by: -1) {
            var carry: Int64 = 0
            for j in i - 32..<i - 12 {
                x[j] += carry - 16 * x[i] * order[j - (i - 32)]
                carry = (x[j] + 128) >> 8
                x[j] -= carry << 8
            }
            x[i - 12] += carry
            x[i] = 0
        }
        var carry: Int64 = 0
        for j in 0..<32 {
            x[j] += carry - (x[31] >> 4) * order[j]
            carry = x[j] >> 8
            x[j] &= 255
        }
        for j in 0..<32 { x[j] -= carry * order[j] }
        for i in 0..<32 {
            x[i + 1] += x[i] >> 8
            x[i] &= 255
        }
        return x[0..<32].map { UInt8(truncatingIfNeeded: $0) }
    }
}
