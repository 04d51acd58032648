import Foundation
import TestBed
import Testing

/// The static program on a host that has nothing: a folder that it takes for the root of the file system, with /proc,
/// /etc/hosts and its own configuration, against real servers and a real router. Scripts/test builds it and says where
/// it is.
@Suite(
    .serialized,
    .enabled(
        if: ProcessInfo.processInfo.environment["REPL_WATCHDOG_STATIC"] != nil,
        "REPL_WATCHDOG_STATIC names no static program; Scripts/test builds one"))
struct StaticBinaryTests {
    static let program = ProcessInfo.processInfo.environment["REPL_WATCHDOG_STATIC"] ?? ""

    /// A host with nothing on it.
    struct Host {
        let folder: GuardedFolder
        var root: String { "\(folder.path)/root" }

        init(cluster: Cluster, router: MySQLRouter) throws {
            folder = try GuardedFolder("static")
            let files = FileManager.default
            for directory in ["proc", "etc", "state"] {
                try files.createDirectory(atPath: "\(root)/\(directory)", withIntermediateDirectories: true)
            }
            try write("etc/hosts", "127.0.0.1 db-a.test db-b.test router.test\n")
            try write("etc/password", "\(TestAccount.agent.password)\n")
            try write("etc/repl-password", "\(TestAccount.replication.password)\n")
            try write("etc/mysqlrouter.conf", try String(contentsOfFile: router.configFile, encoding: .utf8))
            try write(
                "etc/repl-watchdog.toml",
                """
                cluster = "shop"
                working_directory = "/state"
                [agent]
                name = "bare"
                [servers.a]
                address = "db-a.test:\(cluster.a.port)"
                [servers.b]
                address = "db-b.test:\(cluster.b.port)"
                [credentials]
                user = "\(TestAccount.agent.user)"
                password_file = "/etc/password"
                [replication]
                user = "\(TestAccount.replication.user)"
                password_file = "/etc/repl-password"
                [router]
                address = "router.test:\(router.port)"
                config_file = "/etc/mysqlrouter.conf"
                restart = ["/nothing/here"]
                """)
        }

        func write(_ file: String, _ text: String) throws {
            try text.write(toFile: "\(root)/\(file)", atomically: false, encoding: .utf8)
            guard chmod("\(root)/\(file)", 0o600) == 0 else { throw TestBedError("chmod \(file)") }
        }

        /// Brings the program. Not copied by this process: a server that another test starts at that moment would
        /// inherit the copy's open file, and the system starts no program that somebody has open for writing.
        func install() async throws {
            let copy = try GuardedProcess("copy", in: folder, command: ["/bin/cp", program, "\(root)/repl-watchdog"])
            guard try await copy.exitStatus() == 0 else { throw TestBedError("no copy: \(copy.output)") }
        }

        /// Runs the program to its end.
        func run(_ arguments: [String]) async throws -> (status: Int32, output: String, errors: String) {
            let process = try start(arguments)
            let status = try await process.exitStatus()
            if status == 99 { throw TestBedError("no chroot can be made here: \(process.output)") }
            return (status, folder.read("run.output"), folder.read("run.errors"))
        }

        /// Starts the program with the host's root as its own, in a mount namespace that ends with it.
        func start(_ arguments: [String], as name: String = "run") throws -> GuardedProcess {
            try folder.write(
                "enter",
                """
                root=$1 name=$2
                shift 2
                mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc" || exit 99
                exec env -i "$(command -v chroot)" "$root" /repl-watchdog "$@" >"$root/../$name.output" 2>"$root/../$name.errors"
                """)
            // Without root's rights in the system, as root of a user namespace of its own.
            let unshare = ["unshare", "--mount"] + (getuid() == 0 ? [] : ["--user", "--map-root-user"])
            return try GuardedProcess(
                name, in: folder,
                command: ["/usr/bin/env"] + unshare + ["sh", "\(folder.path)/enter", root, name] + arguments,
                environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
        }

        /// Every file of the host but the mounted ones.
        func files() throws -> Set<String> {
            Set(try FileManager.default.subpathsOfDirectory(atPath: root))
        }
    }

    static func withHost(_ body: (Host, Cluster, MySQLRouter) async throws -> Void) async throws {
        try await withCluster { cluster in
            try await withRouter(to: [cluster.a, cluster.b]) { router in
                let host = try Host(cluster: cluster, router: router)
                let result: Result<Void, any Error>
                do {
                    try await host.install()
                    result = .success(try await body(host, cluster, router))
                } catch {
                    result = .failure(error)
                }
                await host.folder.clear()
                try result.get()
            }
        }
    }

