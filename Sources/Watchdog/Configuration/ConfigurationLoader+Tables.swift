import Glibc
import MySQLWire

/// The tables of a configuration file, one by one: each is read, and what is wrong with it reported. Nil where a problem
/// was reported.
extension Configuration {
    static func readMode(_ reader: inout TOMLReader, agents: [String]) -> Mode? {
        if reader.exists("mode") {
            guard let mode = reader.choice("mode", Mode.self) else { return nil }
            if mode == .quorum, agents.count < 3 {
                reader.report(
                    reader.exists("agents") ? "agents" : "mode",
                    "mode = \"quorum\" decides by majority and needs at least three names in 'agents', "
                        + "not \(agents.count)")
            }
            if mode == .quorum, agents.count > AgentSet.limit {
                reader.report("agents", "'agents' names \(agents.count) agents, at most \(AgentSet.limit) can vote")
            }
            return mode
        }
        if reader.exists("initiative") { return nil }
        if !agents.isEmpty {
            reader.report(
                "agents",
                "'agents' is given without 'mode'; say mode = \"router-led\" or mode = \"quorum\"")
            return nil
        }
        return .routerLed
    }

    /// With the second for which an answer is waited, half a second less than a lease.
    private static let longestQuorumInterval = Duration.milliseconds(1_500)

    static func readAgent(_ reader: inout TOMLReader, mode: Mode?, agents: [String], hostName: String?) -> Agent? {
        for (index, name) in agents.enumerated() {
            if name.isEmpty { reader.report("agents", "'agents' holds an empty name") }
            if agents[..<index].contains(name) { reader.report("agents", "'agents' names '\(name)' more than once") }
        }
        let given = reader.string("agent.name")
        let name = given ?? hostName
        // The ledger's signals are words parted by blanks, and the name of a lock has at most 64 characters.
        if let name, !isGoodName(name) {
            reader.report(
                given == nil ? "agent" : "agent.name",
                "agent name '\(name)' must be 1 to 40 letters, digits, '.', '-' or '_'; set agent.name")
        }
        if name == nil, !reader.exists("agent.name") {
            reader.report("agent", "'agent.name' is missing and the host has no name of its own")
        }
        if let name, !agents.isEmpty, !agents.contains(name) {
            let nearest = NearestWord.find(name, in: agents).map { "; did you mean '\($0)'?" } ?? ""
            reader.report(
                given == nil ? "agents" : "agent.name",
                "this agent's name '\(name)' is not among 'agents'\(given == nil ? " (it is the host name)" : "")\(nearest)"
            )
        }
        let interval = defaulted(
            &reader, "agent.interval", .seconds(1)
        ) { $0.duration($1, in: .milliseconds(100) ... .seconds(3600)) }
        let timeout = defaulted(
            &reader, "agent.probe_timeout", .seconds(2)
        ) { $0.duration($1, in: .milliseconds(50) ... .seconds(60)) }
        if mode == .quorum, let interval, interval > longestQuorumInterval {
            reader.report(
                "agent.interval",
                "'agent.interval' is \(DurationText.format(interval)); with mode = \"quorum\" a router's lease is 3 s and must "
                    + "outlive a look that is answered late: \(DurationText.format(longestQuorumInterval)) at most")
        }
        guard let name, let interval, let timeout else { return nil }
        return Agent(name: name, interval: interval, probeTimeout: timeout)
    }

    static func readServers(_ reader: inout TOMLReader) -> Servers? {
        let a = reader.require(
            reader.address("servers.a.address"), "servers.a.address", "write [servers.a] with address = \"host:port\"")
        let b = reader.require(
            reader.address("servers.b.address"), "servers.b.address", "write [servers.b] with address = \"host:port\"")
        guard let a, let b else { return nil }
        if a == b { reader.report("servers.b.address", "servers.a and servers.b are the same server, \(a)") }
        return Servers(a: a, b: b)
    }

