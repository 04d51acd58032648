import CLinux
import Glibc
import MySQLWire
import Subprocess
import SystemPackage

/// Runs a command of the configuration (an argument array, never a shell's text) with bounded time and output.
enum RouterCommand {
    /// Most bytes of output that are kept; a command that writes more gets a write error.
    static let outputLimit = 64 << 10
    /// Most bytes of output that an error repeats.
    static let tailLimit = 2 << 10

    /// Runs the command and waits for it to end well.
    ///
    /// The output goes to a sealed file in memory and not to a pipe: a restart command often leaves a daemon behind
    /// that has inherited its standard output, and waiting for the end of a pipe would wait for that daemon.
    /// - Throws: `RouterError` when it cannot be started, ends with another status than 0, or has not ended at the
    ///   deadline (its whole process group is killed then); with the end of its output.
    static func run(_ arguments: [String], purpose: String, deadline: Deadline) async throws(RouterError) {
        let line = arguments.joined(separator: " ")
        guard let program = arguments.first, !program.isEmpty else {
            throw RouterError(.command(status: "not configured"), "no command is configured to \(purpose)")
        }
        let output = try OutputFile()
        let outcome = await withTaskGroup(of: Outcome.self) { group in
            group.addTask {
                await spawn(program, Array(arguments.dropFirst()), output: output.descriptor)
            }
            group.addTask {
                do {
                    try await Task.sleep(until: deadline.instant, clock: .continuous)
                    return .deadline
                } catch {
                    return .cancelled
                }
            }
            // The command's own end counts also when it comes while the deadline's kill is under way.
            let first = await group.next() ?? .cancelled
            group.cancelAll()
            for await _ in group {}
            return first
        }
        let tail = output.tail(Self.tailLimit)
        let said = tail.isEmpty ? "" : "; its output ends: \(tail)"
        switch outcome {
        case .ended(let status) where status.isSuccess: return
        case .ended(let status):
            throw RouterError(
                .command(status: "\(status)"), "cannot \(purpose): '\(line)' ended with \(status)\(said)")
        case .failed(let why):
            throw RouterError(.command(status: "not started"), "cannot \(purpose): '\(line)' was not started: \(why)")
        case .deadline:
            throw RouterError(
                .commandTimeout, "cannot \(purpose): '\(line)' had not ended in time and was killed\(said)")
        case .cancelled:
            throw RouterError(.command(status: "cancelled"), "stopped to \(purpose): '\(line)' was killed\(said)")
        }
    }

    private enum Outcome: Sendable {
        case ended(TerminationStatus)
        case failed(String)
        case deadline
        case cancelled
    }

    private static func spawn(
        _ program: String, _ arguments: [String], output: FileDescriptor
    ) async -> Outcome {
        var options = PlatformOptions()
        // A session of its own: its children can be killed with it, and a daemon it starts outlives our terminal.
        options.createSession = true
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(500)),
            .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(100)),
        ]
        do {
            let result = try await Subprocess.run(
                program.contains("/") ? .path(FilePath(program)) : .name(program),
                arguments: Arguments(arguments),
                environment: .inherit.updating(["REPL_WATCHDOG_PASSWORD": nil]),
                platformOptions: options,
                input: .none,
                output: .fileDescriptor(output, closeAfterSpawningProcess: false),
                error: .fileDescriptor(output, closeAfterSpawningProcess: false))
            return Task.isCancelled ? .cancelled : .ended(result.terminationStatus)
        } catch {
            return .failed("\(error)")
        }
    }
}

/// A file in memory, of fixed size, that takes a command's output.
private final class OutputFile: Sendable {
    let descriptor: FileDescriptor

    init() throws(RouterError) {
        // MFD_CLOEXEC | MFD_ALLOW_SEALING, then F_ADD_SEALS with F_SEAL_SHRINK | F_SEAL_GROW: a daemon that keeps the
        // file as its standard output cannot fill the memory with it.
        let number = memfd_create("command-output", 1 | 2)
        guard number >= 0 else {
            throw RouterError(.file(errno: errno), "cannot make a file in memory: \(systemText(errno))")
        }
        descriptor = FileDescriptor(rawValue: number)
        guard ftruncate(number, off_t(RouterCommand.outputLimit)) == 0, fcntl(number, 1033, 2 | 4) == 0 else {
            let code = errno
            Glibc.close(number)
            throw RouterError(.file(errno: code), "cannot seal a file in memory: \(systemText(code))")
        }
    }

    /// The end of what was written, as one line.
    func tail(_ limit: Int) -> String {
        let end = max(0, lseek(descriptor.rawValue, 0, SEEK_CUR))
        let start = max(0, Int(end) - limit)
        var buffer = [UInt8](repeating: 0, count: Int(end) - start)
        let count = pread(descriptor.rawValue, &buffer, buffer.count, off_t(start))
        let lines = buffer.prefix(max(0, count)).split(whereSeparator: { $0 == 0x0A || $0 == 0x0D })
        return lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " | ")
    }

    deinit { Glibc.close(descriptor.rawValue) }
}

/// The system's words for an error number.
func systemText(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
