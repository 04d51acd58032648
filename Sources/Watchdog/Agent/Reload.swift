import Synchronization

/// Asks an agent that watches to read its configuration again.
package final class Reload: Sendable {
    let requests: AsyncStream<Void>
    private let asking: AsyncStream<Void>.Continuation
    private let read: @Sendable () throws(ConfigurationError) -> Configuration

    /// - Parameter read: what the agent's configuration was read by.
    package init(_ read: @escaping @Sendable () throws(ConfigurationError) -> Configuration) {
        // Several requests that come while one is under way are one.
        (requests, asking) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.read = read
    }

    package func ask() { asking.yield() }

    func configuration() throws(ConfigurationError) -> Configuration { try read() }
}

/// Once up it stays up.
final class Flag: Sendable {
    private let state = Atomic(false)
    var isUp: Bool { state.load(ordering: .acquiring) }
    func raise() { state.store(true, ordering: .releasing) }
}
