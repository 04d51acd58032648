import COpenSSL

/// The password under the server's RSA key, for a full authentication without TLS.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
enum PublicKeyEncryption {
    /// Encrypts XOR(password NUL, nonce repeated) with OAEP.
    /// - Parameter pem: the key as the server or the configuration gives it, PEM.
    static func encrypt(password: [UInt8], nonce: [UInt8], pem: [UInt8]) throws(Failure) -> [UInt8] {
        guard !nonce.isEmpty, let size = Int32(exactly: pem.count) else { throw unusable }
        let plain = (password + [0]).enumerated().map { $1 ^ nonce[$0 % nonce.count] }
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let bio = BIO_new_mem_buf(pem, size) else { throw unusable }
        defer { BIO_free(bio) }
        guard let key = PEM_read_bio_PUBKEY(bio, nil, nil, nil) else { throw unusable }
        defer { EVP_PKEY_free(key) }
        guard EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA, let context = EVP_PKEY_CTX_new(key, nil) else {
            throw unusable
        }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_encrypt_init(context) > 0,
            EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0
        else { throw unusable }
        var length = Int(EVP_PKEY_get_size(key))
        guard length > 0 else { throw unusable }
        guard plain.count <= length - 42 else {
            throw Failure(.authentication, "the password is too long for the server's RSA key; use TLS")
        }
        var out = [UInt8](repeating: 0, count: length)
        guard EVP_PKEY_encrypt(context, &out, &length, plain, plain.count) > 0, length <= out.count else {
            throw unusable
        }
        return Array(out.prefix(length))
    }

    private static let unusable = Failure(.authentication, "the RSA public key is not usable")
}
