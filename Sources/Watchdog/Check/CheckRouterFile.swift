import MySQLWire

/// The router's file: where it leads, and whether it can be changed when that is needed. Pure.
struct CheckRouterFile {
    let configuration: Configuration
    let host: HostSettings

    private var agents: Bool { configuration.mode == .quorum }
    private var path: String { configuration.router.configFile }
    private var file: String { "\(path) [\(configuration.router.section)]" }
    private var destinations: [ServerAddress] { host.destinations ?? [] }

    func findings() -> [Finding] {
        if let problem = host.fileProblem { return [finding(.critical, problem)] }
        let found = lists() + others() + writing()
        return found.allSatisfy { $0.level == .ok }
            ? [finding(.ok, "\(file) can be changed, and lists what it should")] + found : found
    }

    private func finding(_ level: Finding.Level, _ text: String, remedy: String? = nil) -> Finding {
        Finding(level, "router", text, remedy: remedy)
    }

    private func lists() -> [Finding] {
        var found: [Finding] = []
        let strange = destinations.filter { $0 != configuration.servers.a && $0 != configuration.servers.b }
        if !strange.isEmpty {
            found.append(
                finding(
                    .warning,
                    "\(file) lists \(strange.map(\.description).joined(separator: ", ")), not among [servers]: the agent "
                        + "replaces the list at its first turn",
                    remedy: "name the servers alike in both files"))
        }
        if !agents, host.strategy?.lowercased() == "first-available", destinations.count > 1 {
            found.append(
                finding(
                    .critical,
                    "\(file) goes back to the first server the moment that one answers again: writes are split",
                    remedy: "routing_strategy = next-available"))
        }
        if agents, destinations.count > 1 {
            found.append(
                finding(
                    .critical,
                    "\(file) lists more than one server: it can go to the replica by itself, whatever the agents decide",
                    remedy: "destinations = the primary alone; the agents change it"))
        }
        return found
    }

    /// Their clients stay where the section leads when the agent turns its own.
    private func others() -> [Finding] {
        host.otherSections.map { section in
            let what = "\(path): section [\(section.name)] leads to the servers too, and no agent turns it"
            if section.isForReading { return finding(.ok, "\(what): nobody may write through it") }
            return finding(
                .critical, "\(what): its clients can write to a server that was replaced",
                remedy: "take the section away, and let its clients use \(configuration.router.address)")
        }
    }

    private func writing() -> [Finding] {
        if let problem = host.writeProblem {
            return [
                finding(
                    .critical, "\(problem): this host's router stays where it is when the primary changes",
                    remedy:
                        "let the agent's user write \(path), or make files in its directory (ReadWritePaths= of its "
                        + "unit, how the file is mounted, its owner and mode)")
            ]
        }
        guard let why = host.inPlace else { return [] }
        return [
            finding(
                .warning,
                "\(path) cannot be replaced by a new file, so its bytes are written over (\(why)): a crash in that moment "
                    + "leaves it half written, until the agent's next turn puts it right",
                remedy: "let the agent make files in that directory; of a container mount the directory, not the file")
        ]
    }
}
