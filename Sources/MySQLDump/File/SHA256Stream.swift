import COpenSSL

/// SHA-256 of a stream (FIPS 180-4).
final class SHA256Stream {
    private let context: OpaquePointer?
    private var sound: Bool

    init() {
        context = EVP_MD_CTX_new()
        sound = context != nil && EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
    }

    deinit { EVP_MD_CTX_free(context) }

    func add(_ bytes: UnsafeRawBufferPointer) {
        if sound { sound = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 }
    }

    /// Ends the stream. Empty if OpenSSL failed: equal to no digest.
    func digest() -> [UInt8] {
        guard sound else { return [] }
        sound = false
        var length: UInt32 = 0
        return [UInt8](unsafeUninitializedCapacity: 32) { output, count in
            count = EVP_DigestFinal_ex(context, output.baseAddress, &length) == 1 ? Int(length) : 0
        }
    }
}
