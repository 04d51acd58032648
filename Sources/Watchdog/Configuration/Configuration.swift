import MySQLWire

/// Everything the agent is told, checked: a value of this type can be acted upon.
package struct Configuration: Sendable {
    /// What decides that the primary is replaced.
    package enum Mode: String, Sendable, CaseIterable {
        /// The routers: they have gone to the replica, and the agents follow.
        case routerLed = "router-led"
        /// A majority of the agents.
        case quorum
    }

    package var cluster: String
    package var mode: Mode
    /// Every agent's name; empty with mode = router-led means that any number may come.
    package var agents: [String]
    package var workingDirectory: String
    package var agent: Agent
    package var servers: Servers
    package var credentials: Credentials
    package var replication: Replication
    package var router: Router
    package var safety: Safety
    package var rebuild = Rebuild()

    package struct Agent: Sendable, Equatable {
        package var name: String
        package var interval: Duration
        package var probeTimeout: Duration
    }

    package struct Servers: Sendable, Equatable {
        package var a: ServerAddress
        package var b: ServerAddress
        package subscript(_ id: ServerID) -> ServerAddress { id == .a ? a : b }
    }

    /// The agent's own account.
    package struct Credentials: Sendable {
        package var user: String
        /// Shared by all copies; a password that is assigned here is this copy's own.
        package var source: PasswordSource
        package var tls: TLSMode
        package var caFile: String?
        package var password: Secret {
            get { source.newest }
            set { source = PasswordSource(newValue) }
        }

        package init(user: String, password: Secret, tls: TLSMode, caFile: String?, file: String? = nil) {
            (self.user, self.tls, self.caFile) = (user, tls, caFile)
            source = PasswordSource(password, file: file)
        }
    }

    /// What a replica uses to reach its source.
    package struct Replication: Sendable {
        package var user: String
        package var source: PasswordSource
        /// Instead of the source's own address (the seed's /etc/hosts name).
        package var peer: ServerAddress?
        package var password: Secret { source.newest }

        package init(user: String, password: Secret, peer: ServerAddress?, file: String? = nil) {
            (self.user, self.peer) = (user, peer)
            source = PasswordSource(password, file: file)
        }
    }

    package struct Router: Sendable, Equatable {
        package enum Destinations: String, Sendable, CaseIterable {
            case primaryOnly = "primary-only"
            case primaryFirst = "primary-first"
        }
        package var address: ServerAddress
        package var configFile: String
        /// For example `routing:mysql_failover`.
        package var section: String
        package var restart: [String]
        package var stop: [String]
        package var destinations: Destinations
        /// The operator's word that the router stops when its agent dies or hangs (systemd: BindsTo=, WatchdogSec=).
        package var bound = false
        /// Of connections through the router's port alone; nil: as those to the servers.
        package var tls: TLSMode?
    }

    package struct Safety: Sendable, Equatable {
        package var maxLostTransactions: Int
        /// Not used with mode = router-led: there the drain goes on for as long as the applier runs.
        package var drainTimeout: Duration
        /// Longest time for a whole operation, dump and import included.
        package var operationTimeout: Duration
        /// No automatic failover for so long after one that has finished; zero: never held back.
        package var blockPeriod: Duration = .seconds(3600)
        package var failoversPerDay = 3
        /// After so many rebuilds of the replica within a day no other is begun by itself: their cause remains.
        package var rebuildsPerDay = 3
        /// The same, of one cause.
        package var rebuildsPerCause = 1
        /// A primary on which writes hang for so long is replaced like a silent one; zero: it is reported only.
        package var stalledAfter: Duration = .zero
        /// Makes sure that a server is off: run with its address as the last argument; empty: there is none.
        package var fenceCommand: [String] = []
    }

    /// What the servers list as this client's program. In quorum mode it says which configuration this
    /// agent goes by, so that others can tell how theirs differs.
    var programName: String {
        mode == .routerLed
            ? "repl-watchdog" : ConfigurationDigest(self).program
    }

    /// How a server is rebuilt that cannot be brought back by GTID.
    package struct Rebuild: Sendable, Equatable {
        /// The clone plugin may be used, where both servers can; otherwise dump and import.
        package var clone = false
        /// Starts a server again that has ended after its clone. `{server}`, `{host}` and `{port}` in it stand for the
        /// server's name here and its address. Must do no harm to a server that runs, or is still ending.
        package var restart: [String] = []
        /// How long a cloned server may take to come back.
        package var restartTimeout: Duration = .seconds(120)
    }

    /// How to reach whoever the local router leads to, with the agent's account.
    func routerOptions() -> ConnectionOptions {
        var options = connectionOptions(router.address)
        if let tls = router.tls { options.tls = tls }
        // The certificate names the server, never the router's loopback address that leads to it.
        if options.tls == .verifyIdentity { options.tls = .verifyCA }
        return options
    }

    /// How to reach one of the servers with the agent's account.
    package func connectionOptions(_ address: ServerAddress) -> ConnectionOptions {
        let source = credentials.source
        var options = ConnectionOptions(
            address: address, user: credentials.user, password: source.password(for: address))
        options.otherPassword = { source.other(than: $0, at: address) }
        options.tls = credentials.tls
        options.tlsCAFile = credentials.caFile
        options.programName = programName
        options.sessionSettings = { $0.flavor == .mysql ? Self.sessionSettings : [] }
        return options
    }

    /// What an agent's statements mean must not hang on what somebody has set for everybody: an answer that is cut short, a
    /// snapshot of an hour ago, or a row that is not committed would be believed.
    package static let sessionSettings = [
        "autocommit = 1", "completion_type = 0", "transaction_isolation = 'REPEATABLE-READ'",
        "transaction_read_only = 0", "sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", "sql_safe_updates = 0",
        "sql_auto_is_null = 0", "sql_big_selects = 1", "group_concat_max_len = 1048576",
        // Not DEFAULT: that is the global value, and that may be the cap.
        "sql_select_limit = 18446744073709551615", "max_execution_time = 0",
    ]
}

extension Configuration {
    /// What differs in another one, by the names of its keys and tables; passwords do not count.
    func differences(from other: Configuration) -> [String] {
        let (own, theirs) = (credentials, other.credentials)
        let pairs: [(String, Bool)] = [
            ("cluster", cluster == other.cluster), ("mode", mode == other.mode),
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
package enum ServerID: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    case a, b
    /// Stored: what the compiler writes makes a new array each time.
    package static let allCases: [ServerID] = [.a, .b]
    package var other: ServerID { self == .a ? .b : .a }
    package var description: String { rawValue }
}
