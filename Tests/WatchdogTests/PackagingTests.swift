import Foundation
import Glibc
import Testing

private let systemdIsHere = ["/usr/bin/systemd-analyze", "/lib/systemd/systemd", "/usr/sbin/runuser"].allSatisfy {
    FileManager.default.isExecutableFile(atPath: $0)
}

/// What is packaged for systemd, as systemd itself understands it.
@Suite(.enabled(if: systemdIsHere, "needs systemd and runuser (Debian packages systemd and util-linux)"))
struct PackagingTests {
    /// Units as an operator installs them, in a folder that everybody may read.
    final class Units {
        let path = NSTemporaryDirectory() + "repl-watchdog-units-\(UUID().uuidString)"
        deinit { try? FileManager.default.removeItem(atPath: path) }

        init(_ dropIns: [String]) throws {
            let packaging = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "Packaging")
            func read(_ name: String) throws -> String {
                try String(contentsOf: packaging.appending(path: name), encoding: .utf8)
            }
            // The programs need not be installed here.
            try write(
                "repl-watchdog.service",
                read("repl-watchdog.service").replacing("/usr/local/bin/repl-watchdog", with: "/bin/true"))
            // As mysqlrouter's own package has it.
            try write(
                "mysqlrouter.service",
                """
                [Unit]
                Description=MySQL Router
                After=network.target
                [Service]
                Type=simple
                ExecStart=/bin/true
                """)
            for name in dropIns {
                let parts = name.split(separator: ".d-", maxSplits: 1).map(String.init)
                try write("\(parts[0]).d/\(parts[1])", read("systemd/\(name)"))
            }
            try write(
                "boot.target",
                "[Unit]\nDescription=A boot\nWants=repl-watchdog.service mysqlrouter.service\n")
        }

        private func write(_ name: String, _ text: String) throws {
            let file = URL(filePath: "\(path)/\(name)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }

        /// Runs a program to its end.
        func run(_ command: [String]) async throws -> (status: Int32, output: String) {
            let file = "\(path)/output-\(UUID().uuidString)"
            _ = FileManager.default.createFile(atPath: file, contents: nil)
            let handle = FileHandle(forWritingAtPath: file)
            let process = Process()
            process.executableURL = URL(filePath: command[0])
            process.arguments = Array(command.dropFirst())
            process.environment = [
                "SYSTEMD_UNIT_PATH": "\(path):", "XDG_RUNTIME_DIR": "/nonexistent", "SYSTEMD_LOG_COLOR": "0",
            ]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = handle
            process.standardError = handle
            try process.run()
            let end = ContinuousClock.now.advanced(by: .seconds(60))
            while process.isRunning {
                if ContinuousClock.now > end { kill(process.processIdentifier, SIGKILL) }
                try await Task.sleep(for: .milliseconds(5))
            }
            return (process.terminationStatus, try String(contentsOfFile: file, encoding: .utf8))
        }

        /// What a boot would start. systemd does this for anybody but root.
        func boot() async throws -> String {
            let systemd = ["/lib/systemd/systemd", "--test", "--system", "--unit=boot.target"]
            return try await run(geteuid() == 0 ? ["/usr/sbin/runuser", "-u", "nobody", "--"] + systemd : systemd)
                .output
        }
    }

    static let installations: [[String]] = [
        [], ["repl-watchdog.service.d-unbound.conf"], ["repl-watchdog.service.d-quorum.conf"],
        ["repl-watchdog.service.d-quorum.conf", "mysqlrouter.service.d-bound.conf"],
    ]

    @Test(arguments: installations)
    func systemdHasNothingToSayAgainstThem(_ dropIns: [String]) async throws {
        let units = try Units(dropIns)
        let (status, output) = try await units.run(
            ["/usr/bin/systemd-analyze", "verify", "--man=no", "\(units.path)/boot.target"])
        // Of units of this host it may have its opinion.
        let own = output.split(separator: "\n").filter { $0.contains("repl-watchdog") || $0.contains("mysqlrouter") }
        #expect(own.isEmpty && status == 0, "\(output)")
    }

    /// Of a circle systemd drops a job at random: once is not enough.
    @Test func everyBootStartsAgentAndBoundRouter() async throws {
        let units = try Units(["repl-watchdog.service.d-quorum.conf", "mysqlrouter.service.d-bound.conf"])
        for _ in 1...10 {
            let output = try await units.boot()
            // Where systemd cannot play a boot at all, as in some containers, this says nothing.
            guard output.contains("boot.target -> start") else { return }
            for unit in ["repl-watchdog.service", "mysqlrouter.service"] {
                try #require(output.contains("Action: \(unit) -> start"), "\(output)")
            }
        }
    }

    /// A working directory that is mounted late must not keep the agent off for good.
    @Test func noNumberOfFailuresEndsTheAgentForGood() throws {
        let units = try Units([])
        let text = try String(contentsOfFile: "\(units.path)/repl-watchdog.service", encoding: .utf8)
        let head = text.split(separator: "[Service]").first ?? ""
        #expect(head.split(separator: "\n").contains("StartLimitIntervalSec=0"))
    }
}
