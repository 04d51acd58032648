import MySQLWire

/// Runs `body` with an HAProxy before a server, as many installations have it: it hands bytes on and knows nothing of
/// MySQL. Cleared away afterwards.
public func withHAProxy<Value>(to server: MySQLServer, _ body: (HAProxy) async throws -> Value) async throws -> Value {
    let proxy = try HAProxy(to: server)
    let result: Result<Value, any Error>
    do {
        try await proxy.start()
        result = .success(try await body(proxy))
    } catch {
        result = .failure(error)
    }
    await proxy.folder.clear()
    return try result.get()
}

/// A real HAProxy in TCP mode on a free port of loopback, with one server behind it.
public final class HAProxy: Sendable {
    public let port: UInt16
    public let folder: GuardedFolder
    private let reserved: LoopbackPort

    public var address: ServerAddress { .tcp(host: "127.0.0.1", port: port) }

    init(to server: MySQLServer) throws {
        reserved = try LoopbackPort()
        port = reserved.number
        folder = try GuardedFolder("haproxy")
        try folder.write(
            "haproxy.cfg",
            """
            defaults
                mode tcp
                timeout connect 3s
                timeout client 1h
                timeout server 1h

            listen mysql
                bind 127.0.0.1:\(port)
                server db 127.0.0.1:\(server.port)

            """)
    }

    func start() async throws {
        let process = try GuardedProcess(
            "haproxy", in: folder,
            command: [try ServerFiles.located().bin + "/haproxy", "-db", "-f", "\(folder.path)/haproxy.cfg"])
        try await eventually("HAProxy answers", within: .seconds(30)) {
            !process.isRunning || LoopbackPort.answers(port)
        }
        guard process.isRunning else { throw TestBedError("HAProxy ended at once: \(process.output)") }
    }
}
