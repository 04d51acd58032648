import Foundation
import Glibc
import MySQLWire
import Synchronization

/// A real server of its own for a test, on a free port of loopback, with its own data directory, that can be killed,
/// stopped, frozen and started again on the same data and port. Use it within `withServer` or `withCluster`, which
/// leave nothing behind.
///
/// Accounts: root without password over the unix socket, `TestAccount.agent`, `.replication` and `.application`.
public final class MySQLServer: Sendable {
    public enum Kind: String, Sendable { case mysql, mariadb }

    public let kind: Kind
    public let name: String
    public let port: UInt16
    public let folder: GuardedFolder
    private let reserved: LoopbackPort
    private let options: [String]
    let place: Place
    private let process = Mutex<ChildProcess?>(nil)

    public var address: ServerAddress { .tcp(host: place.address, port: port) }
    /// The address as it is written in configurations.
    public var hostAndPort: String { "\(place.address):\(port)" }
    public var socketPath: String { folder.path + "/s" }
    /// The process that runs now; nil when none does.
    public var pid: pid_t? { process.withLock { $0.flatMap { $0.status == nil ? $0.pid : nil } } }
    public var errorLog: String { folder.read("error.log") }
    /// root over the unix socket, without a password.
    public var rootOptions: ConnectionOptions {
        ConnectionOptions(address: .unix(path: socketPath), user: "root", password: Secret(""))
    }

    /// How one of the accounts reaches this server over TCP.
    public func connectionOptions(_ account: TestAccount, database: String? = nil) -> ConnectionOptions {
        ConnectionOptions(
            address: address, user: account.user, password: Secret(account.password), database: database)
    }

    init(kind: Kind, name: String, options: [String], place: Place = .loopback) throws {
        self.kind = kind
        self.name = name
        self.options = options
        self.place = place
        reserved = try LoopbackPort()
        port = reserved.number
        folder = try GuardedFolder(name)
    }

    /// Copies the template, so that the first start has nothing to do but to open it.
    func prepare() async throws {
        let copy = try ChildProcess(
            [
                "/bin/cp", "-a", "--reflink=auto", "\(ServerFiles.located().templates)/\(kind.rawValue)",
                folder.path + "/data",
            ],
            output: folder.path + "/copy.log")
        guard await copy.wait() == 0 else { throw TestBedError("no copy of the template: \(folder.read("copy.log"))") }
    }

    /// Starts the server on its data and port, for the first time or again, and waits until it answers.
    /// - Parameter additional: options for this start only.
    public func start(_ additional: [String] = []) async throws {
        guard pid == nil else { throw TestBedError("server \(name) runs already") }
        let child = try folder.spawn("mysqld", log: "error.log", try placedCommand() + additional)
        process.withLock { $0 = child }
        try await eventually("server \(name) answers", within: .seconds(60)) {
            if child.status != nil { return true }
            // A port in another namespace cannot be asked from here; the socket is there a little before it listens.
            guard place.namespace == nil ? LoopbackPort.answers(port) : access(socketPath, F_OK) == 0 else {
                return false
            }
            return try await sql("SELECT 1") == [["1"]]
        }
        if let status = child.status {
            let data = access(folder.path + "/data", F_OK) == 0 ? "" : ", its data is gone"
            throw TestBedError(
                "server \(name) ended at once (wait status \(status)\(data)); the end of its log:\n"
                    + errorLog.suffix(2000))
        }
    }

    private func placedCommand() throws -> [String] { place.command(try command() + options) }

    /// What starts this server by hand on its data and port, when this process is gone.
    public func startCommand() throws -> [String] { folder.launch("mysqld", try placedCommand()) }

    private func command() throws -> [String] {
        let shared =
            [
                "--datadir=\(folder.path)/data", "--socket=\(socketPath)", "--pid-file=\(folder.path)/data/mysqld.pid",
                "--port=\(port)", "--bind-address=\(place.bindAddress)", "--server-id=\(port)", "--log-bin=binlog",
                "--relay-log=relay", "--innodb-buffer-pool-size=64M", "--max-allowed-packet=64M",
            ] + (options.contains("--skip-name-resolve=OFF") ? [] : ["--skip-name-resolve"])
        let bin = try ServerFiles.located().bin
        switch kind {
        case .mysql:
            return [bin + "/mysqld"] + shared + [
                "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--loose-innodb-redo-log-capacity=16M",
            ]
        case .mariadb:
            return [bin + "/mariadbd"] + shared + ["--innodb-log-file-size=16M"]
        }
    }

    /// SIGKILL: the server dies as in a crash. Returns when the process is gone.
    public func kill() async {
        let child = process.withLock { $0 }
        child?.signal(SIGKILL)
        await child?.wait()
    }

    /// SIGTERM: an orderly shutdown; SIGKILL if it takes longer than 30 s.
    public func stop() async {
        await process.withLock { $0 }?.end(.seconds(30))
    }

    /// SIGSTOP: the server hangs; its connections stay open and nothing answers.
    public func freeze() { process.withLock { $0 }?.signal(SIGSTOP) }

    /// SIGCONT.
    public func thaw() { process.withLock { $0 }?.signal(SIGCONT) }

    /// Stops the server and removes its data.
    func close() async {
        // The data goes away: nothing is gained by an orderly shutdown.
        await kill()
        await folder.clear()
    }

    /// Runs statements as root with the server's own client, not with the driver that is under test.
    /// - Returns: the rows of all results, NULL as the text `NULL`.
    /// - Throws: `TestBedError` with what the client says.
    @discardableResult
    public func sql(_ statements: String, database: String? = nil) async throws -> [[String]] {
        try await client(["-uroot", "-S", socketPath] + (database.map { [$0] } ?? []), statements)
    }

    /// The same over TCP with one of the accounts.
    @discardableResult
    public func sql(_ statements: String, as account: TestAccount, database: String? = nil) async throws -> [[String]] {
        try await MySQLServer.runClient(
            kind, account: account, port: port, database: database, statements: statements, in: folder)
    }

    private func client(_ arguments: [String], _ statements: String) async throws -> [[String]] {
        try await MySQLServer.runClient(kind, arguments: arguments, statements: statements, in: folder)
    }
}
