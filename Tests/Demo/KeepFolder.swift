import Foundation
import TestBed

/// What `--keep` leaves up: one folder with a link to each folder of both clusters, for `Scripts/demo --stop`.
struct KeepFolder {
    private let folder: GuardedFolder
    private let clusters: [HostCluster]

    init(_ clusters: [HostCluster]) throws {
        self.clusters = clusters
        folder = try GuardedFolder("demo")
        for cluster in clusters {
            let mode = cluster.options.mode.rawValue
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(mode)", withIntermediateDirectories: false)
            for server in cluster.servers {
                try link("\(mode)/\(server.name)", to: server.folder)
                try writeStart(server)
            }
            for backend in cluster.backends {
                try link("\(mode)/\(backend.name)", to: backend.folder)
                try link("\(mode)/\(backend.name)-router", to: backend.router.folder)
            }
        }
        try folder.write("demo.kept", "")
    }

    private func link(_ name: String, to other: GuardedFolder) throws {
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/\(name)", withDestinationPath: other.path)
    }

    /// The server's start as a file, so that it can be killed and started by hand.
    private func writeStart(_ server: MySQLServer) throws {
        let words = try server.startCommand().map { "'" + $0.replacing("'", with: "'\\''") + "'" }
        let path = server.folder.path
        try server.folder.write(
            "start",
            "#!/usr/bin/env bash\nexec setsid \(words.joined(separator: " ")) </dev/null >>'\(path)/error.log' 2>&1\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(path)/start")
    }

    /// How to look at it, and how to end it.
    func explain(_ timeline: Timeline) throws {
        let (bin, base) = (try ServerFiles.located().bin, folder.path)
        let agent = try Backend.program().joined(separator: " ")
        timeline.line("\nEverything is still up in \(base):")
        for cluster in clusters {
            let mode = "\(base)/\(cluster.options.mode.rawValue)"
            timeline.line(
                """

                  \(agent) status --config \(mode)/web1/agent.toml
                  \(bin)/mysql -uroot -S \(mode)/a/s          server a (port \(cluster.a.port))
                  \(bin)/mysql -uroot -S \(mode)/b/s          server b (port \(cluster.b.port))
                  MYSQL_PWD=app-secret \(bin)/mysql -uapp -h127.0.0.1 -P\(cluster.backends[0].router.port) shop      \
                through the router of web1
                  tail -f \(mode)/web?/agent.log
                  kill -9 $(cat \(mode)/b/mysqld.pid)          kill a server
                  \(mode)/b/start &          start it again: the agents make it a replica
                """)
        }
        timeline.line("\nEnd it with:\n  Scripts/demo --stop \(base)")
    }
}
