import COpenSSL
import Foundation

/// An authority and a server certificate of it, as PEM files in a folder that `remove` clears away.
public struct TestCertificates: Sendable {
    public let folder: String
    public var authority: String { folder + "/ca.pem" }
    /// What makes a mysqld or mariadbd use them.
    public var serverOptions: [String] {
        ["--ssl-ca=\(folder)/ca.pem", "--ssl-cert=\(folder)/cert.pem", "--ssl-key=\(folder)/key.pem"]
    }

    private struct Failed: Error {}

    /// - Parameter names: the subject alternative names, for example `IP:127.0.0.1,DNS:db.example`.
    public init(names: String) throws {
        folder = NSTemporaryDirectory() + "/wire-certificates-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        guard let authorityKey = Self.key(), let serverKey = Self.key() else { throw Failed() }
        defer { EVP_PKEY_free(authorityKey) }
        defer { EVP_PKEY_free(serverKey) }
        let authority = try Self.certificate(
            "test authority", key: authorityKey, issuer: nil, extensions: [(NID_basic_constraints, "critical,CA:TRUE")],
            signedBy: authorityKey)
        defer { X509_free(authority) }
        let server = try Self.certificate(
            "test server", key: serverKey, issuer: authority, extensions: [(NID_subject_alt_name, names)],
            signedBy: authorityKey)
        defer { X509_free(server) }
        try write("ca.pem") { PEM_write_bio_X509($0, authority) }
        try write("cert.pem") { PEM_write_bio_X509($0, server) }
        try write("key.pem") { PEM_write_bio_PrivateKey($0, serverKey, nil, nil, 0, nil, nil) }
    }

    public func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private static func key() -> OpaquePointer? {
        let context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, nil)
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048)
        var key: OpaquePointer?
        return EVP_PKEY_keygen(context, &key) > 0 ? key : nil
    }

    private func write(_ name: String, _ body: (OpaquePointer) -> Int32) throws {
        guard let bio = BIO_new_file("\(folder)/\(name)", "w") else { throw Failed() }
        defer { BIO_free(bio) }
        guard body(bio) == 1 else { throw Failed() }
    }

    private static func certificate(
        _ name: String, key: OpaquePointer, issuer: OpaquePointer?, extensions: [(Int32, String)],
        signedBy signer: OpaquePointer
    ) throws -> OpaquePointer {
        guard let certificate = X509_new() else { throw Failed() }
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1..<1_000_000_000))
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3600)
        X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600)
        X509_set_pubkey(certificate, key)
        let subject = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(subject, "CN", 0x1001, Array(name.utf8), Int32(name.utf8.count), -1, 0)
        X509_set_issuer_name(certificate, issuer.map { X509_get_subject_name($0) } ?? subject)
        for (kind, value) in extensions {
            guard let made = X509V3_EXT_conf_nid(nil, nil, kind, value) else { throw Failed() }
            X509_add_ext(certificate, made, -1)
            X509_EXTENSION_free(made)
        }
        guard X509_sign(certificate, signer, EVP_sha256()) > 0 else { throw Failed() }
        return certificate
    }
}
