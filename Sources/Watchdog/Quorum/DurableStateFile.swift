import Glibc
import MySQLDump

/// The one that writes an agent's memory, on a thread of its own: a disk that hangs holds the next decision up, and not
/// whoever closes the router when the lease is over.
actor DurableStateWriter {
    private let file: DurableStateFile
    private let executor = ThreadExecutor(label: "repl-watchdog.memory")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ file: DurableStateFile) { self.file = file }

    func write(_ durable: DurableState) throws(AgentError) { try file.write(durable) }
}

/// `DurableState` on disk: lines of `key=value`, written whole or not at all, and synced.
struct DurableStateFile: Sendable {
    let path: String
    private let mode: Configuration.Mode
    private let owner: StateOwner

    /// Each mode has a file of its own: what they keep by `epoch` is not the same.
    init(_ configuration: Configuration) {
        mode = configuration.mode
        owner = StateOwner(configuration)
        path = "\(configuration.workingDirectory)/" + (mode == .quorum ? "repl-watchdog.quorum" : "repl-watchdog.state")
    }

    /// - Returns: an empty memory if there is no file.
    /// - Throws: if there is one that cannot be read as a whole, or is another's: an agent that has forgotten its promises
    ///   must not vote.
    func read() throws(AgentError) -> DurableState {
        guard let text = try bytes().map({ String(decoding: $0, as: UTF8.self) }) else { return DurableState() }
        guard let (whose, content) = StateEnvelope.open(text),
            let durable = Self.parse(content) ?? (mode == .routerLed && whose == nil ? Self.former(content) : nil)
        else { throw AgentError(.workingDirectory, "\(path) is damaged: \(remedy)") }
        // Router-led mode keeps nothing that an agent has promised: its host may be given another name.
        if let whose, !whose.hasClusterOf(owner) || mode == .quorum && whose.agent != owner.agent {
            throw AgentError(
                .stateOfAnother,
                "\(path) is the memory of \(whose), not of \(owner): give each agent a working_directory of its own. Where "
                    + "the directory was copied, or the agent was given another name or other servers, \(remedy)")
        }
        return durable
    }

    private var remedy: String {
        mode == .quorum
            ? "what this agent has promised is not known. Stop the agent for a minute, see with 'status' on another host "
                + "that no operation is under way, and remove the file: without one it gives no vote before both servers have "
                + "answered it"
            : "which promotion this host's router has followed is not known. See where the router leads, and remove the file"
    }

    private func bytes() throws(AgentError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw AgentError(.workingDirectory, "\(path) cannot be opened: \(systemText(errno))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count >= 0, bytes.count < 16 << 20 else {
                throw AgentError(.workingDirectory, "\(path) cannot be read: \(systemText(errno))")
            }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    func write(_ durable: DurableState) throws(AgentError) {
        try WorkingDirectory.write(StateEnvelope.close(Self.text(durable), owner), to: path)
        do {
            try AtomicFile.flushDirectory(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
        } catch {
            throw AgentError(.workingDirectory, "\(path): \(error.message)")
        }
    }

    static func text(_ durable: DurableState) -> String {
        var lines = ["epoch=\(durable.epoch)", "primary=\(durable.primary)", "executed=\(durable.executed)"]
        lines += ServerID.allCases.map { "uuid_\($0)=\(durable.uuids[$0] ?? "")" }
        lines += [
            "informed=\(durable.isInformed ? 1 : 0)", "operation=\(durable.operation)", "sync=\(durable.sync ? 1 : 0)",
            "double=\(durable.isDouble ? 1 : 0)",
            "replica_started=\(durable.replicaStarted.map { "\($0)" } ?? "")",
            "list=\(durable.list.text)", "foreign=" + durable.foreign.map(\.text).joined(separator: ";"),
            "promise=" + (durable.promise.map { "\($0.epoch)@\($0.on)" } ?? ""), "end",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    /// What router-led mode wrote before: one line. In quorum mode it would be a file that was cut short.
    static func former(_ text: String) -> DurableState? {
        guard text.hasPrefix("epoch="), text.hasSuffix("\n"),
            let epoch = UInt64(text.dropFirst("epoch=".count).dropLast())
        else { return nil }
        var state = DurableState()
        state.epoch = epoch
        return state
    }

    static func parse(_ text: String) -> DurableState? {
        var fields: [String: String] = [:]
        let lines = text.split(separator: "\n")
        guard lines.last == "end" else { return nil }
        for line in lines.dropLast() {
            let sides = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard sides.count == 2 else { return nil }
            fields[sides[0]] = sides[1]
        }
        var durable = DurableState()
        guard let epoch = fields["epoch"].flatMap({ UInt64($0) }), let primary = fields["primary"],
            let executed = fields["executed"].flatMap({ GTIDSet($0) }), let promise = fields["promise"]
        else { return nil }
        durable.epoch = epoch
        durable.primary = primary
        durable.executed = executed
        durable.sync = fields["sync"] == "1"
        durable.replicaStarted = fields["replica_started"].flatMap { Int64($0) }
        // Those who wrote no such line began to vote at once.
        durable.isInformed = fields["informed"] ?? "1" == "1"
        durable.isDouble = fields["double"] == "1"
        durable.operation = fields["operation"].flatMap { UInt64($0) } ?? 0
        durable.list = fields["list"].flatMap { AgentList(text: $0[...]) } ?? durable.list
        for text in (fields["foreign"] ?? "").split(separator: ";") {
            guard let list = AgentList(text: text) else { return nil }
            durable.foreign.append(list)
        }
        for id in ServerID.allCases {
            if let uuid = fields["uuid_\(id)"], !uuid.isEmpty { durable.uuids[id] = uuid }
        }
        if !promise.isEmpty {
            let sides = promise.split(separator: "@").map(String.init)
            guard sides.count == 2, let epoch = UInt64(sides[0]), let on = ServerID(rawValue: sides[1]) else {
                return nil
            }
            durable.promise = DurableState.Promise(epoch: epoch, on: on)
        }
        return durable
    }
}
