import Glibc
import MySQLWire

extension Configuration {
    package static let defaultPath = "/etc/repl-watchdog.toml"
    /// Holds the agent's password where the configuration names none.
    package static let passwordVariable = "REPL_WATCHDOG_PASSWORD"

    /// Longest configuration file that is read, in bytes.
    private static let sizeLimit = 1 << 20

    /// What is not in the file but decides about its meaning.
    package struct Surroundings: Sendable {
        package var hostName: String?
        /// The value of `$REPL_WATCHDOG_PASSWORD`.
        package var password: Secret?
        /// The configuration file's mode: a password in it must not be readable by everybody.
        package var fileMode: UInt32

        package init(hostName: String? = nil, password: Secret? = nil, fileMode: UInt32 = 0o600) {
            self.hostName = hostName
            self.password = password
            self.fileMode = fileMode
        }
    }

    /// Reads and checks a configuration file.
    /// - Parameter password: the value of `$REPL_WATCHDOG_PASSWORD`, where it does not stand in the environment any more.
    /// - Throws: every problem that was found, with file and line.
    package static func load(_ path: String, password: Secret? = nil) throws(ConfigurationError) -> Configuration {
        func failure(_ what: String) -> ConfigurationError {
            ConfigurationError([.init(file: path, message: "cannot be \(what): \(systemText(errno))")])
        }
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard file >= 0 else { throw failure("opened") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("examined") }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            guard count >= 0 else { throw failure("read") }
            if count == 0 { break }
            bytes += buffer[..<count]
            guard bytes.count <= sizeLimit else {
                throw ConfigurationError([.init(file: path, message: "is longer than \(sizeLimit >> 10) KiB")])
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError([.init(file: path, message: "is no UTF-8 text, as TOML must be")])
        }
        let surroundings = Surroundings(
            hostName: ownHostName(), password: password ?? environmentPassword,
            fileMode: UInt32(status.st_mode))
        return try parse(text, file: path, surroundings: surroundings)
    }

    /// The value of `$REPL_WATCHDOG_PASSWORD`.
    package static var environmentPassword: Secret? { getenv(passwordVariable).map { Secret(String(cString: $0)) } }

    /// Checks the text of a configuration. Password files are read from disk.
    package static func parse(
        _ text: String, file: String, surroundings: Surroundings
    ) throws(ConfigurationError) -> Configuration {
        var reader = try TOMLReader(text: text, file: file)
        let configuration = read(&reader, surroundings)
        guard reader.problems.isEmpty, let configuration else { throw ConfigurationError(reader.sortedProblems) }
        return configuration
    }

    /// Reads a file that holds a password and nothing else, under the rules for `password_file`.
    package static func readPasswordFile(_ path: String) throws(ConfigurationError) -> Secret {
        do {
            return try PasswordFile.read(path)
        } catch {
            throw ConfigurationError([.init(file: path, message: "\(error)")])
        }
    }

    /// The system's name for this host; nil if it has none.
    package static func ownHostName() -> String? {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return nil }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return name.isEmpty ? nil : name
    }

    static let knownKeys: [String: [String]] = [
        "": [
            "cluster", "mode", "agents", "working_directory", "agent", "servers", "credentials", "replication",
            "router", "safety", "rebuild",
        ],
        "agent": ["name", "interval", "probe_timeout"],
        "servers": ["a", "b"],
        "servers.a": ["address"],
        "servers.b": ["address"],
        "credentials": ["user", "password", "password_file", "tls", "ca_file"],
        "replication": ["user", "password", "password_file", "peer"],
        "router": ["address", "config_file", "section", "restart", "stop", "destinations", "bound", "tls"],
        "safety": [
            "max_lost_transactions", "drain_timeout", "operation_timeout", "block_period", "max_failovers_per_day",
            "max_rebuilds_per_day", "max_rebuilds_per_cause", "fence_command", "stalled_after",
        ],
        "rebuild": ["clone", "restart", "restart_timeout"],
    ]

    /// What older files call by another name, with what to write now.
    static let renamedKeys = [
        "initiative": "write mode = \"router-led\" (it was \"router\") or mode = \"quorum\" (it was \"agents\")"
    ]

    private static func read(_ reader: inout TOMLReader, _ surroundings: Surroundings) -> Configuration? {
        for table in knownKeys.keys.sorted() {
            reader.check(
                table, known: knownKeys[table] ?? [], elsewhere: knownKeys.filter { !$0.key.isEmpty },
                renamed: renamedKeys)
        }
        let cluster = reader.require(reader.string("cluster"), "cluster", "a name for this pair of servers")
        if cluster?.isEmpty == true { reader.report("cluster", "'cluster' must not be empty") }
        let agents = reader.strings("agents") ?? []
        let mode = readMode(&reader, agents: agents)
        let workingDirectory = reader.require(
            reader.string("working_directory"), "working_directory",
            "the directory for dumps and state, with room for two dumps")
        if let workingDirectory { requireAbsolute(workingDirectory, "working_directory", &reader) }

        let agent = readAgent(&reader, mode: mode, agents: agents, hostName: surroundings.hostName)
        let servers = readServers(&reader)
        let credentials = readCredentials(&reader, surroundings)
        let replication = readReplication(&reader, surroundings)
        let router = readRouter(&reader, mode: mode, servers: servers)
        let safety = readSafety(&reader)
        let rebuild = readRebuild(&reader)

        guard let cluster, let mode, let workingDirectory, let agent, let servers, let credentials,
            let replication, let router, let safety, let rebuild
        else { return nil }
        return Configuration(
            cluster: cluster, mode: mode, agents: agents, workingDirectory: workingDirectory, agent: agent,
            servers: servers, credentials: credentials, replication: replication, router: router, safety: safety,
            rebuild: rebuild)
    }

    static func defaulted<T>(
        _ reader: inout TOMLReader, _ path: String, _ value: T, _ read: (inout TOMLReader, String) -> T?
    ) -> T? {
        reader.exists(path) ? read(&reader, path) : value
    }

    @discardableResult
    static func requireAbsolute(_ path: String, _ key: String, _ reader: inout TOMLReader) -> Bool {
        if path.hasPrefix("/") { return true }
        reader.report(key, "'\(key)' is \"\(path)\"; it must be an absolute path")
        return false
    }

    static func isGoodName(_ name: String) -> Bool {
        (1...40).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
                    || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains($0)
            }
    }
}
