import ArgumentParser
import Glibc
import Watchdog

/// Standard output for results, standard error for complaints.
enum Output {
    /// Writes a text and its line end to standard output.
    static func line(_ text: String) throws { try write(Array((text + "\n").utf8)) }

    static func write(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(STDOUT_FILENO, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            if count < 0 {
                if errno == EINTR { continue }
                // Whoever read it has seen enough.
                if errno == EPIPE { throw ExitCode(ExitStatus.ok) }
                complain("cannot write to standard output (errno \(errno))")
                throw ExitCode(ExitStatus.unknown)
            }
            done += count
        }
    }

    static func complain(_ text: String) { EventLog.writeToStandardError("repl-watchdog: \(text)\n") }
}
