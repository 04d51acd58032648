import MySQLWire

/// What one look at the cluster saw: both servers and where the local router leads.
public struct Observation: Sendable {
    public var a: ServerView
    public var b: ServerView
    public var router: RouterView
    /// What the router's file lists, first to last; nil where it could not be read.
    public var destinations: [ServerAddress]?

    public init(a: ServerView, b: ServerView, router: RouterView, destinations: [ServerAddress]? = nil) {
        self.a = a
        self.b = b
        self.router = router
        self.destinations = destinations
    }

    public subscript(_ id: ServerID) -> ServerView {
        get { id == .a ? a : b }
        set { if id == .a { a = newValue } else { b = newValue } }
    }

    public func facts(_ id: ServerID) -> ServerFacts? { self[id].facts }

    /// Which of the two servers has this server_uuid.
    public func server(uuid: String) -> ServerID? {
        ServerID.allCases.first { facts($0)?.uuid == uuid }
    }

    /// The server that the local router leads to, if it is one of the two.
    public var routed: ServerID? {
        if case .leadsTo(let uuid) = router { server(uuid: uuid) } else { nil }
    }
}

/// The answer of one server, classed by what it proves.
public enum ServerView: Sendable {
    indirect case up(ServerFacts)
    /// Answers, but turns us away (too many connections, host blocked ...): alive.
    case refusing(String)
    /// Took the connection and did not answer the questions in time.
    case stalled(String)
    /// Connection refused, or a unix socket that is gone: nobody listens.
    case downHard(String)
    /// No answer before the deadline, or no way there.
    case downSoft(String)
    /// Our own fault: name resolution, credentials, certificates. Proves nothing about the server.
    case ownFault(String)

    public var facts: ServerFacts? { if case .up(let facts) = self { facts } else { nil } }

    public var reason: String {
        switch self {
        case .up: "up"
        case .refusing(let why): "alive, but refuses us: \(why)"
        case .stalled(let why): "takes connections, but does not answer: \(why)"
        case .downHard(let why): "down: \(why)"
        case .downSoft(let why): "does not answer: \(why)"
        case .ownFault(let why): "cannot be asked (a fault of this agent): \(why)"
        }
    }
}

/// What a server that is up says of itself.
public struct ServerFacts: Sendable {
    public var uuid: String
    public var serverID: UInt64
    public var version: ServerVersion
    public var gtidMode: Bool
    public var readOnly: Bool
    /// The server is closed to everybody, and nothing that began before is still to come.
    public var superReadOnly: Bool
    public var executed: GTIDSet
    public var purged: GTIDSet
    public var channels: [ReplicationChannel]
    /// Rows of ongoing_failover.status; nil where there is no such table.
    public var ledger: [LedgerRow]?
    /// Whether any session holds the operation lock here.
    public var operationLocked: Bool
    /// The server is a half-made copy: it must not be promoted, whatever its GTID set says.
    public var rebuilding: RebuildMarker?
    /// The newest row of repl_watchdog.history that is believed (`PromotionRecord`).
    public var promotion: Promotion?
    /// The newest one that names this server.
    public var ownPromotion: Promotion? {
        get { ownRecord ?? promotion.flatMap { $0.primary == uuid ? $0 : nil } }
        set { ownRecord = newValue }
    }
    private var ownRecord: Promotion?
    /// Databases of its own, a few of them. Nil where nobody had to ask: it replicates, or is known to belong here.
    public var schemas: [String]?
    /// What only the agents' initiative asks for.
    public var quorum: QuorumFacts?

    /// - Parameters:
    ///   - readOnly: `@@global.read_only`.
    ///   - superReadOnly: `@@global.super_read_only`. While SET GLOBAL super_read_only = ON waits for commits that began
    ///     before, the server shows it as ON and read_only as OFF (8.0 to 9.7): such a server is not closed yet, and
    ///     what it waits for is not in its GTID set.
    public init(
        uuid: String, serverID: UInt64, version: ServerVersion = ServerVersion("9.7.0"), gtidMode: Bool = true,
        readOnly: Bool = false, superReadOnly: Bool = false, executed: GTIDSet = GTIDSet(),
        purged: GTIDSet = GTIDSet(), channels: [ReplicationChannel] = [], ledger: [LedgerRow]? = nil,
        operationLocked: Bool = false, rebuilding: RebuildMarker? = nil, promotion: Promotion? = nil,
        quorum: QuorumFacts? = nil
    ) {
        self.quorum = quorum
        self.uuid = uuid
        self.serverID = serverID
        self.version = version
        self.gtidMode = gtidMode
        self.readOnly = readOnly
        self.superReadOnly = superReadOnly && readOnly
        self.executed = executed
        self.purged = purged
        self.channels = channels
        self.ledger = ledger
        self.operationLocked = operationLocked
        self.rebuilding = rebuilding
        self.promotion = promotion
    }
}

/// The row that is set on a server before its data is wiped, and removed when the copy is whole.
public struct RebuildMarker: Sendable, Hashable {
    /// server_uuid of the primary that it is rebuilt from.
    public var source: String
    public var epoch: UInt64
    /// Where the data that was here before is saved, as `host:path`; empty if there was nothing to save.
    public var saved: String

    public init(source: String, epoch: UInt64, saved: String) {
        self.source = source
        self.epoch = epoch
        self.saved = saved
    }
}

/// The newest row of repl_watchdog.history: who was made primary last.
public struct Promotion: Sendable, Hashable {
    public var epoch: UInt64
    public var primary: String

    public init(epoch: UInt64, primary: String) {
        self.epoch = epoch
        self.primary = primary
    }
}

public enum RouterView: Sendable, Hashable {
    /// server_uuid of the server that answered through the router's port.
    case leadsTo(uuid: String)
    case noAnswer(String)
}
