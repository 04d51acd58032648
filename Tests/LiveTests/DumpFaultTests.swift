import Foundation
import Glibc
import MySQLDump
import MySQLWire
import TestBed
import Testing

@testable import Watchdog

/// Dumps and copies as processes: killed, starved of disk, measured.
@Suite(.serialized) struct DumpFaultTests {
    /// The static program where Scripts/test has built it: it is the one that is installed, and it is faster.
    private func program() throws -> String {
        if let program = ProcessInfo.processInfo.environment["REPL_WATCHDOG_STATIC"], !program.isEmpty {
            return program
        }
        return try KilledAgentTests.program()
    }

    private func start(_ name: String, _ arguments: [String], in folder: GuardedFolder) throws -> GuardedProcess {
        // The guard knows the process by a path in its folder.
        if !FileManager.default.fileExists(atPath: folder.path + "/password") {
            try folder.write("password", TestAccount.agent.password)
            chmod(folder.path + "/password", 0o600)
        }
        return try GuardedProcess(
            name, in: folder,
            command: [try program()] + arguments + [
                "--user", TestAccount.agent.user, "--password-file", folder.path + "/password", "--json",
            ])
    }

    private enum Victim: CaseIterable { case source, target, disk, agent }

    /// What a copy leaves on its target.
    private struct Seen: Equatable {
        var gtid: String
        var checksums: [[String]]
    }

    private func look(_ server: MySQLServer) async throws -> Seen {
        Seen(
            gtid: try await server.gtidExecuted(),
            checksums: try await server.sql("CHECKSUM TABLE shop.a, shop.b, shop.state"))
    }

    private func isMarked(_ server: MySQLServer) async throws -> Bool {
        let connection = try await MySQLConnection.connect(
            server.connectionOptions(.agent), deadline: .after(.seconds(10)))
        let facts = try await ServerProbe(cluster: "shop").facts(connection, deadline: .after(.seconds(10)))
        await connection.close()
        return facts.rebuilding != nil
    }

    /// Kills the source, the target, the agent, or fills the file's disk, at random points, 50 times: the older copy is
    /// intact, or the new one is whole, or the server is marked; never a half copy that is called whole.
    @Test(.timeLimit(.minutes(10))) func killedFiftyTimesNothingHalfIsCalledWhole() async throws {
        let folder = try GuardedFolder("dumps")
        let (disk, small) = (folder.path + "/disk", folder.path + "/small")
        for path in [disk, small] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        defer { _ = try? captured("/bin/umount", [small]) }
        try await withServers(
            [(.mysql, "source"), (.mysql, "target")],
            options: ["--sync-binlog=0", "--innodb-flush-log-at-trx-commit=2"]
        ) { servers in
            let (source, target) = (servers[0], servers[1])
            try await source.sql(
                """
                SET SESSION cte_max_recursion_depth = 100000; CREATE DATABASE shop; USE shop;
                CREATE TABLE a (id int PRIMARY KEY, f varchar(300), KEY (f(10)));
                INSERT INTO a WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
                  SELECT i, RPAD(SHA2(i, 256), 250, SHA2(-i, 256)) FROM n;
                CREATE TABLE b LIKE a; INSERT INTO b SELECT * FROM a;
                CREATE TABLE state (round int); INSERT INTO state VALUES (0);
                CREATE PROCEDURE p() SELECT 1; CREATE VIEW v AS SELECT * FROM state;
                """)
            let (from, to) = (source.hostAndPort, target.hostAndPort)
            let began = ContinuousClock.now
            let first = try start("first", ["copy", from, to, "--yes", "-o", disk + "/first.sql.gz"], in: folder)
            #expect(try await first.exitStatus() == 0, "\(first.output)")
            let whole = (ContinuousClock.now - began) / .milliseconds(1)
            let size = try FileManager.default.attributesOfItem(atPath: disk + "/first.sql.gz")[.size] as? Int ?? 0
            var old: Seen? = try await look(target)
            #expect(try await old == look(source))

            var outcomes: [String: Int] = [:]
            for round in 1...50 {
                try await source.sql("UPDATE shop.state SET round = \(round)")
                let new = try await look(source)
                let victim = Victim.allCases[round % 4]
                var file = "\(disk)/\(round).sql.gz"
                var arguments = ["copy", from, to, "--yes", "-o", file]
                if victim == .disk {
                    _ = try? captured("/bin/umount", [small])
                    let room = Int.random(in: 16...max(32, size * 5 / 4 / 1024))
                    _ = try await Shell.run("mount", "-t", "tmpfs", "-o", "size=\(room)k", "tmpfs", small)
                    file = "\(small)/\(round).sql.gz"
                    arguments = round % 8 < 4 ? ["copy", from, to, "--yes", "-o", file] : ["dump", from, "-o", file]
                }
                let process = try start("copy\(round)", arguments, in: folder)
                if victim != .disk {
                    try? await Task.sleep(for: .milliseconds(Double.random(in: 0...whole * 1.1)))
                    switch victim {
                    case .source: await source.kill()
                    case .target: await target.kill()
                    default: await process.kill()
                    }
                }
                let status = try await process.exitStatus(within: .seconds(60))
                if victim == .source { try await source.start() }
                if victim == .target { try await target.start() }
                let context = "round \(round), \(victim), status \(status): \(process.output.suffix(500))"

                // The file: none, or a whole one.
                let there = FileManager.default.fileExists(atPath: file)
                if there {
                    let report = try await MySQLDump.verify(file)
                    #expect(report.gtidExecuted == new.gtid && report.warnings.isEmpty, "\(context)")
                }
                if victim == .disk {
                    // A full disk ends a dump and not a copy; either says so.
                    #expect(there || process.output.contains("No space left on device"), "\(context)")
                    #expect((status == 0) == (arguments[0] == "copy" || there), "\(context)")
                }
                // The target.
                let outcome: String
                if try await isMarked(target) {
                    outcome = "marked"
                    old = nil
                } else {
                    let seen = try await look(target)
                    outcome = seen == new ? "new" : "old"
                    #expect(seen == new || seen == old, "\(context): neither copy is on the target: \(seen)")
                    old = seen
                }
                if status == 0, arguments[0] == "copy" { #expect(outcome == "new", "\(context)") }
                outcomes["\(victim) \(outcome)", default: 0] += 1
            }
            print("killed 50 times: \(outcomes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })")

            // Whatever is left there, the next import repairs.
            let last = try start("last", ["import", to, disk + "/first.sql.gz", "--yes"], in: folder)
            #expect(try await last.exitStatus() == 0, "\(last.output)")
            #expect(try await !isMarked(target))
            #expect(
                try await target.sql("SELECT round FROM shop.state; SELECT COUNT(*) FROM shop.a") == [["0"], ["8000"]])
        }
        await folder.clear()
    }

