/// How far a connection must be protected, from least to most. From `required` upwards nothing of the
/// authentication leaves before TLS stands (and, from `verifyCA` upwards, before the certificate is verified).
public enum TLSMode: String, Sendable, Hashable, CaseIterable {
    case disabled
    /// TLS where the server offers it, unverified; clear text where it does not, and over a unix socket.
    case preferred
    /// TLS or no connection; the certificate is not verified. Keeps out those who listen, not an impostor: he would be
    /// sent the password in full if he asks for it.
    case required
    case verifyCA = "verify-ca"
    case verifyIdentity = "verify-identity"
}

/// What may be done when caching_sha2_password asks for the password on a connection without TLS.
public enum PublicKeyRetrieval: Sendable, Hashable {
    /// Ask the server for its RSA key only over loopback, where nobody can put another in its place.
    case loopbackOnly
    /// Ask any server for its key. Whoever sits between can read the password.
    case allowed
    /// Use this key (PEM), never ask.
    case pinned(pem: String)
}

/// Everything that a connection needs to know before it can be opened.
public struct ConnectionOptions: Sendable {
    public var address: ServerAddress
    public var user: String
    public var password: Secret
    /// Asked once in a connect whose password the server has refused: another one to try within the same deadline, or
    /// nil. For passwords that are changed while a program runs.
    public var otherPassword: (@Sendable (Secret) -> Secret?)?
    public var database: String?
    public var tls: TLSMode = .preferred
    /// PEM file of the authorities that `verifyCA` and `verifyIdentity` trust; nil: the system's store.
    public var tlsCAFile: String?
    /// PEM file of the certificate (and those of its issuers) that this client shows, for accounts with REQUIRE X509.
    public var tlsCertificateFile: String?
    /// PEM file of its private key, without a passphrase; nil: it is in the certificate's file.
    public var tlsKeyFile: String?
    /// SHA-256 of the server's public key (its SubjectPublicKeyInfo in DER), 32 bytes. Whatever the mode verifies
    /// besides, no other key is accepted, and no connection without TLS.
    public var tlsPinnedKey: [UInt8]?
    /// Whether the sessions of earlier connections to this server, no older than 5 minutes, are resumed, which saves
    /// the verification of its certificate and most of the handshake's computing.
    public var tlsResumption = true
    public var publicKeyRetrieval: PublicKeyRetrieval = .loopbackOnly
    /// Sent as the connection attribute `program_name` (performance_schema.session_connect_attrs).
    public var programName = "MySQLWire"
    /// Sent as the connection attribute `program_version`; nil: none.
    public var programVersion: String?
    /// Longest merged packet that is taken from the server, in bytes.
    public var maxPacketSize = 1 << 30
    /// Most memory that the rows of one answer may take, in bytes, where they are collected and not streamed.
    public var maxResultSize = 256 << 20

    /// Further settings of the session, each as SET takes it (`autocommit = 1`): set along with the character set after the
    /// login and after each reset, for whatever the server's global values are. One that the server does not know is left out; one that it refuses
    /// otherwise fails the login.
    /// Not quoted: never from outside.
    public var sessionSettings: (@Sendable (ServerVersion) -> [String])?

    /// False in tests of the protocol alone, whose servers speak no SQL.
    var preparesSession = true

    public init(address: ServerAddress, user: String, password: Secret, database: String? = nil) {
        self.address = address
        self.user = user
        self.password = password
        self.database = database
    }
}

/// A text that never shows itself: not in descriptions, not in dumps, not in errors.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let value: String

    public init(_ value: String) { self.value = value }

    /// The text itself, for the few places that must send or compare it.
    public func reveal() -> String { value }

    public var description: String { "<secret>" }
    public var debugDescription: String { "<secret>" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