    @Test func itNeedsNoLibraryAndIsSmall() throws {
        let bytes = try Data(contentsOf: URL(filePath: Self.program))
        // ELF64: the program headers' offset at 32, their size at 54, their number at 56. Type 3 is PT_INTERP, 2 is
        // PT_DYNAMIC: the first names the dynamic loader, the second would list the libraries.
        func number<T: FixedWidthInteger>(_ offset: Int, as type: T.Type) -> Int {
            Int(bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) })
        }
        #expect(bytes.prefix(4) == Data([0x7F, 0x45, 0x4C, 0x46]))
        let start = number(32, as: UInt64.self)
        let types = (0..<number(56, as: UInt16.self)).map {
            number(start + $0 * number(54, as: UInt16.self), as: UInt32.self)
        }
        #expect(types.contains(1) && !types.contains(3))
        // The agent itself grows by some hundred kilobytes now and then; the full Foundation is tens of megabytes.
        #expect(bytes.count < 30_000_000, "\(bytes.count) bytes: has the full Foundation come in?")
    }

    @Test func inAnEmptyRootItQueriesLooksAndMakesAPass() async throws {
        try await Self.withHost { host, cluster, router in
            let before = try host.files()

            let version = try await host.run([
                "query", "db-a.test:\(cluster.a.port)", "SELECT @@port AS port, NULL AS none, 'a\\tb' AS text",
            ])
            #expect(version.status == 0, "\(version.errors)")
            #expect(version.output == "port\tnone\ttext\n\(cluster.a.port)\tNULL\ta\\tb\n")

            let json = try await host.run([
                "query", "router.test:\(router.port)", "SELECT @@port, X'FF00', NULL", "--json",
                "--user", TestAccount.application.user, "--tls", "disabled", "--password-file", "/etc/app-password",
            ])
            #expect(json.status == 78 && json.errors.contains("/etc/app-password: cannot be opened"))
            try host.write("etc/app-password", TestAccount.application.password)
            let again = try await host.run([
                "query", "router.test:\(router.port)", "SELECT @@port AS p, X'FF00' AS x, NULL AS n", "--json",
                "--user", TestAccount.application.user, "--password-file", "/etc/app-password",
            ])
            #expect(again.status == 0, "\(again.errors)")
            #expect(
                again.output
                    == "{\"columns\":[\"p\",\"x\",\"n\"],\"rows\":[[\"\(cluster.a.port)\",{\"hex\":\"ff00\"},null]]}\n")

            // TLS from the OpenSSL inside, the server's certificate checked against its own authority.
            try host.write("etc/ca.pem", cluster.b.folder.read("data/ca.pem"))
            func secure(_ ca: String) async throws -> (status: Int32, output: String, errors: String) {
                try await host.run([
                    "query", "db-b.test:\(cluster.b.port)", "SHOW STATUS LIKE 'Ssl_version'", "--user",
                    TestAccount.application.user, "--password-file", "/etc/app-password", "--tls", "verify-ca",
                    "--ca-file", ca,
                ])
            }
            let tls = try await secure("/etc/ca.pem")
            #expect(tls.status == 0 && tls.output.contains("Ssl_version\tTLSv1."), "\(tls.output)\(tls.errors)")
            let untrusted = try await secure("/etc/none.pem")
            #expect(untrusted.status == 3 && untrusted.output.isEmpty, "\(untrusted.output)\(untrusted.errors)")

            let wrong = try await host.run(["query", "db-b.test:\(cluster.b.port)", "SELEC 1"])
            #expect(wrong.status == 2 && wrong.output.isEmpty)
            #expect(wrong.errors.contains("1064") && wrong.errors.contains("db-b.test:\(cluster.b.port)"))

            let status = try await host.run(["status", "--json"])
            #expect(status.status == 0, "\(status.output)\(status.errors)")
            let document = try #require(
                try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [String: Any])
            #expect(document["state"] as? String == "ok" && document["primary"] as? String == "a")

            let text = try await host.run(["status"])
            #expect(text.status == 0 && text.output.hasPrefix("OK "))

            let pass = try await host.run(["--now"])
            #expect(pass.status == 0, "\(pass.errors)")
            #expect(pass.output.isEmpty && pass.errors.contains("pass ended") && pass.errors.contains("state=ok"))

            // A pass over a healthy cluster leaves its lock and nothing else.
            let after = try host.files().subtracting(before).subtracting(["etc/app-password", "etc/ca.pem"])
            #expect(after.allSatisfy { $0.hasPrefix("state/repl-watchdog.") }, "\(after)")
        }
    }

    @Test func aDeadPrimaryIsDownAndTheStatusSaysSo() async throws {
        try await Self.withHost { host, cluster, _ in
            await cluster.a.kill()
            let status = try await host.run(["status"])
            #expect(status.status == 2)
            #expect(status.output.hasPrefix("DOWN "), "\(status.output)")
            #expect(status.output.contains("db-a.test:\(cluster.a.port)"))
            let pass = try await host.run(["--now"])
            #expect(pass.status == 2 && pass.errors.contains("state=down"), "\(pass.errors)")
        }
    }

    @Test func theDaemonWatchesAloneAndEndsWellWhenAsked() async throws {
        try await Self.withHost { host, _, _ in
            // Under a path by which the guard knows the process again, should this test be killed.
            let path = "\(host.folder.path)/repl-watchdog.toml"
            try FileManager.default.createDirectory(
                atPath: host.root + host.folder.path, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: "\(host.root)/etc/repl-watchdog.toml", toPath: host.root + path)
            let daemon = try host.start(["run", "--log-format", "json", "--config", path], as: "daemon")
            try await eventually("the daemon has seen the state") {
                host.folder.read("daemon.errors").contains("\"state\":\"ok\"") || !daemon.isRunning
            }
            // One agent per host: the lock is on the same file, seen from inside or outside.
            let errors = host.folder.read("daemon.errors")
            let second = try await host.run(["--now"])
            #expect(second.status == 3 && second.errors.contains("another agent runs on this host"))
            #expect(daemon.isRunning)
            daemon.signal(SIGTERM)
            #expect(try await daemon.exitStatus(within: .seconds(20)) == 0, "\(errors)")
            let lines = errors.split(separator: "\n")
            #expect(!lines.isEmpty)
            for line in lines {
                let event = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                #expect(event?["time"] is String && event?["level"] is String && event?["message"] is String)
            }
            let third = try await host.run(["--now"])
            #expect(third.status == 0, "\(third.errors)")
        }
    }

    @Test func aDumpIsWrittenAndVerified() async throws {
        try await Self.withHost { host, cluster, _ in
            try await cluster.a.sql(
                "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO shop.t VALUES (1, 'x'), (2, NULL)"
            )
            let dump = try await host.run(["dump", "db-a.test:\(cluster.a.port)", "-o", "/state/a.sql.gz"])
            #expect(dump.status == 0, "\(dump.errors)")
            let verified = try await host.run(["verify", "/state/a.sql.gz"])
            #expect(verified.status == 0 && verified.output.contains(" 2 rows"), "\(verified.output)\(verified.errors)")
            try await cluster.b.sql("STOP REPLICA; RESET REPLICA ALL")
            let command = ["import", "db-b.test:\(cluster.b.port)", "/state/a.sql.gz", "--yes"]
            // It is one of the cluster's servers: told by name only, and after saying what it holds.
            let unnamed = try await host.run(command)
            #expect(unnamed.status == 64 && unnamed.errors.contains("it is server b of the configuration"))
            #expect(unnamed.errors.contains("shop (1 tables)"), "\(unnamed.errors)")
            let wrong = try await host.run(command + ["--replace-cluster-server", "a"])
            #expect(wrong.status == 64)
            #expect(try await cluster.b.sql("SELECT COUNT(*) FROM shop.t") == [["2"]])
            let imported = try await host.run(command + ["--replace-cluster-server", "b"])
            #expect(imported.status == 0, "\(imported.errors)")
            #expect(try await cluster.b.sql("SELECT id, v FROM shop.t ORDER BY id") == [["1", "x"], ["2", "NULL"]])
            #expect(try await cluster.b.gtidExecuted() == cluster.a.gtidExecuted())

            // Cut short by one byte: refused, and nothing touched.
            let path = "\(host.root)/state/a.sql.gz"
            let whole = try Data(contentsOf: URL(filePath: path))
            try whole.dropLast().write(to: URL(filePath: path))
            let cut = try await host.run(["verify", "/state/a.sql.gz"])
            #expect(cut.status == 2 && !cut.errors.isEmpty)
            let refused = try await host.run(command + ["--replace-cluster-server", "b"])
            #expect(refused.status == 2)
            #expect(try await cluster.b.sql("SELECT COUNT(*) FROM shop.t") == [["2"]])
        }
    }
}
