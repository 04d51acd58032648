import Glibc
import MySQLWire

/// What `check` finds on this host, before any rule is applied.
struct HostSettings: Sendable {
    /// Where the router's file leads; nil if it cannot be read, and `fileProblem` says why.
    var destinations: [ServerAddress]?
    var strategy: String?
    var fileProblem: String?
    /// Why that file cannot be changed; nil: it can.
    var writeProblem: String?
    /// Why it is written in place; nil where it is replaced.
    var inPlace: String?
    /// Sections beside the agent's own that lead to one of the servers.
    var otherSections: [RouterFile.OtherSection] = []
    /// The server_uuid behind the router's port, or why there is none.
    var behindRouter: Result<String, MySQLError>
    /// Programs of the configured commands that are not there.
    var missingPrograms: [String] = []
    /// Why the agent does not start with what it has on disk; nil: it does.
    var stateProblem: String?
    /// What is wrong with the working directory; nil: nothing.
    var directoryProblem: String?
    var saved = SavedFiles()
    /// This host's agent has given up its name, which another host's has as well (`DurableState.isDouble`).
    var isDouble = false
}

/// This host's router, working directory and part among the agents: pure.
struct CheckHost {
    let configuration: Configuration
    let host: HostSettings
    /// The two servers, as far as they answer.
    let servers: [ServerID: ServerSettings]

    private static let router = "router"
    private var agents: Bool { configuration.mode == .quorum }

    func findings() -> [Finding] {
        CheckRouterFile(configuration: configuration, host: host).findings() + routerPort() + programs() + directory()
            + (agents ? quorum() + fence() : [])
    }

    // MARK: Router

    private func routerPort() -> [Finding] {
        let address = configuration.router.address
        switch host.behindRouter {
        case .success(let uuid):
            guard let id = servers.first(where: { $0.value.facts.uuid == uuid })?.key else {
                guard servers.count == 2 else { return [] }
                return [
                    Finding(
                        .critical, Self.router, "\(address) leads to \(uuid), which is none of the two servers",
                        remedy: "correct [router] address, or its section's destinations")
                ]
            }
            guard let led = servers[id]?.facts, let other = servers[id.other]?.facts, other.channels.isEmpty,
                led.channels.contains(where: { $0.sourceUUID == other.uuid })
            else { return [Finding(.ok, Self.router, "\(address) leads to \(id)")] }
            let what = "\(address) leads to \(id), which is the replica of \(id.other)"
            return [
                agents
                    ? Finding(
                        .critical, Self.router, what,
                        remedy:
                            "start this host's agent: it turns the router; where it runs already, its log says why it "
                            + "cannot (router-stuck)")
                    // This mode's failover begins so: what was written to the replica must not be left behind.
                    : Finding(
                        .warning, Self.router, what,
                        remedy:
                            "run this host's agent: it makes \(id) the primary, or turns the router back; do not do it "
                            + "by hand")
            ]
        case .failure(let error) where LocalRouter.offersNoTLS(error):
            let mode = configuration.routerOptions().tls.rawValue
            return [
                Finding(
                    .critical, Self.router,
                    "\(address) answers without TLS, and tls = \"\(mode)\": no agent can see where this router leads, "
                        + "so none turns it",
                    remedy: LocalRouter.withoutTLS)
            ]
        case .failure(let error):
            guard !host.isDouble else {
                return [
                    Finding(
                        .critical, Self.router,
                        "this host's agent has closed it: another host's agent goes by the name "
                            + "\(configuration.agent.name) as well",
                        remedy:
                            "stop the other one, or give one of the two another agent.name, which every file lists: the "
                            + "router opens when the name was this agent's alone for 30 s")
                ]
            }
            return [
                Finding(
                    .critical, Self.router, "\(error)",
                    remedy: "see that mysqlrouter runs, and that its bind_address and bind_port are these")
            ]
        }
    }

    private func programs() -> [Finding] {
        host.missingPrograms.map {
            Finding(
                .critical, "this host", "\($0) is not there, or cannot be run by this user",
                remedy: "install it, or correct the command")
        }
    }

    private func directory() -> [Finding] {
        if let problem = host.stateProblem { return [Finding(.critical, "this host", problem)] }
        let path = configuration.workingDirectory
        guard let problem = host.directoryProblem else {
            let room = servers.isEmpty ? "" : " and has room for two dumps"
            return [Finding(.ok, "this host", "\(path) can be written\(room)")] + saved()
        }
        return [Finding(.critical, "this host", problem)]
    }

    private func saved() -> [Finding] {
        guard host.saved.names.count > SavedFiles.many else { return [] }
        return [
            Finding(
                .warning, "this host",
                "\(configuration.workingDirectory) holds \(host.saved.text): no agent deletes any",
                remedy: "delete what is not needed: a .txt beside a dump says which transactions are in it alone")
        ]
    }

    // MARK: Among the agents

    private func quorum() -> [Finding] {
        var found: [Finding] = []
        let count = configuration.agents.count
        if count < 3 {
            found.append(
                Finding(
                    .warning, "agents",
                    count == 1
                        ? "one agent decides alone: a router of its own that it cannot see is no longer its business"
                        : "two agents decide only together: with one of them away nothing is replaced",
                    remedy: "run three or more, one on each application host"))
        }
        let strangers = servers.values.compactMap { $0.facts.quorum?.strangers }.reduce(into: [:]) {
            $0.merge($1) { $1 }
        }
        let own = ConfigurationDigest(configuration)
        for (name, program) in strangers.sorted(by: { $0.key < $1.key }) {
            found.append(
                Finding(
                    .critical, "agents", "\(name) goes by another configuration: \(own.differences(from: program))",
                    remedy: "make the two files the same in this"))
        }
        let doubles = servers.values.compactMap { $0.facts.quorum?.doubles }.reduce(Set()) { $0.union($1) }
        for name in doubles.sorted() {
            found.append(
                Finding(
                    .critical, "agents", "there are two agents named \(name), on two hosts: one of them votes no more",
                    remedy: "give one of them another agent.name, which every file lists, or stop it"))
        }
        let present = servers.values.compactMap { $0.facts.quorum?.seesPrimary }.reduce(AgentSet()) { $0.union($1) }
        let absent = configuration.agents.indices.filter { !present.contains($0) }.map { configuration.agents[$0] }
            .filter { strangers[$0] == nil }
        if !absent.isEmpty {
            found.append(
                Finding(
                    .warning, "agents", "not at work: \(absent.joined(separator: ", "))",
                    remedy: "repl-watchdog run, on those hosts"))
        }
        return found.isEmpty ? [Finding(.ok, "agents", "all \(count) are at work")] : found
    }

    /// What the nine seconds count on where an agent does not follow (Documentation/Failover.md).
    private func fence() -> [Finding] {
        let semiSync = servers.values.contains { $0.facts.quorum?.semiSync.guarantees == true }
        guard !configuration.router.bound, !semiSync, configuration.safety.fenceCommand.isEmpty else { return [] }
        return [
            Finding(
                .warning, "agents",
                "nothing proves that the router of an agent which is gone is closed: while one is missing, a silent "
                    + "primary is not replaced",
                remedy: "[router] bound = true where its service stops with the agent's, semi-synchronous replication, "
                    + "or [safety] fence_command")
        ]
    }
}
