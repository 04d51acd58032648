import MySQLWire

/// Everything the agent is told, checked: a value of this type can be acted upon.
public struct Configuration: Sendable {
    public enum Initiative: String, Sendable, CaseIterable { case router, agents }

    public var cluster: String
    public var initiative: Initiative
    /// Every agent's name; empty with initiative = router means that any number may come.
    public var agents: [String]
    public var workingDirectory: String
    public var agent: Agent
    public var servers: Servers
    public var credentials: Credentials
    public var replication: Replication
    public var router: Router
    public var safety: Safety
    public var rebuild = Rebuild()

    public struct Agent: Sendable, Equatable {
        public var name: String
        public var interval: Duration
        public var probeTimeout: Duration
    }

    public struct Servers: Sendable, Equatable {
        public var a: ServerAddress
        public var b: ServerAddress
        public subscript(_ id: ServerID) -> ServerAddress { id == .a ? a : b }
    }

    /// The agent's own account.
    public struct Credentials: Sendable {
        public var user: String
        /// Shared by all copies; a password that is assigned here is this copy's own.
        public var source: PasswordSource
        public var tls: TLSMode
        public var caFile: String?
        public var password: Secret {
            get { source.newest }
            set { source = PasswordSource(newValue) }
        }

        public init(user: String, password: Secret, tls: TLSMode, caFile: String?, file: String? = nil) {
            (self.user, self.tls, self.caFile) = (user, tls, caFile)
            source = PasswordSource(password, file: file)
        }
    }

    /// What a replica uses to reach its source.
    public struct Replication: Sendable {
        public var user: String
        public var source: PasswordSource
        /// Instead of the source's own address (the seed's /etc/hosts name).
        public var peer: ServerAddress?
        public var password: Secret { source.newest }

        public init(user: String, password: Secret, peer: ServerAddress?, file: String? = nil) {
            (self.user, self.peer) = (user, peer)
            source = PasswordSource(password, file: file)
        }
    }

    public struct Router: Sendable, Equatable {
        public enum Destinations: String, Sendable, CaseIterable {
            case primaryOnly = "primary-only"
            case primaryFirst = "primary-first"
        }
        public var address: ServerAddress
        public var configFile: String
        /// For example `routing:mysql_failover`.
        public var section: String
        public var restart: [String]
        public var stop: [String]
        public var destinations: Destinations
        /// The operator's word that the router stops when its agent dies or hangs (systemd: BindsTo=, WatchdogSec=).
        public var bound = false
    }

    public struct Safety: Sendable, Equatable {
        public var maxLostTransactions: Int
        /// Not used with initiative = router: there the drain goes on for as long as the applier runs.
        public var drainTimeout: Duration
        /// Longest time for a whole operation, dump and import included.
        public var operationTimeout: Duration
        /// No automatic failover for so long after one that has finished; zero: never held back.
        public var blockPeriod: Duration = .seconds(3600)
        public var failoversPerDay = 3
        /// After so many rebuilds of the replica within a day no other is begun by itself: their cause remains.
        public var rebuildsPerDay = 3
        /// A primary on which writes hang for so long is replaced like a silent one; zero: it is reported only.
        public var stalledAfter: Duration = .zero
        /// Makes sure that a server is off: run with its address as the last argument; empty: there is none.
        public var fenceCommand: [String] = []
    }

    /// What the servers list as this client's program. With the agents' initiative it says which configuration this
    /// agent goes by, so that others can tell how theirs differs.
    var programName: String {
        initiative == .router
            ? "repl-watchdog" : ConfigurationDigest(self).program
    }

    /// How a server is rebuilt that cannot be brought back by GTID.
    public struct Rebuild: Sendable, Equatable {
        /// The clone plugin may be used, where both servers can; otherwise dump and import.
        public var clone = false
        /// Starts a server again that has ended after its clone. `{server}`, `{host}` and `{port}` in it stand for the
        /// server's name here and its address. Must do no harm to a server that runs, or is still ending.
        public var restart: [String] = []
        /// How long a cloned server may take to come back.
        public var restartTimeout: Duration = .seconds(120)
    }

    /// How to reach one of the servers, or the router, with the agent's account.
    public func connectionOptions(_ address: ServerAddress) -> ConnectionOptions {
        let source = credentials.source
        var options = ConnectionOptions(
            address: address, user: credentials.user, password: source.password(for: address))
        options.otherPassword = { source.other(than: $0, at: address) }
        options.tls = credentials.tls
        options.tlsCAFile = credentials.caFile
        options.programName = programName
        return options
    }
}

extension Configuration {
    /// What differs in another one, by the names of its keys and tables; passwords do not count.
    func differences(from other: Configuration) -> [String] {
        let (own, theirs) = (credentials, other.credentials)
        let pairs: [(String, Bool)] = [
            ("cluster", cluster == other.cluster), ("initiative", initiative == other.initiative),
            ("agents", agents == other.agents), ("working_directory", workingDirectory == other.workingDirectory),
            ("agent", agent == other.agent), ("servers", servers == other.servers),
            ("credentials", own.user == theirs.user && own.tls == theirs.tls && own.caFile == theirs.caFile),
            ("replication", replication.user == other.replication.user && replication.peer == other.replication.peer),
            ("router", router == other.router), ("safety", safety == other.safety),
            ("rebuild", rebuild == other.rebuild),
        ]
        return pairs.filter { !$0.1 }.map(\.0)
    }
}

/// Which of the two servers, by its place in the configuration.
public enum ServerID: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    case a, b
    /// Kept: what the compiler writes makes a new array each time.
    public static let allCases: [ServerID] = [.a, .b]
    public var other: ServerID { self == .a ? .b : .a }
    public var description: String { rawValue }
}
