import Foundation
import Glibc
import MySQLWire
import TestBed
import Testing

/// The agents' password is changed while they watch a healthy primary under load: no router may close for that.
@Suite(.serialized) struct PasswordRotationTests {
    private static let account = "'\(TestAccount.agent.user)'@'%'"

    private func write(_ password: String, _ backend: Backend) throws {
        try backend.folder.write("password", password + "\n")
        chmod(backend.folder.path + "/password", 0o600)
    }

    private func everyLog(_ cluster: HostCluster, _ what: String, times: Int = 1) async throws {
        try await eventually("every agent says '\(what)' \(times) times", within: .seconds(30)) {
            cluster.backends.allSatisfy { $0.agentLog.split(separator: what).count > times }
        }
    }

    private func withTrial(_ body: (HostCluster, Trial) async throws -> Void) async throws {
        try await withHostCluster { cluster in
            for backend in cluster.backends {
                try write(TestAccount.agent.password, backend)
                let text = backend.folder.read("agent.toml").replacing(
                    "password = \"\(TestAccount.agent.password)\"",
                    with: "password_file = \"\(backend.folder.path)/password\"")
                try backend.folder.write("agent.toml", text)
            }
            do {
                try cluster.startAgents()
                let trial = try await Trial(cluster)
                let pids = cluster.backends.map(\.agentPID)
                try await body(cluster, trial)
                let verdict = try await trial.finish()
                #expect(verdict.violations.isEmpty)
                for backend in cluster.backends {
                    #expect(!backend.agentLog.contains("router closed"), "\(backend.name): \(backend.agentLog)")
                }
                #expect(cluster.backends.map(\.agentPID) == pids)
            } catch {
                for backend in cluster.backends { print("\(backend.name):\n\(backend.agentLog.suffix(8000))") }
                throw error
            }
        }
    }

    /// By the book: both passwords hold for a while.
    @Test(arguments: [true, false])
    func theOldPasswordStaysUntilAllHaveTheNewOne(_ hangsUp: Bool) async throws {
        try await withTrial { cluster, trial in
            let primary = try await cluster.settled(trial.writers, hold: .zero)
            try await primary.sql("ALTER USER \(Self.account) IDENTIFIED BY 'second' RETAIN CURRENT PASSWORD")
            for backend in cluster.backends {
                try write("second", backend)
                if hangsUp { backend.signalAgent(SIGHUP) }
            }
            if hangsUp { try await everyLog(cluster, "the configuration was read again") }
            try await primary.sql("ALTER USER \(Self.account) DISCARD OLD PASSWORD")
            if !hangsUp { try await everyLog(cluster, "the password file has changed") }
            // Longer than any lease.
            try await cluster.settled(trial.writers, hold: .seconds(5))
            for backend in cluster.backends { #expect(!backend.agentLog.contains("cannot log in")) }
        }
    }

    /// The account first, the file some seconds later: the sessions that are open stay logged in.
    @Test func aPlainChangeIsBridgedByTheSessionsThatAreOpen() async throws {
        try await withTrial { cluster, trial in
            let primary = try await cluster.settled(trial.writers, hold: .zero)
            try await primary.sql("ALTER USER \(Self.account) IDENTIFIED BY 'second'")
            try await everyLog(cluster, "cannot log in again")
            try await cluster.settled(trial.writers, hold: .seconds(5))
            for backend in cluster.backends { try write("second", backend) }
            try await everyLog(cluster, "the password file has changed")
            try await everyLog(cluster, "new connections are accepted again")
            try await cluster.settled(trial.writers, hold: .seconds(4))
        }
    }

    /// What is wrong changes nothing; what is right is in force without a restart.
    @Test func aHangupReadsTheConfigurationAgain() async throws {
        try await withTrial { cluster, trial in
            let proper = cluster.backends.map { $0.folder.read("agent.toml") }
            for backend in cluster.backends {
                try backend.folder.write("agent.toml", "cluster = \"shop\"\nno such line")
                backend.signalAgent(SIGHUP)
            }
            try await everyLog(cluster, "the configuration stays as it was")
            for (backend, text) in zip(cluster.backends, proper) {
                try backend.folder.write(
                    "agent.toml", text.replacing("interval = \"1s\"", with: "interval = \"500ms\""))
                backend.signalAgent(SIGHUP)
            }
            try await everyLog(cluster, "changed=agent")
            try await everyLog(cluster, " watching ", times: 2)
            try await cluster.settled(trial.writers, hold: .seconds(5))
        }
    }
}