    static func readCredentials(_ reader: inout TOMLReader, _ surroundings: Surroundings) -> Credentials? {
        let user = reader.require(
            reader.string("credentials.user"), "credentials.user", "the account that the agent uses on both servers")
        if user?.isEmpty == true { reader.report("credentials.user", "'credentials.user' must not be empty") }
        let password = readPassword(&reader, "credentials", surroundings, variable: surroundings.password)
        let tls = defaulted(&reader, "credentials.tls", TLSMode.preferred) { $0.choice($1, TLSMode.self) }
        let caFile = reader.string("credentials.ca_file")
        if let caFile {
            requireAbsolute(caFile, "credentials.ca_file", &reader)
            if let tls, tls != .verifyCA, tls != .verifyIdentity {
                reader.report(
                    "credentials.ca_file",
                    "'credentials.ca_file' is given, but tls = \"\(tls.rawValue)\" verifies nothing; "
                        + "use \"verify-ca\" or \"verify-identity\"")
            }
        }
        guard let user, let password, let tls else { return nil }
        return Credentials(
            user: user, password: password, tls: tls, caFile: caFile, file: reader.string("credentials.password_file"))
    }

    static func readReplication(_ reader: inout TOMLReader, _ surroundings: Surroundings) -> Replication? {
        let user = reader.require(
            reader.string("replication.user"), "replication.user", "the account by which a replica reaches its source")
        if user?.isEmpty == true { reader.report("replication.user", "'replication.user' must not be empty") }
        let password = readPassword(&reader, "replication", surroundings, variable: nil)
        let peer = reader.address("replication.peer")
        if case .unix = peer {
            reader.report("replication.peer", "'replication.peer' must be host:port; replication runs over TCP only")
        }
        guard let user, let password else { return nil }
        return Replication(
            user: user, password: password, peer: peer, file: reader.string("replication.password_file"))
    }

    static func readRouter(
        _ reader: inout TOMLReader, mode: Mode?, servers: Servers?
    ) -> Router? {
        let address = reader.require(
            reader.address("router.address"), "router.address", "where the local mysqlrouter listens")
        if let address, let servers, address == servers.a || address == servers.b {
            reader.report(
                "router.address", "'router.address' is \(address), a database server itself, not the local mysqlrouter")
        }
        let file = reader.require(
            reader.string("router.config_file"), "router.config_file", "the mysqlrouter's own configuration file")
        if let file { requireAbsolute(file, "router.config_file", &reader) }
        let section = defaulted(&reader, "router.section", "routing:mysql_failover") { $0.string($1) }
        if let section, section.lowercased() != "routing", !section.lowercased().hasPrefix("routing:") {
            reader.report("router.section", "'router.section' is \"\(section)\"; it must be \"routing:NAME\"")
        }
        let restart = reader.require(
            reader.strings("router.restart"), "router.restart",
            "the command that restarts the router, such as [\"systemctl\", \"restart\", \"mysqlrouter\"]")
        if let restart, restart.first?.isEmpty ?? true {
            reader.report("router.restart", "'router.restart' must name a program")
        }
        let stop = defaulted(&reader, "router.stop", []) { $0.strings($1) }
        if reader.exists("router.stop"), let stop, stop.first?.isEmpty ?? true {
            reader.report("router.stop", "'router.stop' must name a program")
        }
        let usual: Router.Destinations = mode == .quorum ? .primaryOnly : .primaryFirst
        let destinations = defaulted(&reader, "router.destinations", usual) { $0.choice($1, Router.Destinations.self) }
        if let destinations, let mode, destinations != usual {
            let why =
                mode == .routerLed
                ? "the router moves first and must know both servers: a router with one destination could never move"
                : "each router must list the one current primary only"
            reader.report(
                "router.destinations",
                "router.destinations = \"\(destinations.rawValue)\" cannot go with mode = "
                    + "\"\(mode.rawValue)\": \(why); use \"\(usual.rawValue)\"")
        }
        if mode == .quorum, !reader.exists("router.stop") {
            reader.report(
                reader.exists("router") ? "router" : "mode",
                "mode = \"quorum\" needs 'router.stop': an agent that has lost touch closes its router with it")
        }
        let bound = defaulted(&reader, "router.bound", false) { $0.bool($1) }
        let tls = reader.exists("router.tls") ? reader.choice("router.tls", TLSMode.self) : nil
        guard let address, let file, let section, let restart, let stop, let destinations, let bound else { return nil }
        return Router(
            address: address, configFile: file, section: section, restart: restart, stop: stop,
            destinations: destinations, bound: bound, tls: tls)
    }