    /// A row of 64 MB through every way: no process takes 256 MB for it.
    @Test(.timeLimit(.minutes(5))) func aRowOf64MBNeedsBoundedMemory() async throws {
        let folder = try GuardedFolder("long")
        try await withServers(
            [(.mysql, "source"), (.mysql, "target")],
            options: ["--max-allowed-packet=256M", "--innodb-redo-log-capacity=1G"]
        ) { servers in
            let (source, target) = (servers[0], servers[1])
            try await source.sql(
                """
                CREATE DATABASE shop; CREATE TABLE shop.t (a int PRIMARY KEY, b longblob);
                INSERT INTO shop.t VALUES (1, 'x'), (2, REPEAT(0x00FF275C41424344, 8 << 20)), (3, 'y');
                """)
            let file = folder.path + "/d.sql.gz"
            let (from, to) = (source.hostAndPort, target.hostAndPort)
            for arguments in [
                ["dump", from, "-o", file], ["verify", file], ["import", to, file, "--yes"],
                ["copy", from, to, "--yes"],
            ] {
                let process: GuardedProcess
                if arguments[0] == "verify" {
                    process = try GuardedProcess("verify", in: folder, command: [try program()] + arguments)
                } else {
                    process = try start(arguments[0], arguments, in: folder)
                }
                var peak = 0
                while process.isRunning {
                    peak = max(peak, highWater(process.pid))
                    try? await Task.sleep(for: .milliseconds(10))
                }
                #expect(try await process.exitStatus() == 0, "\(process.output)")
                print("\(arguments[0]) of a row of 64 MB: \(peak) MB")
                #expect(peak > 64 && peak < 256, "\(arguments[0]): \(peak) MB")
            }
            #expect(try await target.sql("CHECKSUM TABLE shop.t") == source.sql("CHECKSUM TABLE shop.t"))
        }
        await folder.clear()
    }

    /// Most memory that a process has had, in MB.
    private func highWater(_ pid: pid_t) -> Int {
        guard let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
        else { return 0 }
        return (Int(line.filter(\.isNumber)) ?? 0) / 1000
    }
}
