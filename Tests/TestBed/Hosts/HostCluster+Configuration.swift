import Foundation
import Glibc

extension HostCluster {
    /// The agent's configuration of one host, as an operator writes it.
    func writeConfiguration(_ backend: Backend) throws {
        func list(_ words: [String]) -> String { "[" + words.map { "\"\($0)\"" }.joined(separator: ", ") + "]" }
        let isQuorum = options.mode == .quorum
        try FileManager.default.createDirectory(
            atPath: backend.workingDirectory, withIntermediateDirectories: true)
        try backend.folder.write(
            "agent.toml",
            """
            cluster = "shop"
            mode = "\(options.mode.rawValue)"
            agents = \(list(backends.map(\.name)))
            working_directory = "\(backend.workingDirectory)"
            [agent]
            name = "\(backend.name)"
            interval = "\(isQuorum ? "1s" : "500ms")"
            probe_timeout = "2s"
            [servers.a]
            address = "\(a.hostAndPort)"
            [servers.b]
            address = "\(b.hostAndPort)"
            [credentials]
            user = "\(TestAccount.agent.user)"
            password = "\(TestAccount.agent.password)"
            [replication]
            user = "\(TestAccount.replication.user)"
            password = "\(TestAccount.replication.password)"
            [router]
            address = "\(backend.router.hostAndPort)"
            config_file = "\(backend.router.configFile)"
            section = "\(MySQLRouter.section)"
            restart = \(list(backend.router.restartCommand))
            stop = \(list(backend.router.stopCommand))
            destinations = "\(isQuorum ? "primary-only" : "primary-first")"
            \(isQuorum ? "[safety]" : "")
            \(isQuorum ? options.safety.joined(separator: "\n") : "")

            """)
        // Passwords stand in it.
        chmod(backend.configurationFile, 0o600)
    }
}
