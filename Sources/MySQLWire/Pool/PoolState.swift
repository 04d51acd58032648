/// The connections of a pool, lent, idle or being opened, and the requests that wait for one. No clock, no input or output: requests go in, what to do
/// comes out. At every moment the connections that are lent, being opened or idle are at most `capacity`, and nobody
/// waits while one of them is free.
struct PoolState<Connection: Sendable>: ~Copyable {
    enum Answer: Sendable {
        /// An idle connection; it may have died since.
        case use(Connection)
        /// Open a new one; give it (or nil) back in the end.
        case open
        /// Wait until `take` gives something for this ticket, or call `giveUp`.
        case wait(ticket: UInt64)
        case tooManyWait
        case closed
    }

    enum Grant: Sendable { case use(Connection), open, closed }

    enum Effect: Sendable {
        case wake(ticket: UInt64)
        case close(Connection)
    }

    let capacity: Int
    let maximumWaiting: Int
    /// The one that was used last lies at the end and is used first: the others may grow old and be closed.
    private(set) var idle: [Connection] = []
    /// Lent or being opened, also those that are granted and not taken yet.
    private(set) var inUse = 0
    private var queue: [UInt64] = []
    private var grants: [UInt64: Grant] = [:]
    private var lastTicket: UInt64 = 0
    private(set) var isClosed = false

    init(capacity: Int, maximumWaiting: Int) {
        self.capacity = capacity
        self.maximumWaiting = maximumWaiting
    }

    var waiting: Int { queue.count }

    mutating func request() -> Answer {
        if isClosed { return .closed }
        if let connection = idle.popLast() {
            inUse += 1
            return .use(connection)
        }
        if inUse < capacity {
            inUse += 1
            return .open
        }
        guard queue.count < maximumWaiting else { return .tooManyWait }
        lastTicket += 1
        queue.append(lastTicket)
        return .wait(ticket: lastTicket)
    }

    /// Ends a use. Its place passes to whoever waits longest.
    /// - Parameter connection: nil if it is of no further use, or was never opened.
    mutating func giveBack(_ connection: Connection?) -> [Effect] {
        if isClosed {
            inUse -= 1
            return connection.map { [.close($0)] } ?? []
        }
        if !queue.isEmpty {
            let ticket = queue.removeFirst()
            grants[ticket] = connection.map { .use($0) } ?? .open
            return [.wake(ticket: ticket)]
        }
        inUse -= 1
        if let connection { idle.append(connection) }
        return []
    }

    /// What was granted to a ticket; nil if nothing yet.
    mutating func take(_ ticket: UInt64) -> Grant? { grants.removeValue(forKey: ticket) }

    /// Ends a wait. What was granted in the meantime passes on to the next.
    mutating func giveUp(_ ticket: UInt64) -> [Effect] {
        switch grants.removeValue(forKey: ticket) {
        case .use(let connection): return giveBack(connection)
        case .open: return giveBack(nil)
        case .closed: return []
        case nil:
            queue.removeAll { $0 == ticket }
            return []
        }
    }

    /// Closes the idle ones now and the others when they come back; whoever waits is told.
    mutating func close() -> [Effect] {
        if isClosed { return [] }
        isClosed = true
        var effects = idle.map { Effect.close($0) }
        idle = []
        for ticket in queue {
            grants[ticket] = .closed
            effects.append(.wake(ticket: ticket))
        }
        queue = []
        return effects
    }
}
