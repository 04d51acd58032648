import COpenSSL
import Synchronization

/// What the handshake of a server was agreed upon under. A session is resumed only under exactly the same, since a
/// resumption checks no certificate anew.
struct TLSParameters: Sendable, Hashable {
    var verification: TLSEngine.Verification
    /// Sent as SNI unless it is a literal address or nil.
    var host: String?
    var certificateFile: String?
    var keyFile: String?
    /// SHA-256 of the server's SubjectPublicKeyInfo.
    var pinnedKey: [UInt8]?
}

/// A session that a server gave a ticket for.
final class TLSSession: Sendable {
    /// SSL_SESSION counts its references atomically and is not changed once it is complete.
    private struct Shared: @unchecked Sendable { let pointer: OpaquePointer }
    private let shared: Shared
    var pointer: OpaquePointer { shared.pointer }

    /// - Parameter pointer: a reference that passes to this object.
    init(owning pointer: OpaquePointer) { shared = Shared(pointer: pointer) }

    deinit { SSL_SESSION_free(pointer) }
}

/// Sessions to resume, one for each server and set of parameters, each for one connection only: with TLS 1.3 a ticket
/// that is used twice would let an onlooker tie the connections together.
final class TLSSessionCache: Sendable {
    struct Key: Sendable, Hashable {
        var address: ServerAddress
        var parameters: TLSParameters
    }

    static let shared = TLSSessionCache()
    static let capacity = 64
    /// How long a certificate's verification is relied upon.
    static let lifetime = Duration.seconds(300)

    private struct Entry: Sendable {
        var session: TLSSession
        var verified: ContinuousClock.Instant
    }
    private let entries = Mutex<[Key: Entry]>([:])

    /// The session and when its server's certificate was last verified.
    func take(_ key: Key, now: ContinuousClock.Instant = .now) -> (TLSSession, verified: ContinuousClock.Instant)? {
        let entry = entries.withLock { $0.removeValue(forKey: key) }
        guard let entry, entry.verified.advanced(by: Self.lifetime) > now else { return nil }
        return (entry.session, entry.verified)
    }

    func put(_ session: TLSSession, verified: ContinuousClock.Instant, for key: Key) {
        entries.withLock { entries in
            if entries.count >= Self.capacity, entries[key] == nil,
                let oldest = entries.min(by: { $0.value.verified < $1.value.verified })
            {
                entries.removeValue(forKey: oldest.key)
            }
            entries[key] = Entry(session: session, verified: verified)
        }
    }

    var count: Int { entries.withLock { $0.count } }
}