    static func readSafety(_ reader: inout TOMLReader) -> Safety? {
        let lost = defaulted(&reader, "safety.max_lost_transactions", 0) { $0.int($1, in: 0...1_000_000_000) }
        let drain = defaulted(
            &reader, "safety.drain_timeout", .seconds(60)
        ) { $0.duration($1, in: .seconds(1) ... .seconds(86_400)) }
        let operation = defaulted(
            &reader, "safety.operation_timeout", .seconds(6 * 3600)
        ) {
            $0.duration($1, in: .seconds(10) ... .seconds(7 * 86_400))
        }
        if let drain, let operation, drain >= operation {
            reader.report(
                reader.exists("safety.drain_timeout") ? "safety.drain_timeout" : "safety.operation_timeout",
                "safety.drain_timeout (\(DurationText.format(drain))) must be shorter than safety.operation_timeout "
                    + "(\(DurationText.format(operation))): draining is a part of the operation")
        }
        let block = defaulted(
            &reader, "safety.block_period", .seconds(3600)
        ) { $0.duration($1, in: .zero ... .seconds(7 * 86_400)) }
        let perDay = defaulted(&reader, "safety.max_failovers_per_day", 3) { $0.int($1, in: 1...1_000) }
        let rebuilds = defaulted(&reader, "safety.max_rebuilds_per_day", 3) { $0.int($1, in: 1...1_000) }
        let causes = defaulted(&reader, "safety.max_rebuilds_per_cause", 1) { $0.int($1, in: 1...1_000) }
        let stalled = defaulted(
            &reader, "safety.stalled_after", .zero
        ) { $0.duration($1, in: .zero ... .seconds(86_400)) }
        let fence = defaulted(&reader, "safety.fence_command", []) { $0.strings($1) }
        if reader.exists("safety.fence_command"), let fence, fence.first?.isEmpty ?? true {
            reader.report("safety.fence_command", "'safety.fence_command' must name a program")
        }
        guard let lost, let drain, let operation, let block, let perDay, let rebuilds, let causes, let stalled,
            let fence
        else {
            return nil
        }
        return Safety(
            maxLostTransactions: lost, drainTimeout: drain, operationTimeout: operation, blockPeriod: block,
            failoversPerDay: perDay, rebuildsPerDay: rebuilds, rebuildsPerCause: causes, stalledAfter: stalled,
            fenceCommand: fence)
    }

    static func readRebuild(_ reader: inout TOMLReader) -> Rebuild? {
        let clone = defaulted(&reader, "rebuild.clone", false) { $0.bool($1) }
        let restart = defaulted(&reader, "rebuild.restart", []) { $0.strings($1) }
        if reader.exists("rebuild.restart"), let restart, restart.first?.isEmpty ?? true {
            reader.report("rebuild.restart", "'rebuild.restart' must name a program")
        }
        if clone == true, restart?.isEmpty == true {
            reader.report(
                "rebuild.clone",
                "rebuild.clone = true needs 'rebuild.restart': a server ends when it was cloned, and must be started again"
            )
        }
        let timeout = defaulted(
            &reader, "rebuild.restart_timeout", .seconds(120)
        ) { $0.duration($1, in: .seconds(5) ... .seconds(86_400)) }
        guard let clone, let restart, let timeout else { return nil }
        return Rebuild(clone: clone, restart: restart, restartTimeout: timeout)
    }

    /// `password` or `password_file` of a table, or the environment's.
    private static func readPassword(
        _ reader: inout TOMLReader, _ table: String, _ surroundings: Surroundings, variable: Secret?
    ) -> Secret? {
        let plain = "\(table).password"
        let path = "\(table).password_file"
        if reader.exists(plain), reader.exists(path) {
            reader.report(path, "both '\(plain)' and '\(path)' are given; keep one")
            return nil
        }
        if reader.exists(path) {
            guard let file = reader.string(path), requireAbsolute(file, path, &reader) else { return nil }
            do {
                return try PasswordFile.read(file)
            } catch {
                reader.report(path, "the password file \(file) \(error)")
                return nil
            }
        }
        if reader.exists(plain) {
            guard let text = reader.string(plain) else { return nil }
            if let why = PasswordFile.tooOpen(mode_t(surroundings.fileMode)) {
                reader.report(plain, "'\(plain)' stands in a file that \(why): chmod o-rwx \(reader.file)")
            }
            return Secret(text)
        }
        if let variable { return variable }
        let other = table == "credentials" ? ", or set $\(passwordVariable)" : ""
        return reader.require(nil, path, "give '\(path)' or '\(plain)'\(other)")
    }

    /// The value of a key; the given one if the key is missing, nil if it is wrong.
}
