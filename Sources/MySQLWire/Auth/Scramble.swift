import COpenSSL

/// The proofs of a password that go over the wire instead of it.
enum Scramble {
    /// Length of the server's nonce that all plugins here use.
    static let nonceLength = 20

    /// caching_sha2_password: XOR(SHA256(password), SHA256(SHA256(SHA256(password)), nonce)). Empty for no password.
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
    static func cachingSHA2(password: [UInt8], nonce: [UInt8]) -> [UInt8] {
        if password.isEmpty { return [] }
        let first = sha256(password)
        return xor(first, sha256(sha256(first) + nonce))
    }

    /// mysql_native_password: XOR(SHA1(password), SHA1(nonce, SHA1(SHA1(password)))). Empty for no password.
    /// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
    static func native(password: [UInt8], nonce: [UInt8]) -> [UInt8] {
        if password.isEmpty { return [] }
        let first = sha1(password)
        return xor(first, sha1(nonce + sha1(first)))
    }

    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        SHA256(bytes, bytes.count, &out)
        return out
    }

    static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        SHA1(bytes, bytes.count, &out)
        return out
    }

    private static func xor(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        zip(left, right).map { $0 ^ $1 }
    }
}
