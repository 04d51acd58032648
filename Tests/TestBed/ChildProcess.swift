import Foundation
import Glibc
import Synchronization

/// A child process in a session of its own (a Ctrl-C in the terminal does not reach it), with signals as they are by
/// default. Signals are only ever sent while it has not been reaped, so never to a stranger with its id.
final class ChildProcess: Sendable {
    let pid: pid_t
    private let ended = Mutex<Int32?>(nil)

    /// - Parameters:
    ///   - input: a descriptor to read from; nil: nothing to read.
    ///   - output: the file that standard output and standard error are appended to.
    ///   - keepsErrors: false: standard error goes nowhere.
    init(
        _ command: [String], input: Int32? = nil, output: String, keepsErrors: Bool = true,
        environment: [String: String] = [:]
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        if keepsErrors {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // POSIX_SPAWN_SETSID; the header hides the name without _GNU_SOURCE.
        let newSession: Int16 = 0x80
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | newSession)

        let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        var arguments = command.map { strdup($0) } + [nil]
        var variables = merged.map { strdup("\($0)=\($1)") } + [nil]
        defer { for pointer in arguments + variables { free(pointer) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, command[0], &actions, &attributes, &arguments, &variables)
        guard result == 0 else {
            throw TestBedError("\(command[0]) does not start: \(String(cString: strerror(result)))")
        }
        self.pid = pid
    }

    /// The status as waitpid gives it once the process has ended and was reaped; nil while it lives.
    var status: Int32? {
        ended.withLock { ended in
            if ended == nil {
                var status: Int32 = 0
                if waitpid(pid, &status, WNOHANG) == pid { ended = status }
            }
            return ended
        }
    }

    /// Sends a signal if the process has not been reaped yet. SIGSTOP is in force when this returns.
    func signal(_ number: Int32) {
        ended.withLock { ended in
            if ended == nil { _ = Glibc.kill(pid, number) }
        }
        if number == SIGSTOP { awaitStop() }
    }

    /// kill() returns before the threads have stopped: one that runs on another core goes on until it next enters the
    /// kernel, and may answer a packet that was sent after the signal.
    private func awaitStop() {
        let end = ContinuousClock.now.advanced(by: .seconds(10))
        while status == nil, !hasStopped, ContinuousClock.now < end { usleep(500) }
    }

    /// Whether every thread is stopped, or gone.
    private var hasStopped: Bool {
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        return threads.allSatisfy { thread in
            guard let text = try? String(contentsOfFile: "/proc/\(pid)/task/\(thread)/stat", encoding: .utf8) else {
                return true
            }
            // The name stands in brackets and may hold anything.
            let state = text[(text.lastIndex(of: ")") ?? text.startIndex)...].dropFirst(2).first
            return state.map { "TtZXx".contains($0) } ?? true
        }
    }

    /// Waits for its end and reaps it.
    /// - Returns: the status, or nil if it still lives after `limit`.
    @discardableResult
    func wait(_ limit: Duration = .seconds(60)) async -> Int32? {
        let end = ContinuousClock.now.advanced(by: limit)
        while true {
            if let status { return status }
            if ContinuousClock.now >= end { return nil }
            await pause(.milliseconds(5))
        }
    }

    /// SIGTERM, and SIGKILL if it has not ended after `limit`; reaped in any case.
    func end(_ limit: Duration) async {
        signal(SIGTERM)
        signal(SIGCONT)
        if await wait(limit) == nil {
            signal(SIGKILL)
            await wait()
        }
    }
}
