import Glibc
import Synchronization

/// Name resolution by getaddrinfo, which blocks and cannot be cancelled: it runs on threads of its own, and a caller
/// whose deadline passes walks away from it. Numeric addresses need no thread.
///
/// The address at which a name was last reached is remembered, and used where name servers do not answer: their outage
/// must not look like that of the server. A name that they say does not exist is forgotten.
final class Resolver: Sendable {
    static let shared = Resolver { lookUp(host: $0, port: $1, flags: 0) }

    enum Answer: Sendable {
        case addresses([SocketAddress])
        /// The name servers answered that there is no such name.
        case unknown(Failure)
        case failed(Failure)
    }

    /// In the order in which they should be tried.
    struct Addresses: Sendable {
        var list: [SocketAddress]
        /// Why the remembered address had to be taken.
        var remembered: Failure?
    }

    /// A dead name server holds a thread for its whole timeout; further lookups queue, each up to its own deadline.
    private static let maximumThreads = 8
    private static let maximumRemembered = 256

    private struct Name: Hashable {
        var host: String
        var port: UInt16
    }

    private final class Lookup: Sendable {
        struct State {
            var abandoned = false
            var result: Answer?
        }
        let host: String
        let port: UInt16
        let slot: WaitSlot
        let state = Mutex(State())

        init(host: String, port: UInt16, slot: WaitSlot) {
            self.host = host
            self.port = port
            self.slot = slot
        }
    }

    private struct State {
        var queue: [Lookup] = []
        var threads = 0
    }

    private let state = Mutex(State())
    private let good = Mutex<[Name: SocketAddress]>([:])
    private let answer: @Sendable (String, UInt16) -> Answer

    /// - Parameter answer: looks a name up, and may block for as long as it likes.
    init(_ answer: @escaping @Sendable (String, UInt16) -> Answer) { self.answer = answer }

    /// Notes that the host was reached at this address.
    func remember(_ address: SocketAddress, host: String, port: UInt16) {
        let name = Name(host: host, port: port)
        good.withLock { good in
            if good[name] == nil, good.count >= Self.maximumRemembered { good = [:] }
            good[name] = address
        }
    }

    /// The addresses of a host. Where one is remembered, the name servers have a quarter of the time that is left.
    func resolve(host: String, port: UInt16, reactor: Reactor, deadline: Deadline) async throws(Failure) -> Addresses {
        guard !host.isEmpty, host.utf8.count <= 255, !host.utf8.contains(0) else {
            throw Failure(.resolve, "“\(host)” is no host name")
        }
        if case .addresses(let list) = Self.lookUp(host: host, port: port, flags: AI_NUMERICHOST) {
            return Addresses(list: list)
        }
        let name = Name(host: host, port: port)
        let known = good.withLock { $0[name] }
        let patience = known == nil ? deadline : min(deadline, .after(deadline.remaining / 4))
        switch try await look(host, port, reactor, patience) {
        case .addresses(let list): return Addresses(list: list)
        case .unknown(let failure):
            good.withLock { $0[name] = nil }
            throw failure
        case .failed(let failure):
            guard let known else { throw failure }
            return Addresses(list: [known], remembered: failure)
        }
    }

    private func look(_ host: String, _ port: UInt16, _ reactor: Reactor, _ deadline: Deadline) async throws(Failure)
        -> Answer
    {
        let lookup = Lookup(host: host, port: port, slot: WaitSlot(reactor: reactor))
        let status = enqueue(lookup)
        guard status == 0 else {
            throw Failure(.system, "no thread for name resolution: \(errorText(status))", errno: status)
        }
        let outcome = await lookup.slot.wait(for: .readable, until: deadline)
        let result = lookup.state.withLock { state in
            state.abandoned = true
            return state.result
        }
        switch outcome {
        case .timeout: return .failed(Failure(.timeout, "no answer to the lookup of \(host) in time"))
        case .cancelled: throw .cancelled
        case .ready: return result ?? .failed(Failure(.resolve, "the lookup of \(host) ended without a result"))
        }
    }

    private func enqueue(_ lookup: Lookup) -> Int32 {
        let mustStart = state.withLock { state in
            state.queue.append(lookup)
            guard state.threads < Self.maximumThreads else { return false }
            state.threads += 1
            return true
        }
        guard mustStart else { return 0 }
        let status = NativeThread.start { [self] in work() }
        if status != 0 {
            state.withLock { state in
                state.threads -= 1
                state.queue.removeAll { $0 === lookup }
            }
        }
        return status
    }

    /// Answers lookups until none is left.
    private func work() {
        while true {
            let lookup: Lookup? = state.withLock { state in
                if state.queue.isEmpty {
                    state.threads -= 1
                    return nil
                }
                return state.queue.removeFirst()
            }
            guard let lookup else { return }
            if lookup.state.withLock({ $0.abandoned }) { continue }
            let result = answer(lookup.host, lookup.port)
            lookup.state.withLock { $0.result = result }
            lookup.slot.signal(.readable)
        }
    }

    private static func lookUp(host: String, port: UInt16, flags: Int32) -> Answer {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else {
            let number = errno
            let text = status == EAI_SYSTEM ? errorText(number) : String(cString: gai_strerror(status))
            let failure = Failure(.resolve, "\(host): \(text)", errno: status == EAI_SYSTEM ? number : nil)
            // EAI_NODATA, which the header hides without _GNU_SOURCE: the name is there, and has no address.
            return status == EAI_NONAME || status == -5 ? .unknown(failure) : .failed(failure)
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next, addresses.count < 16 {
            if let address = SocketAddress(entry.pointee.ai_addr, length: entry.pointee.ai_addrlen) {
                addresses.append(address)
            }
            next = entry.pointee.ai_next
        }
        guard !addresses.isEmpty else { return .unknown(Failure(.resolve, "\(host) has no address")) }
        return .addresses(addresses)
    }
}
