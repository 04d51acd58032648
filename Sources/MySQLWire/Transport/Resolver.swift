import Glibc
import Synchronization

/// Name resolution by getaddrinfo, which blocks and cannot be cancelled: it runs on threads of its own, and a caller
/// whose deadline passes walks away from it. Numeric addresses need no thread.
final class Resolver: Sendable {
    static let shared = Resolver()

    /// A dead name server holds a thread for its whole timeout; further lookups queue, each up to its own deadline.
    private static let maximumThreads = 8

    private final class Lookup: Sendable {
        struct State {
            var abandoned = false
            var result: Result<[SocketAddress], Failure>?
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

    /// The addresses of a host, in the order in which they should be tried.
    func resolve(host: String, port: UInt16, reactor: Reactor, deadline: Deadline) async throws(Failure)
        -> [SocketAddress]
    {
        guard !host.isEmpty, host.utf8.count <= 255, !host.utf8.contains(0) else {
            throw Failure(.resolve, "“\(host)” is no host name")
        }
        if case .success(let addresses) = Self.lookUp(host: host, port: port, flags: AI_NUMERICHOST) {
            return addresses
        }
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
        case .timeout: throw Failure(.timeout, "no answer to the lookup of \(host) before the deadline")
        case .cancelled: throw .cancelled
        case .ready: break
        }
        guard let result else { throw Failure(.resolve, "the lookup of \(host) ended without a result") }
        return try result.get()
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
            let result = Self.lookUp(host: lookup.host, port: lookup.port, flags: 0)
            lookup.state.withLock { $0.result = result }
            lookup.slot.signal(.readable)
        }
    }

    private static func lookUp(host: String, port: UInt16, flags: Int32) -> Result<[SocketAddress], Failure> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else {
            let number = errno
            let text = status == EAI_SYSTEM ? errorText(number) : String(cString: gai_strerror(status))
            return .failure(
                Failure(.resolve, "\(host): \(text)", errno: status == EAI_SYSTEM ? number : nil))
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
        guard !addresses.isEmpty else { return .failure(Failure(.resolve, "\(host) has no address")) }
        return .success(addresses)
    }
}
