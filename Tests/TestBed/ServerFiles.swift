import Foundation

/// Where the real servers lie: what `Scripts/fetch-servers` has put into its cache.
public struct ServerFiles: Sendable {
    /// The programs: mysqld, mysql, mysqlrouter, mariadbd, mariadb, haproxy.
    public let bin: String
    /// Initialised data directories, `mysql` and `mariadb`.
    public let templates: String
    /// Stays from one run to the next; holds the locks of the ports in use.
    let ports: String

    /// The repository's Scripts folder.
    public static let scripts: String = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Scripts").path(percentEncoded: false)

    private static let found = Result { try find() }

    /// - Throws: `TestBedError` that says what to do where the servers have not been fetched.
    public static func located() throws -> ServerFiles { try found.get() }

    private static func find() throws -> ServerFiles {
        let (status, data) = try captured(scripts + "/fetch-servers", ["--print"])
        let folder = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard status == 0, !folder.isEmpty else {
            throw TestBedError("the real servers of the tests are not there: run Scripts/fetch-servers")
        }
        let ports = URL(filePath: folder).deletingLastPathComponent().appending(path: "ports")
        try FileManager.default.createDirectory(at: ports, withIntermediateDirectories: true)
        return ServerFiles(
            bin: folder + "/bin", templates: folder + "/template", ports: ports.path(percentEncoded: false))
    }
}

/// The test bed could not do what a test asked for.
public struct TestBedError: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
